//! What becomes of faults of the server itself: a panic is told as an alert, and what panicked begins anew.

use std::panic;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::alert::{Alert, Alerts, Kind};
use crate::panics::contained;
use crate::telemetry::printable;

/// How long a part rests after its first panic; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// Has every panic of the process raise an alert, besides what the hook before does: the log has its line then.
///
/// The hook is the process's, as the log is. It neither waits nor panics.
pub fn raise_panics(alerts: Alerts) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        before(panic);
        let place = panic.location().map(ToString::to_string);
        let text = words(place.as_deref(), panic.payload_as_str());
        alerts.raise(Alert::new(Kind::SystemError, text));
    }));
}

/// Says what happened in words. What a panic says may be a stranger's text.
fn words(place: Option<&str>, said: Option<&str>) -> String {
    let place = place.unwrap_or("an unknown place");
    let said = printable(said.unwrap_or("nothing"));
    format!(
        "posthouse has a fault: a panic at {place}, which says: {said}. It ended one session, one attempt or one other \
         task; everything else goes on, and nothing that was accepted is lost. The line `panicked` of the log says whose it \
         was; please report it together with this text."
    )
}

/// Does a part's work until it ends after `stop`. Where it panics, or ends too early, it rests and begins anew, so that no
/// part of the server is gone without anybody knowing.
pub(super) async fn tend<F: Future<Output = ()>>(
    part: &'static str,
    stop: CancellationToken,
    mut work: impl FnMut() -> F,
) {
    let mut rest = FIRST_REST;
    loop {
        let ended = contained(work()).await;
        if stop.is_cancelled() {
            return;
        }
        let error = ended.map_or_else(|error| error.to_string(), |()| "it ended".to_owned());
        let (alert, rest_s) = (Kind::SystemError, rest.as_secs());
        tracing::error!(%alert, part, error, rest_s, "a part of the server broke off and begins anew");
        let rested = stop.run_until_cancelled(tokio::time::sleep(rest)).await;
        if rested.is_none() {
            return;
        }
        rest = (rest * 2).min(LONGEST_REST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    #[test]
    fn an_alert_says_where_and_what_in_one_line() {
        let text = words(Some("src/a.rs:7:5"), Some("left: \"a\"\r\n\u{1b}[31m"));
        let start = "posthouse has a fault: a panic at src/a.rs:7:5, which says: left: \"a\"??";
        assert!(text.starts_with(start), "{text}");
        assert!(!text.contains(char::is_control), "{text}");
        assert!(words(None, None).contains("an unknown place"));
    }

    /// Tends a part for this long that does its work so; returns when it began, in seconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock that the test lets go on"
    )]
    async fn begins(
        length: Duration,
        work: impl AsyncFn(usize, CancellationToken) + Clone,
    ) -> Vec<u64> {
        let (stop, start) = (CancellationToken::new(), Instant::now());
        let begins = Arc::new(Mutex::new(Vec::new()));
        let tended = tend("test", stop.clone(), || {
            let (begins, stop, work) = (Arc::clone(&begins), stop.clone(), work.clone());
            async move {
                let count = {
                    let mut begins = begins.lock().unwrap();
                    begins.push(start.elapsed().as_secs());
                    begins.len()
                };
                work(count, stop).await;
            }
        });
        let stopping = async {
            sleep(length).await;
            stop.cancel();
        };
        tokio::join!(tended, stopping);
        assert_eq!(start.elapsed(), length, "it ends at once");
        let begins = begins.lock().unwrap();
        begins.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_begins_anew_and_rests_longer_each_time() {
        let work = async |count: usize, stop: CancellationToken| {
            tokio::task::yield_now().await;
            assert!(count > 3, "as a test wants it");
            stop.cancelled().await;
        };
        assert_eq!(begins(Duration::from_mins(1), work).await, [0, 1, 3, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_too_early_begins_anew_until_it_is_stopped() {
        let work = async |_: usize, _: CancellationToken| {};
        assert_eq!(begins(Duration::from_millis(6500), work).await, [0, 1, 3]);
        let rests = begins(Duration::from_hours(2), work).await;
        let longest = rests.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert_eq!(longest, Some(LONGEST_REST.as_secs()), "{rests:?}");
    }
}

//! What came of it, in plain words.

use std::time::Duration;

use crate::mail::Outcome;

use crate::cli::output::Style;

/// Says what became of the message.
pub(super) fn outcome(outcome: &Outcome, took: Duration) -> (Style, String) {
    let seconds = took.as_secs_f64();
    match outcome {
        Outcome::Relayed(response, _) => (
            Style::Green,
            format!(
                "Relayed in {seconds:.2} s: the upstream took the message over with {response}."
            ),
        ),
        Outcome::Deferred(failure) => (
            Style::Yellow,
            format!(
                "Not relayed for now. The relay would keep the message and try again. {failure}."
            ),
        ),
        Outcome::Rejected(failure) => (
            Style::Red,
            format!("Refused for good. The relay would report that to the sender. {failure}."),
        ),
        Outcome::Unknown(failure) => (
            Style::Yellow,
            format!(
                "The upstream may have the message or not. The relay would send it again rather than lose it. \
                 {failure}."
            ),
        ),
    }
}

/// Returns the outcome in one word.
pub(super) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Relayed(..) => "relayed",
        Outcome::Deferred(_) => "deferred",
        Outcome::Rejected(_) => "rejected",
        Outcome::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Cause, Failure, Handover, Response, Stage};

    #[test]
    fn an_outcome_says_what_the_relay_would_do() {
        let failure = Failure::new(Stage::Connect, Cause::Timeout);
        let (_, text) = outcome(&Outcome::Deferred(failure), Duration::ZERO);
        assert!(text.contains("try again") && text.contains("connecting: no answer in time"));
    }

    #[test]
    fn a_relayed_message_has_the_last_reply() {
        let response = Response {
            code: 250,
            status: None,
            text: "queued".into(),
        };
        let (style, text) = outcome(
            &Outcome::Relayed(response, Handover::Final),
            Duration::from_millis(1500),
        );
        assert_eq!(style, Style::Green);
        assert!(text.contains("1.50 s") && text.contains("250 queued"));
    }
}

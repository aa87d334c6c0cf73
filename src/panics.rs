//! Panics, contained where they must not end more than they have to.
//!
//! A panic is a fault of this program. The hook has told of it by the time that it is contained; whoever contains it says
//! only what goes on without what panicked. Locks are taken whether or not a panic has left them (`PoisonError`), and what
//! a future owns is dropped with it, so that nothing stays taken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// What was to be done panicked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fault of posthouse: it panicked")]
pub struct Panicked;

/// Does something; a panic in it is an error and goes no further.
///
/// # Errors
/// [`Panicked`].
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Drives a future; a panic in it is an error and goes no further. The future is dropped then, with all that it owns.
///
/// # Errors
/// [`Panicked`].
pub async fn contained<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    let poll = std::future::poll_fn(|context| {
        let polled = contain(|| future.as_mut().poll(context));
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    });
    poll.await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_future_that_panics_gives_back_what_it_owns() {
        let owned = Arc::new(());
        let kept = Arc::clone(&owned);
        let panicking = async move {
            tokio::task::yield_now().await;
            assert!(Arc::strong_count(&kept) > 9, "as a test wants it");
        };
        assert_eq!(contained(panicking).await, Err(Panicked));
        assert_eq!(Arc::strong_count(&owned), 1);
        assert_eq!(contained(async { 7 }).await, Ok(7));
    }

    #[test]
    fn a_panic_of_work_goes_no_further() {
        assert_eq!(contain(|| assert!(contain(|| 7).is_err())), Err(Panicked));
    }
}

//! How many requests a mailbox has at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::mail::Mailbox;

use super::settings::PER_MAILBOX;

/// The mailboxes that have requests at the moment. Holds no more of them than there are attempts, but for what
/// [`Slots::tidy`] has yet to take out.
#[derive(Debug, Default)]
pub(super) struct Slots {
    mailboxes: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Slots {
    /// Waits until a mailbox has fewer than [`PER_MAILBOX`] requests, first come, first served. Cancel safe.
    ///
    /// Returns nothing where the semaphore is closed, which it never is.
    pub(super) async fn enter(&self, mailbox: &Mailbox) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut mailboxes = self.mailboxes();
            let semaphore = mailboxes
                .entry(mailbox.to_string().to_lowercase())
                .or_insert_with(|| Arc::new(Semaphore::new(PER_MAILBOX)));
            Arc::clone(semaphore)
        };
        semaphore.acquire_owned().await.ok()
    }

    /// Forgets the mailboxes that have no request.
    pub(super) fn tidy(&self) {
        self.mailboxes()
            .retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_mailbox_has_four_at_once_and_another_its_own() {
        let slots = Slots::default();
        let mut held = Vec::new();
        for _ in 0..PER_MAILBOX {
            held.push(slots.enter(&mailbox("a@x.example")).await.unwrap());
        }
        let fifth = mailbox("A@x.example");
        let mut fifth = pin!(slots.enter(&fifth));
        assert!(poll(fifth.as_mut()).is_pending());
        let other = mailbox("b@x.example");
        assert!(poll(pin!(slots.enter(&other))).is_ready());
        held.pop();
        assert!(fifth.await.is_some());
    }

    #[tokio::test]
    async fn a_mailbox_without_requests_is_forgotten() {
        let slots = Slots::default();
        let held = slots.enter(&mailbox("a@x.example")).await;
        drop(slots.enter(&mailbox("b@x.example")).await);
        slots.tidy();
        assert_eq!(slots.mailboxes().len(), 1);
        drop(held);
        slots.tidy();
        assert!(slots.mailboxes().is_empty());
    }
}

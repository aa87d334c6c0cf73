//! Who may compute the keys of a TLS handshake at once.

use std::num::NonZeroUsize;

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use super::standing::Standing;

/// Places for half of the processors, so that a flood of handshakes leaves the others to the sessions. Strangers wait among
/// themselves first, so that no more of them than there are places stand before whoever is familiar.
#[derive(Debug)]
pub(super) struct Handshakes {
    places: Semaphore,
    strangers: Semaphore,
}

/// The right to compute. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _among_strangers: Option<SemaphorePermit<'a>>,
    _place: SemaphorePermit<'a>,
}

impl Handshakes {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_places(processors.div_ceil(2))
    }

    fn with_places(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            strangers: Semaphore::new(places),
        }
    }

    /// Waits for a place. Clients of the same standing take turns in the order in which they asked.
    ///
    /// # Errors
    /// Never: the places are not closed.
    pub(super) async fn place(&self, standing: Standing) -> Result<Place<'_>, AcquireError> {
        let among_strangers = match standing {
            Standing::Familiar => None,
            Standing::Stranger => Some(self.strangers.acquire().await?),
        };
        Ok(Place {
            _place: self.places.acquire().await?,
            _among_strangers: among_strangers,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Polls once, and says whether it is ready.
    async fn poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            Poll::Ready(match future.as_mut().poll(context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn who_is_familiar_waits_for_no_crowd_of_strangers() {
        let handshakes = Handshakes::with_places(1);
        let computing = handshakes.place(Standing::Stranger).await.unwrap();
        let mut second = pin!(handshakes.place(Standing::Stranger));
        let mut third = pin!(handshakes.place(Standing::Stranger));
        let mut familiar = pin!(handshakes.place(Standing::Familiar));
        assert!(poll(second.as_mut()).await.is_none());
        assert!(poll(third.as_mut()).await.is_none());
        assert!(poll(familiar.as_mut()).await.is_none());
        drop(computing);
        let place = poll(familiar.as_mut()).await;
        assert!(place.is_some());
        assert!(poll(second.as_mut()).await.is_none());
        drop(place);
        assert!(poll(second.as_mut()).await.is_some());
    }
}

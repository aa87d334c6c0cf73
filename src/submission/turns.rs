//! Strangers take turns, so that a crowd of them does not stand before whoever is known.
//!
//! Thousands of connections may have something to do at once, and the runtime serves them in the order in which they woke up.
//! What a stranger has sent is therefore looked at only when it is its turn: there are as many turns as processors, and strangers
//! wait for them among themselves. Who has logged in, or comes from where somebody has lately, waits for none. A turn lasts as
//! long as something is computed; whoever waits for the client, a disk or a check has given it back.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of all strangers.
#[derive(Debug)]
pub(super) struct Turns(Arc<Semaphore>);

/// The turn of one of them; over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(processors)))
    }

    /// Waits for a turn, in the order of those who asked; `None` never comes, since there are turns as long as the server is.
    pub(super) async fn next(&self) -> Option<Turn> {
        let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
        Some(Turn { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_turn_lasts_until_it_is_dropped() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let turn = turns.next().await;
        assert!(turn.is_some());
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, turns.next()).await.is_err());
        drop(turn);
        assert!(timeout(Duration::from_secs(30), turns.next()).await.is_ok());
    }
}

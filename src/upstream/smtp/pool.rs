//! Connections of one upstream that wait for their next message.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use super::connection::Connection;

/// Idle connections, and the right to open more.
///
/// A new connection is only opened by who holds a permit and has found no idle one, so that never more are open than
/// there are permits.
pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Pool {
    /// Makes a pool for so many connections at once; at least one.
    pub(super) fn new(connections: usize) -> Self {
        let permits = connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(permits),
        }
    }

    /// Waits for the right to use a connection. Cancel safe.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.permits.acquire().await
    }

    /// Takes the connection used last that is still open and `does`, closing those that are not open.
    pub(super) async fn take(&self, does: impl Fn(&Connection) -> bool) -> Option<Connection> {
        loop {
            let mut connection = self.pop(&does)?;
            if connection.is_idle().await {
                return Some(connection);
            }
        }
    }

    fn pop(&self, does: impl Fn(&Connection) -> bool) -> Option<Connection> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(does)?;
        Some(idle.remove(place))
    }

    /// Puts a connection back.
    pub(super) fn put(&self, mut connection: Connection, now: Instant) {
        connection.idle_since = now;
        self.idle().push(connection);
    }

    /// Takes out what has not been used for longer than `keep`.
    pub(super) fn expired(&self, now: Instant, keep: Duration) -> Vec<Connection> {
        let is_old = |connection: &mut Connection| {
            now.saturating_duration_since(connection.idle_since) > keep
        };
        self.idle().extract_if(.., is_old).collect()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Keeps the counts on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::quotas::Quotas;
use super::store;
use crate::telemetry;

/// How often the counts are written, at most.
const EVERY: Duration = Duration::from_secs(1);

/// How much longer than a write took the pause after it is, at least: very many counts are written less often.
const REST: u32 = 20;

/// Writes the counts to their file when they have changed.
pub struct Keeper {
    quotas: Arc<Quotas>,
    path: Arc<Path>,
    is_failing: bool,
}

impl Keeper {
    /// Makes one that writes to this file.
    pub fn new(quotas: Arc<Quotas>, path: PathBuf) -> Self {
        Self {
            quotas,
            path: path.into(),
            is_failing: false,
        }
    }

    /// Writes at most once a second, until it is stopped; then once more. A write goes on off the runtime's threads.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut pause = EVERY;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let begun = self.quotas.instant();
            self.write_changes().await;
            let took = self.quotas.instant().saturating_duration_since(begun);
            pause = EVERY.max(took.saturating_mul(REST));
        }
        self.write_changes().await;
    }

    async fn write_changes(&mut self) {
        if !self.quotas.take_changed() {
            return;
        }
        let (quotas, path) = (Arc::clone(&self.quotas), Arc::clone(&self.path));
        let written = tokio::task::spawn_blocking(move || store::write(&quotas, &path)).await;
        let written = written.map_err(std::io::Error::other).flatten();
        if let Err(error) = &written {
            self.quotas.set_changed();
            if !self.is_failing {
                tracing::warn!(
                    error = telemetry::chain(error),
                    "counts of quotas not written"
                );
            }
        }
        self.is_failing = written.is_err();
    }
}

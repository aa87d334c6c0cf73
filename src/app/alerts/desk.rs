//! What the parts of the server share of alerts.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::alert::{self, Alert, Alerts, Kind, Ledger, Settings, Stored, Target, Webhook};
use crate::clock::Timestamp;
use crate::identity::AccountName;
use crate::telemetry;

/// The ledger, with the settings it goes by.
pub(in crate::app) struct Desk {
    ledger: Mutex<Ledger>,
    settings: RwLock<Arc<Settings>>,
    /// Settings have been replaced.
    pub(super) changed: Notify,
    /// Where the server's own parts raise alerts.
    pub(in crate::app) alerts: Alerts,
}

impl Desk {
    /// Makes it with what the process before has stored. What cannot be read is put aside: to begin anew is better than
    /// not to begin. Blocks on the disk.
    pub(in crate::app) fn open(data_dir: &Path, settings: Settings, alerts: Alerts) -> Self {
        let path = data_dir.join(alert::FILE);
        let lines = alert::load(&path).unwrap_or_else(|error| {
            let is_aside = std::fs::rename(&path, path.with_extension("unreadable")).is_ok();
            let error = telemetry::chain(&error);
            tracing::warn!(
                error,
                is_aside,
                "the file of alerts cannot be read, it begins anew"
            );
            Vec::new()
        });
        Self {
            ledger: Mutex::new(Ledger::restore(lines)),
            settings: RwLock::new(Arc::new(settings)),
            changed: Notify::new(),
            alerts,
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the settings as they are now.
    pub(in crate::app) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other settings in force.
    pub(in crate::app) fn replace(&self, settings: Settings) {
        let mut current = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
        drop(current);
        self.changed.notify_one();
    }

    pub(super) fn note(&self, alert: Alert, now: Timestamp) {
        let settings = self.settings();
        self.ledger().note(alert, &settings, now);
    }

    /// Raises an alert that says nothing; returns to whom it goes, in words.
    pub(in crate::app) fn test(&self, account: Option<AccountName>) -> Vec<String> {
        let text = "Somebody has run `posthouse alerts test`. Nothing has happened: this shows that alerts arrive.";
        let alert = Alert {
            account,
            ..Alert::new(Kind::Test, text)
        };
        let settings = self.settings();
        let targets = settings.targets_of(&alert).into_iter();
        let words = |target: Target| match (&target, settings.webhook(&target)) {
            (Target::Mail(address), _) => format!("{address} by mail"),
            (Target::Webhook | Target::WebhookOfTenant(_), webhook) => {
                let host = webhook.map(Webhook::host).unwrap_or_default();
                format!("the webhook at {host}")
            }
        };
        let to = targets.map(words).collect();
        self.alerts.raise(alert);
        to
    }

    /// Returns the stored alerts that pass, the oldest first.
    pub(in crate::app) fn stored(&self, passes: impl Fn(&Stored) -> bool) -> Vec<Stored> {
        let ledger = self.ledger();
        ledger
            .stored()
            .filter(|alert| passes(alert))
            .cloned()
            .collect()
    }
}

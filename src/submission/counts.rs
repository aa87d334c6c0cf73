//! How often things have happened since the start, for `posthouse status`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of submission. They begin anew with the process.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    denied: AtomicU64,
    unauthorized_held: AtomicU64,
    unauthorized_relayed: AtomicU64,
    unauthorized_rewritten: AtomicU64,
    failed_logins: AtomicU64,
    over_quota: AtomicU64,
    paced: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// Messages that are durable.
    pub accepted: u64,
    /// Messages refused at their end, for whatever reason.
    pub refused: u64,
    /// Senders refused since the account may not send as them.
    pub denied: u64,
    /// Messages of such senders that wait for an operator (`on_unauthorized = "hold"`).
    pub unauthorized_held: u64,
    /// Messages of such senders that were relayed all the same (`on_unauthorized = "alert"`).
    pub unauthorized_relayed: u64,
    /// Messages whose senders were replaced (`on_unauthorized = "rewrite"`).
    pub unauthorized_rewritten: u64,
    /// Wrong user names or passwords.
    pub failed_logins: u64,
    /// Commands and messages refused since a limit of the account or its tenant was exceeded.
    pub over_quota: u64,
    /// Messages accepted over such a limit, to be sent later (`over_quota = "queue"`).
    pub paced: u64,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    Accepted,
    Denied,
    FailedLogin,
    OverQuota,
    Paced,
    Refused,
    UnauthorizedHeld,
    UnauthorizedRelayed,
    UnauthorizedRewritten,
}

impl Counts {
    pub(super) fn count(&self, event: Event) {
        let counter = match event {
            Event::Accepted => &self.accepted,
            Event::Denied => &self.denied,
            Event::FailedLogin => &self.failed_logins,
            Event::OverQuota => &self.over_quota,
            Event::Paced => &self.paced,
            Event::Refused => &self.refused,
            Event::UnauthorizedHeld => &self.unauthorized_held,
            Event::UnauthorizedRelayed => &self.unauthorized_relayed,
            Event::UnauthorizedRewritten => &self.unauthorized_rewritten,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counters as they are now.
    pub fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            denied: read(&self.denied),
            unauthorized_held: read(&self.unauthorized_held),
            unauthorized_relayed: read(&self.unauthorized_relayed),
            unauthorized_rewritten: read(&self.unauthorized_rewritten),
            failed_logins: read(&self.failed_logins),
            over_quota: read(&self.over_quota),
            paced: read(&self.paced),
        }
    }
}

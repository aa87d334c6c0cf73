//! Who is told that an account has claimed a sender that it may not use: the log, the counters, and people.

use crate::alert::{Alert, Alerts, Kind};
use crate::identity::Identity;
use crate::message::Change;
use crate::policy::Denial;

use super::counts::{Counts, Event};

/// Tells of one message. What is refused, relayed or held is told once each; what is rewritten needs nobody's attention,
/// so no alert is raised.
pub(super) struct Notice<'a> {
    pub(super) counts: &'a Counts,
    pub(super) alerts: &'a Alerts,
    pub(super) identity: &'a Identity,
}

impl Notice<'_> {
    /// The message has been stored under `queue_ids`, and waits.
    pub(super) fn held(&self, denial: &Denial, queue_ids: &str) {
        let (account, reason) = (&self.identity.account, denial.to_string());
        self.counts.count(Event::UnauthorizedHeld);
        tracing::warn!(%account, queue_id = queue_ids, reason, "unauthorized sender held");
        let repair = format!(
            "The message is held: `posthouse queue release {queue_ids}` sends it, `posthouse queue delete {queue_ids}` \
             removes it."
        );
        self.alert(denial, &repair);
    }

    /// The message or its MAIL is refused.
    pub(super) fn refused(&self, denial: &Denial) {
        let (account, reason) = (&self.identity.account, denial.to_string());
        self.counts.count(Event::Denied);
        tracing::warn!(%account, reason, "denied");
        self.alert(denial, "The message was refused.");
    }

    /// The message is relayed all the same.
    pub(super) fn relayed(&self, denial: &Denial) {
        let (account, reason) = (&self.identity.account, denial.to_string());
        self.counts.count(Event::UnauthorizedRelayed);
        tracing::warn!(%account, reason, "unauthorized sender relayed");
        self.alert(denial, "The message was relayed all the same.");
    }

    /// Senders of the message were replaced: one event for each.
    pub(super) fn rewritten(&self, changes: &[Change]) {
        self.counts.count(Event::UnauthorizedRewritten);
        for Change { place, from, to } in changes {
            let account = &self.identity.account;
            tracing::info!(%account, place, from, to, "sender rewritten");
        }
    }

    fn alert(&self, denial: &Denial, outcome: &str) {
        let Identity {
            account, tenant, ..
        } = self.identity;
        let text = format!("Account {account} has claimed another sender: {denial}. {outcome}");
        self.alerts.raise(Alert {
            account: Some(account.clone()),
            tenant: tenant.clone(),
            ..Alert::new(Kind::UnauthorizedSender, text)
        });
    }
}

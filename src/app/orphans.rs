//! Messages that lead nowhere any more.

use std::collections::BTreeSet;

use crate::identity::UpstreamName;
use crate::spool::{Change, Entry, EntryState, Selection, Spool as _, SpoolAdmin as _};
use crate::telemetry;

use super::reload::Reloader;

/// How many messages are looked through at once.
const PORTION: usize = 500;

impl Reloader {
    /// Holds the messages whose account is gone, and with it every upstream that they could take: whoever took these away
    /// decides what becomes of them. Those of an account that is still there wait for an upstream to come back.
    pub(super) async fn hold_orphans(&self) {
        let upstreams = self.relay.upstreams();
        let upstreams: BTreeSet<_> = upstreams.into_iter().map(|known| known.name).collect();
        let backlog = match self.spool.backlog().await {
            Ok(backlog) => backlog,
            Err(error) => {
                let error = telemetry::chain(&error);
                return tracing::warn!(error, "cannot look for messages without an upstream");
            }
        };
        let mut held = 0;
        for waiting in backlog {
            let names = waiting.route.upstreams();
            if names.iter().any(|name| upstreams.contains(name)) {
                continue;
            }
            if let Some(first) = names.first() {
                held += self.hold_orphans_of(first, &upstreams).await;
            }
        }
        if held > 0 {
            tracing::warn!(
                messages = held,
                "messages held: their accounts and their upstreams are gone"
            );
        }
    }

    /// Holds those of them that would take this upstream; returns how many.
    async fn hold_orphans_of(
        &self,
        upstream: &UpstreamName,
        upstreams: &BTreeSet<UpstreamName>,
    ) -> usize {
        let selection = Selection {
            state: Some(EntryState::Pending),
            upstream: Some(upstream.as_str().to_lowercase().into()),
            ..Selection::default()
        };
        let directory = self.parts.directory();
        let is_orphan = |entry: &Entry| {
            let message = &entry.message;
            let account = message.account.as_ref();
            let mut route = message.route.upstreams().iter();
            account.is_none_or(|account| !directory.profiles.contains_key(account))
                && !route.any(|name| upstreams.contains(name))
        };
        let (mut after, mut held) = (None, 0);
        loop {
            let page = match self.spool.select(after, PORTION, &selection).await {
                Ok(page) => page,
                Err(error) => {
                    let error = telemetry::chain(&error);
                    tracing::warn!(error, "cannot look for messages without an upstream");
                    return held;
                }
            };
            let orphans = page.items.iter().filter(|entry| is_orphan(entry));
            let ids: Vec<_> = orphans.map(|entry| entry.id).collect();
            let changed = self.spool.change(&ids, &Change::Hold).await;
            held += changed.iter().filter(|changed| changed.is_ok()).count();
            after = page.next;
            if after.is_none() {
                return held;
            }
        }
    }
}

//! Queued messages follow the routes of the configuration.
//!
//! Where recipients decide about routes, envelopes have to be read for it; else the account says all, and that is in
//! memory.

use std::collections::{BTreeSet, HashMap};

use crate::identity::{Route, UpstreamName};
use crate::mail::QueueId;
use crate::route::{Placement, Table};
use crate::spool::{Entry, Selection, Spool as _, SpoolAdmin, SpoolError};
use crate::telemetry;

use super::reload::Reloader;

/// How many messages are read at once.
const PORTION: usize = 500;

/// Gives every message the route that its account has for its pending recipients. Not stored: done after every start and
/// every reload. Returns how many messages have recipients that would go different ways.
///
/// # Errors
/// [`SpoolError`]: messages that were not looked at have the routes that they had.
pub async fn reroute(spool: &dyn SpoolAdmin, routes: &Table) -> Result<u64, SpoolError> {
    if !routes.has_rules() {
        let route_of = |account: &_| routes.configured_route(account);
        spool.reroute(&route_of).await;
        return Ok(0);
    }
    let divided = reroute_selected(spool, routes, &Selection::default()).await?;
    // Lets the index forget the routes that nobody takes any more.
    spool.reroute(&|_| None).await;
    Ok(divided)
}

/// Returns where a message goes now; `None` where it stays as it is.
pub fn placement(routes: &Table, entry: &Entry) -> Option<Placement> {
    let message = &entry.message;
    let recipients = &message.envelope.recipients;
    let pending = entry
        .pending
        .iter()
        .filter_map(|(index, _)| recipients.get(usize::from(index.0)))
        .map(|recipient| recipient.forward_path.mailbox());
    routes.place(message.account.as_ref()?, pending, &message.route)
}

/// Does what [`reroute`] does for the messages of a selection.
async fn reroute_selected(
    spool: &dyn SpoolAdmin,
    routes: &Table,
    selection: &Selection,
) -> Result<u64, SpoolError> {
    let (mut after, mut divided) = (None, 0);
    loop {
        let page = spool.select(after, PORTION, selection).await?;
        let mut changed: HashMap<Route, Vec<QueueId>> = HashMap::new();
        for entry in &page.items {
            let Some(placement) = placement(routes, entry) else {
                continue;
            };
            divided += u64::from(placement.is_divided);
            if placement.route != entry.message.route {
                changed.entry(placement.route).or_default().push(entry.id);
            }
        }
        for (route, ids) in changed {
            spool.reroute_some(&ids, &|_| Some(route.clone())).await;
        }
        after = page.next;
        if after.is_none() {
            return Ok(divided);
        }
    }
}

impl Reloader {
    /// Lets all queued messages follow the routes, and holds those that lead nowhere.
    pub(super) async fn reroute(&self) {
        let directory = self.parts.directory();
        tell(reroute(&*self.spool, &directory.routes).await);
        self.hold_orphans().await;
    }

    /// Reroutes what was accepted, or reported, with the old routes while a reload or a drain took them away.
    pub(super) async fn adopt_orphans(&self) {
        let stand_ins = self.kept().register.stand_ins();
        if !self.relay.has_orphans() && stand_ins.is_empty() {
            return;
        }
        // Not while a reload exchanges the routes.
        let _turn = self.turn.lock().await;
        let directory = self.parts.directory();
        if !directory.routes.has_rules() {
            return self.reroute().await;
        }
        let mut names: BTreeSet<UpstreamName> = stand_ins.into_keys().collect();
        names.extend(self.missing_upstreams().await);
        for name in names {
            let selection = Selection {
                upstream: Some(name.as_str().to_lowercase().into()),
                ..Selection::default()
            };
            tell(reroute_selected(&*self.spool, &directory.routes, &selection).await);
        }
        self.hold_orphans().await;
    }

    /// Returns the upstreams that messages wait for and that do not exist, one of each route that leads nowhere.
    async fn missing_upstreams(&self) -> Vec<UpstreamName> {
        let known = self.relay.upstreams();
        let exists = |name: &UpstreamName| known.iter().any(|upstream| upstream.name == *name);
        let backlog = self.spool.backlog().await.unwrap_or_default();
        let lost = backlog.iter().map(|waiting| waiting.route.upstreams());
        let lost = lost.filter(|names| !names.iter().any(exists));
        lost.filter_map(|names| names.first().cloned()).collect()
    }
}

fn tell(rerouted: Result<u64, SpoolError>) {
    match rerouted {
        Ok(0) => {}
        Ok(messages) => tracing::warn!(
            messages,
            "messages have recipients that lead to different upstreams now; each goes one way"
        ),
        Err(error) => {
            let error = telemetry::chain(&error);
            tracing::error!(error, "queued messages keep their old routes");
        }
    }
}

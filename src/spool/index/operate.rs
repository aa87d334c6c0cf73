//! What operators see of the index, and change in it. Everything is done in portions, so that a long queue does not
//! stop the mail.

use std::ops::Bound;

use crate::clock::Timestamp;
use crate::identity::Route;
use crate::mail::QueueId;
use crate::spool::operators::{Census, Change, Page, Selection};
use crate::spool::{EntryState, RouteOf, VerbError};

use super::{Index, Listed, Moment, Outcome, Phase, Slot, Verb};

/// How many slots are looked at before others may have the lock.
const PORTION: usize = 2000;

impl<P: Clone> Index<P> {
    /// Lists messages of a selection behind `after`, at most `limit`.
    pub(in crate::spool) fn select(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Page<Listed<P>> {
        self.walk(after, limit, selection, |id, slot| self.listed(id, slot))
    }

    /// Lists the ids of messages of a selection behind `after`, at most `limit`.
    pub(in crate::spool) fn select_ids(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Page<QueueId> {
        self.walk(after, limit, selection, |id, _| Some(id))
    }

    fn walk<T>(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
        take: impl Fn(QueueId, &Slot<P>) -> Option<T>,
    ) -> Page<T> {
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let first = selection.from.map_or(Bound::Unbounded, Bound::Included);
        let start = match (after, selection.from) {
            (Some(after), Some(from)) if after < from => first,
            (Some(after), _) => Bound::Excluded(after),
            (None, _) => first,
        };
        let end = selection.before.map_or(Bound::Unbounded, Bound::Excluded);
        if is_empty(start, end) {
            return page;
        }
        for (looked, (id, slot)) in self.slots.range((start, end)).enumerate() {
            if looked == PORTION || page.items.len() == limit {
                return page;
            }
            page.next = Some(*id);
            if self.is_of(slot, selection) {
                page.items.extend(take(*id, slot));
            }
        }
        page.next = None;
        page
    }

    fn is_of(&self, slot: &Slot<P>, selection: &Selection) -> bool {
        let Selection {
            state,
            priorities,
            account,
            tenant,
            upstream,
            reply,
            from: _,
            before: _,
        } = selection;
        let has_account = |wanted: &str| {
            let account = self.parties.account(slot.party);
            account.is_some_and(|account| is_same_name(account.as_str(), wanted))
        };
        let has_tenant = |wanted: &str| {
            let tenant = self.parties.tenant(slot.party);
            tenant.is_some_and(|tenant| is_same_name(tenant.as_str(), wanted))
        };
        let may_take = |wanted: &str| {
            let route = self.lanes.route(slot.route);
            route.is_some_and(|route| {
                let mut upstreams = route.upstreams().iter();
                upstreams.any(|name| is_same_name(name.as_str(), wanted))
            })
        };
        state.is_none_or(|state| state == slot.state())
            && priorities
                .as_ref()
                .is_none_or(|priorities| priorities.contains(&slot.priority))
            && account.as_deref().is_none_or(has_account)
            && tenant.as_deref().is_none_or(has_tenant)
            && upstream.as_deref().is_none_or(may_take)
            && reply
                .as_deref()
                .is_none_or(|wanted| slot.standing.has_reason_with(wanted))
    }

    /// Counts a portion of the messages behind `after` in. Returns where the next one begins, `None` at the end.
    pub(in crate::spool) fn count(
        &self,
        after: Option<QueueId>,
        census: &mut Census,
    ) -> Option<QueueId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (id, slot) in self.slots.range((start, Bound::Unbounded)).take(PORTION) {
            last = Some(*id);
            census.oldest = census.oldest.or(last);
            let state = match slot.state() {
                EntryState::Held => &mut census.held,
                EntryState::Leased => &mut census.leased,
                EntryState::Pending => &mut census.pending,
            };
            state.add(slot.size);
            let priority = census.priorities.entry(slot.priority);
            priority.or_default().add(slot.size);
            let route = self.lanes.route(slot.route);
            if let Some(first) = route.and_then(|route| route.upstreams().first()) {
                let upstream = census.upstreams.entry(first.clone());
                upstream.or_default().add(slot.size);
            }
            let account = self.parties.account(slot.party).cloned();
            let account = census.accounts.entry(account);
            account.or_default().add(slot.size);
            if let Some(tenant) = self.parties.tenant(slot.party) {
                let tenant = census.tenants.entry(tenant.clone());
                tenant.or_default().add(slot.size);
            }
        }
        last
    }

    /// Begins an operator's change, as [`Index::begin_change`] does.
    pub(in crate::spool) fn begin(
        &mut self,
        id: QueueId,
        change: &Change,
        now: Moment,
    ) -> Result<Outcome, VerbError> {
        match change {
            Change::Delete => self.begin_change(id, Verb::Delete, now),
            Change::Hold => self.begin_change(id, Verb::Hold, now),
            Change::Release => self.begin_change(id, Verb::Release, now),
            Change::Retry => self.begin_change(id, Verb::Retry, now),
            Change::Route(route) => self.begin_route(id, Some(route), now),
            Change::RouteOfAccount => self.begin_route(id, None, now),
        }
    }

    /// Gives one message the route of its account, if it is there and no operator has given it another.
    pub(in crate::spool) fn reroute_one(
        &mut self,
        id: QueueId,
        route_of: &RouteOf<'_>,
        now: Timestamp,
    ) {
        if self.slots.contains_key(&id) {
            let before = id.number().checked_sub(1).map(QueueId::from_number);
            self.reroute(before, 1, route_of, now);
        }
    }

    fn begin_route(
        &mut self,
        id: QueueId,
        route: Option<&Route>,
        now: Moment,
    ) -> Result<Outcome, VerbError> {
        self.end_leases(now);
        let slot = self.slots.get_mut(&id).ok_or(VerbError::Missing(id))?;
        if slot.phase != Phase::Idle {
            return Err(VerbError::Busy(id));
        }
        if slot.standing.route.as_ref() == route {
            return Ok(Outcome::Nothing);
        }
        let standing = slot.standing.with_route(route.cloned());
        if !slot.standing.is_held {
            self.lanes.remove(slot.wait(id));
        }
        slot.phase = Phase::Changing;
        slot.token = 0;
        Ok(Outcome::Stands(standing))
    }
}

fn is_empty(start: Bound<QueueId>, end: Bound<QueueId>) -> bool {
    match (start, end) {
        (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        (Bound::Included(start), Bound::Excluded(end)) => start > end,
        (_, Bound::Included(_) | Bound::Unbounded) | (Bound::Unbounded, _) => false,
    }
}

/// Compares names; `wanted` is in lower case.
fn is_same_name(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted) || (!name.is_ascii() && name.to_lowercase() == *wanted)
}

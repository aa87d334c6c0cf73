//! The counts of all accounts and tenants, shared by all sessions.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::{Amounts, Limits, Measure, OverQuota};
use super::meter::{Bound, HORIZON, Meter, Record, Taken};
use super::table::{Table, Terms};
use crate::clock::{Clock, Steady, Timestamp};
use crate::identity::{AccountName, TenantName};
use crate::schedule::Rate;

/// Counts what accounts and tenants send, and says whether there is room for more. One for the whole process.
///
/// It goes by monotonic time: a jump of the civil clock neither frees nor blocks anything.
pub struct Quotas {
    clock: Arc<dyn Clock>,
    steady: Steady,
    state: Mutex<State>,
    has_changed: AtomicBool,
}

/// Whose count it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Owner {
    /// An account's own.
    Account(AccountName),
    /// That of all accounts of a tenant.
    Tenant(TenantName),
}

/// A limit that is exceeded. Its text is for people: `over the limit of 100 messages a minute; goes on at …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excess {
    /// Whose limit.
    pub owner: Owner,
    /// Of what.
    pub measure: Measure,
    /// How much.
    pub rate: Rate,
    /// The civil time from which on there is room; `None`: never, for so much at once.
    pub goes_on: Option<Timestamp>,
}

#[derive(Default)]
struct State {
    table: Table,
    meters: HashMap<Owner, Meter>,
    sessions: HashMap<Owner, u32>,
    untold: HashMap<AccountName, Untold>,
}

/// Messages over a limit that the log has not told of.
#[derive(Debug, Default)]
struct Untold {
    count: u64,
    next_line: Timestamp,
}

/// How often the log tells of one account that is over its limits.
const LINE_EVERY: Duration = Duration::from_mins(1);

impl Quotas {
    /// Makes the counts; nothing has been sent yet.
    pub fn new(clock: Arc<dyn Clock>, table: Table) -> Arc<Self> {
        Arc::new(Self {
            steady: Steady::of(&*clock),
            clock,
            state: Mutex::new(State {
                table,
                ..State::default()
            }),
            has_changed: AtomicBool::new(false),
        })
    }

    /// Puts other limits in place. What has been counted goes on to count where the account or tenant is still there.
    pub fn replace(&self, table: Table) {
        let now = self.now();
        let mut state = self.state();
        state.meters.retain(|owner, meter| {
            let limits = limits(&table, owner);
            limits.is_some_and(|limits| {
                meter.adopt(limits, now);
                true
            })
        });
        state
            .untold
            .retain(|account, _| table.of_account(account).is_some());
        state.table = table;
        self.has_changed.store(true, Ordering::Relaxed);
    }

    /// Returns whether an account may send so much more now. Counts nothing.
    ///
    /// # Errors
    /// The limit that is in the way for longest.
    pub fn check(&self, account: &AccountName, amounts: Amounts) -> Result<(), Excess> {
        let now = self.now();
        let mut state = self.state();
        let terms = state.table.terms(account);
        let checked = state.check(account, &terms, amounts, now);
        drop(state);
        checked.map_err(|(owner, bound)| self.excess(owner, bound, now))
    }

    /// Keeps room for a message that is coming in, until the reservation is dropped.
    ///
    /// # Errors
    /// The limit that is in the way for longest.
    pub fn reserve(
        self: &Arc<Self>,
        account: &AccountName,
        amounts: Amounts,
    ) -> Result<Reservation, Excess> {
        let now = self.now();
        let mut state = self.state();
        let terms = state.table.terms(account);
        let checked = state.check(account, &terms, amounts, now);
        let is_held = checked.is_ok() && terms.over == OverQuota::Refuse;
        if is_held {
            state.each(account, &terms, |meter| meter.hold(amounts));
        }
        drop(state);
        checked.map_err(|(owner, bound)| self.excess(owner, bound, now))?;
        Ok(Reservation {
            quotas: Arc::clone(self),
            account: account.clone(),
            terms,
            amounts,
            held: if is_held { amounts } else { Amounts::default() },
            taken: Vec::new(),
        })
    }

    /// Counts a session of an account, until the pass is dropped; `None` where there are as many as there may be.
    pub fn enter(self: &Arc<Self>, account: &AccountName) -> Option<Pass> {
        let mut state = self.state();
        let terms = state.table.terms(account);
        let owners: Vec<_> = owners(account, &terms).collect();
        let is_full = owners.iter().any(|(owner, limits)| {
            let count = state.sessions.get(owner).copied().unwrap_or_default();
            limits.sessions.is_some_and(|limit| count >= limit.get())
        });
        if is_full {
            return None;
        }
        let owners: Vec<Owner> = owners.into_iter().map(|(owner, _)| owner).collect();
        for owner in &owners {
            *state.sessions.entry(owner.clone()).or_default() += 1;
        }
        drop(state);
        Some(Pass {
            quotas: Arc::clone(self),
            account: account.clone(),
            owners,
        })
    }

    /// Notes for the log that an account is over a limit; returns how often since the last line, when one is due.
    pub fn note(&self, account: &AccountName) -> Option<u64> {
        let now = self.now();
        let mut state = self.state();
        let untold = state.untold.entry(account.clone()).or_default();
        untold.count += 1;
        if now < untold.next_line {
            return None;
        }
        untold.next_line = now.after(LINE_EVERY);
        Some(std::mem::take(&mut untold.count))
    }

    /// Counts what was counted by an earlier process. For accounts and tenants that are not there any more it is
    /// forgotten.
    pub(super) fn restore(&self, owner: Owner, records: &[Record]) {
        let now = self.now();
        let mut state = self.state();
        let Some(mut meter) = limits(&state.table, &owner).map(Meter::new) else {
            return;
        };
        meter.restore(records, now);
        state.meters.insert(owner, meter);
    }

    /// Returns whether anything was counted since the last call.
    pub(super) fn take_changed(&self) -> bool {
        self.has_changed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn set_changed(&self) {
        self.has_changed.store(true, Ordering::Relaxed);
    }

    /// Returns all whose counts there are.
    pub(super) fn owners(&self) -> Vec<Owner> {
        self.state().meters.keys().cloned().collect()
    }

    /// Returns the counts of some; those that have nothing to remember are forgotten.
    pub(super) fn records(&self, owners: &[Owner]) -> Vec<(Owner, Vec<Record>)> {
        let now = self.now();
        let mut state = self.state();
        let mut found = Vec::with_capacity(owners.len());
        for owner in owners {
            match state.meters.get(owner) {
                Some(meter) if meter.is_idle(now) => {
                    state.meters.remove(owner);
                }
                Some(meter) => found.push((owner.clone(), meter.records(now))),
                None => {}
            }
        }
        found
    }

    /// Returns the steady time, and the civil time of the same moment.
    pub(super) fn times(&self) -> (Timestamp, Timestamp) {
        (self.now(), self.clock.now())
    }

    pub(super) fn instant(&self) -> Instant {
        self.clock.instant()
    }

    fn now(&self) -> Timestamp {
        self.steady.at(self.clock.instant())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn excess(&self, owner: Owner, bound: Bound, now: Timestamp) -> Excess {
        let civil = |at: Timestamp| self.clock.now().after(at.since(now));
        Excess {
            owner,
            measure: bound.measure,
            rate: bound.rate,
            goes_on: bound.at.map(civil),
        }
    }
}

impl State {
    fn check(
        &mut self,
        account: &AccountName,
        terms: &Terms,
        amounts: Amounts,
        now: Timestamp,
    ) -> Result<(), (Owner, Bound)> {
        match terms.over {
            OverQuota::Queue => self.plan(account, terms, amounts, now).map(|_| ()),
            OverQuota::Refuse => self.room(account, terms, amounts, now),
        }
    }

    fn room(
        &mut self,
        account: &AccountName,
        terms: &Terms,
        amounts: Amounts,
        now: Timestamp,
    ) -> Result<(), (Owner, Bound)> {
        let mut worst: Option<(Owner, Bound)> = None;
        for (owner, limits) in metered(account, terms) {
            let Err(bound) = self.meter(&owner, limits).room(amounts, now) else {
                continue;
            };
            let is_worse = worst
                .as_ref()
                .is_none_or(|(_, other)| bound.severity() > other.severity());
            if is_worse {
                worst = Some((owner, bound));
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Returns when so much may leave under all limits.
    fn plan(
        &mut self,
        account: &AccountName,
        terms: &Terms,
        amounts: Amounts,
        now: Timestamp,
    ) -> Result<Timestamp, (Owner, Bound)> {
        let mut time = now;
        loop {
            let before = time;
            for (owner, limits) in metered(account, terms) {
                let paced = self.meter(&owner, limits).pace(amounts, time);
                let (later, bound) = match paced {
                    Ok(paced) => paced,
                    Err(bound) => return Err((owner, bound)),
                };
                time = later;
                if let Some(bound) = bound.filter(|_| time.since(now) > HORIZON) {
                    let wait = time.since(now).saturating_sub(HORIZON);
                    let at = Some(now.after(wait));
                    return Err((owner, Bound { at, ..bound }));
                }
            }
            // A later time may be in the way of a limit that was looked at before.
            if time == before {
                return Ok(time);
            }
        }
    }

    fn each(&mut self, account: &AccountName, terms: &Terms, mut act: impl FnMut(&mut Meter)) {
        for (owner, limits) in metered(account, terms) {
            act(self.meter(&owner, limits));
        }
    }

    /// Returns the meter of an owner. A message that came in before a reload may bring limits that do not hold any more.
    fn meter(&mut self, owner: &Owner, brought: &Limits) -> &mut Meter {
        let Self { table, meters, .. } = self;
        meters
            .entry(owner.clone())
            .or_insert_with(|| Meter::new(limits(table, owner).unwrap_or(brought)))
    }
}

/// Returns whose rates hold for an account, the nearest first.
fn metered<'a>(
    account: &AccountName,
    terms: &'a Terms,
) -> impl Iterator<Item = (Owner, &'a Limits)> + use<'a> {
    owners(account, terms).filter(|(_, limits)| limits.rates().next().is_some())
}

/// Returns whose limits hold for an account, the nearest first.
fn owners<'a>(
    account: &AccountName,
    terms: &'a Terms,
) -> impl Iterator<Item = (Owner, &'a Limits)> + use<'a> {
    let tenants = terms.tenants.iter();
    let tenants = tenants.map(|(name, limits)| (Owner::Tenant(name.clone()), &**limits));
    std::iter::once((Owner::Account(account.clone()), &*terms.own)).chain(tenants)
}

fn limits<'a>(table: &'a Table, owner: &Owner) -> Option<&'a Limits> {
    match owner {
        Owner::Account(account) => table.of_account(account),
        Owner::Tenant(tenant) => table.of_tenant(tenant),
    }
}

/// Room that is kept for a message that is coming in. Dropped before [`Reservation::keep`], nothing counts.
#[must_use = "dropped, it keeps nothing"]
pub struct Reservation {
    quotas: Arc<Quotas>,
    account: AccountName,
    terms: Terms,
    amounts: Amounts,
    held: Amounts,
    taken: Vec<(Owner, Vec<Taken>)>,
}

impl Reservation {
    /// Counts the message, which is complete and has so many octets. Returns how much later than now it may leave:
    /// zero but for accounts whose mail is paced.
    ///
    /// # Errors
    /// The limit that is in the way for longest; nothing is reserved any more.
    pub fn charge(&mut self, octets: u64) -> Result<Duration, Excess> {
        let (quotas, now) = (Arc::clone(&self.quotas), self.quotas.now());
        let mut state = quotas.state();
        self.release(&mut state);
        let amounts = Amounts {
            octets,
            ..self.amounts
        };
        let planned = match self.terms.over {
            OverQuota::Queue => state.plan(&self.account, &self.terms, amounts, now),
            OverQuota::Refuse => {
                // Room for the rest has been kept.
                let rest = Amounts {
                    octets,
                    ..Amounts::default()
                };
                let room = state.room(&self.account, &self.terms, rest, now);
                room.map(|()| now)
            }
        };
        let time = match planned {
            Ok(time) => time,
            Err((owner, bound)) => {
                drop(state);
                return Err(quotas.excess(owner, bound, now));
            }
        };
        for (owner, limits) in metered(&self.account, &self.terms) {
            let taken = state.meter(&owner, limits).take(amounts, time);
            self.taken.push((owner, taken));
            quotas.set_changed();
        }
        drop(state);
        Ok(time.since(now))
    }

    /// Returns whose message it is.
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// Lets what was charged count: the message has been accepted.
    pub fn keep(mut self) {
        self.taken.clear();
    }

    fn release(&mut self, state: &mut State) {
        let held = std::mem::take(&mut self.held);
        if held == Amounts::default() {
            return;
        }
        for (owner, _) in metered(&self.account, &self.terms) {
            if let Some(meter) = state.meters.get_mut(&owner) {
                meter.release(held);
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let quotas = Arc::clone(&self.quotas);
        let mut state = quotas.state();
        self.release(&mut state);
        for (owner, taken) in self.taken.drain(..) {
            if let Some(meter) = state.meters.get_mut(&owner) {
                meter.give_back(&taken);
            }
            quotas.set_changed();
        }
    }
}

/// A session that is counted.
#[must_use = "dropped, the session is not counted any more"]
pub struct Pass {
    quotas: Arc<Quotas>,
    account: AccountName,
    owners: Vec<Owner>,
}

impl Pass {
    /// Returns whose session it is.
    pub fn account(&self) -> &AccountName {
        &self.account
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.quotas.state();
        for owner in &self.owners {
            if let Some(count) = state.sessions.get_mut(owner) {
                *count -= 1;
                if *count == 0 {
                    state.sessions.remove(owner);
                }
            }
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.measure.in_words(self.rate);
        match self.goes_on {
            Some(_) => write!(f, "over the limit of {limit}")?,
            None => write!(f, "the limit is {limit}")?,
        }
        match &self.owner {
            Owner::Account(_) => {}
            Owner::Tenant(tenant) => write!(f, " of tenant {tenant}")?,
        }
        match self.goes_on {
            Some(time) => write!(f, "; goes on at {}", time.to_second_above()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;

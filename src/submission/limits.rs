//! How many connections there may be: in all, from one address, from one network. Where there are as many as may be, a new
//! one takes the place of a client that has had time to log in and has not.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::standing::Standing;

/// Bounds on connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one IPv4 address or one IPv6 network of 64 bits.
    pub per_address: usize,
    /// From one IPv4 network of 24 bits or one IPv6 network of 48 bits.
    pub per_prefix: usize,
}

impl Default for ConnectionLimits {
    /// 10,000 in all, 500 from one address, 2,000 from one network.
    fn default() -> Self {
        Self {
            total: 10_000,
            per_address: 500,
            per_prefix: 2_000,
        }
    }
}

/// How long a client has to log in before another may take its place. A flood that fills all places in less time finds
/// them taken; everybody else has as long. Whoever comes from where somebody has logged in lately takes a place at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the log tells of refused connections; whoever fills it with them would hide the rest.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    limits: ConnectionLimits,
    counts: Mutex<Counts>,
    refused: Mutex<Untold>,
    closed: Mutex<Untold>,
}

/// Connections that were refused, or had to go, and were not told of yet.
#[derive(Debug, Default)]
struct Untold {
    count: u64,
    next_line: Option<Instant>,
}

/// What is counted of a client's address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Origin {
    /// One customer usually has 64 bits of IPv6 addresses, so they count as one.
    address: IpAddr,
    prefix: IpAddr,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    by_prefix: HashMap<IpAddr, usize>,
    crowds: Crowds,
    next: u64,
}

impl Gate {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counts: Mutex::default(),
            refused: Mutex::default(),
            closed: Mutex::default(),
        })
    }

    /// Returns whether a connection would be let in, that of a balancer where no address is known. Changes nothing.
    pub(super) fn would_admit(
        &self,
        client: Option<IpAddr>,
        standing: Standing,
        now: Instant,
    ) -> bool {
        let counts = self.counts();
        let may_come = client.is_none_or(|at| counts.has_room(Origin::of(at), &self.limits));
        let has_place = counts.total < self.limits.total;
        may_come && (has_place || counts.crowds.loiterer(standing, now).is_some())
    }

    /// Lets a connection in, or not. It is counted until its pass is dropped.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        standing: Standing,
        now: Instant,
    ) -> Option<Pass> {
        let origin = Origin::of(address);
        let mut counts = self.counts();
        if !counts.has_room(origin, &self.limits) {
            return None;
        }
        let is_full = counts.total >= self.limits.total;
        if is_full {
            counts.make_room(standing, now)?;
        }
        counts.total += 1;
        counts.count(origin);
        let leave = CancellationToken::new();
        let number = counts.join(origin, now, &leave);
        drop(counts);
        Some(Pass {
            gate: Arc::clone(self),
            number: Some(number),
            origin: Some(origin),
            leave,
            took_place: is_full,
        })
    }

    /// Lets in a connection whose client is not known yet, as that of a balancer; or not. Until [`Pass::name`] it counts
    /// for no address.
    pub(super) fn admit_unnamed(self: &Arc<Self>, now: Instant) -> Option<Pass> {
        let mut counts = self.counts();
        let is_full = counts.total >= self.limits.total;
        if is_full {
            counts.make_room(Standing::Stranger, now)?;
        }
        counts.total += 1;
        drop(counts);
        Some(Pass {
            gate: Arc::clone(self),
            number: None,
            origin: None,
            leave: CancellationToken::new(),
            took_place: is_full,
        })
    }

    /// Notes a refused connection; returns how many there were since the last line of the log, when one is due.
    pub(super) fn refused(&self, now: Instant) -> Option<u64> {
        note(&self.refused, now)
    }

    /// Notes a connection that made room for another; returns how many there were since the last line of the log, when one
    /// is due.
    pub(super) fn made_room(&self, now: Instant) -> Option<u64> {
        note(&self.closed, now)
    }

    /// Returns how many connections there are.
    pub(super) fn open(&self) -> usize {
        self.counts().total
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(untold: &Mutex<Untold>, now: Instant) -> Option<u64> {
    let mut untold = untold.lock().unwrap_or_else(PoisonError::into_inner);
    untold.count += 1;
    if untold.next_line.is_some_and(|next| now < next) {
        return None;
    }
    untold.next_line = now.checked_add(LINE_EVERY);
    Some(std::mem::take(&mut untold.count))
}

impl Counts {
    /// Returns whether there may be another from there.
    fn has_room(&self, origin: Origin, limits: &ConnectionLimits) -> bool {
        let from = |counts: &HashMap<IpAddr, usize>, key| counts.get(key).copied().unwrap_or(0);
        from(&self.by_address, &origin.address) < limits.per_address
            && from(&self.by_prefix, &origin.prefix) < limits.per_prefix
    }

    /// Has a client leave for one of this standing; `None` where there is none to go.
    fn make_room(&mut self, standing: Standing, now: Instant) -> Option<()> {
        // It is counted out at once: what it holds is gone as soon as its task has run.
        let loiterer = self.crowds.pick(standing, now)?;
        self.leave(Some(loiterer.origin));
        loiterer.leave.cancel();
        Some(())
    }

    fn count(&mut self, origin: Origin) {
        *self.by_address.entry(origin.address).or_default() += 1;
        *self.by_prefix.entry(origin.prefix).or_default() += 1;
    }

    fn leave(&mut self, origin: Option<Origin>) {
        self.total = self.total.saturating_sub(1);
        if let Some(origin) = origin {
            take_one(&mut self.by_address, &origin.address);
            take_one(&mut self.by_prefix, &origin.prefix);
        }
    }

    /// Adds a client to those who have not logged in; returns its number.
    fn join(&mut self, origin: Origin, now: Instant, leave: &CancellationToken) -> u64 {
        self.next += 1;
        self.crowds.join(Stranger {
            number: self.next,
            origin,
            since: now,
            leave: leave.clone(),
        });
        self.next
    }

    /// Takes a client out of those who have not logged in, where it is one.
    fn forget(&mut self, origin: Option<Origin>, number: Option<u64>) {
        if let (Some(origin), Some(number)) = (origin, number) {
            let _stranger = self.crowds.part(origin.prefix, number);
        }
    }
}

fn take_one(counts: &mut HashMap<IpAddr, usize>, key: &IpAddr) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A client that has not logged in.
#[derive(Debug)]
struct Stranger {
    number: u64,
    origin: Origin,
    since: Instant,
    leave: CancellationToken,
}

/// Who has not logged in, by network, the largest crowd at the end.
#[derive(Debug, Default)]
struct Crowds {
    /// In the order of arrival. Who has gone or logged in since is taken out at once.
    members: HashMap<IpAddr, VecDeque<Stranger>>,
    by_size: BTreeSet<(usize, IpAddr)>,
}

impl Crowds {
    fn join(&mut self, stranger: Stranger) {
        let prefix = stranger.origin.prefix;
        let members = self.members.entry(prefix).or_default();
        self.by_size.remove(&(members.len(), prefix));
        members.push_back(stranger);
        self.by_size.insert((members.len(), prefix));
    }

    /// Takes out who has to go.
    fn pick(&mut self, newcomer: Standing, now: Instant) -> Option<Stranger> {
        let (prefix, number) = self.loiterer(newcomer, now)?;
        self.part(prefix, number)
    }

    /// Returns who has to go for a client of this standing: the oldest of the largest crowd; of all crowds where that one has
    /// just come. A client in a crowd of its own is the last to go.
    fn loiterer(&self, newcomer: Standing, now: Instant) -> Option<(IpAddr, u64)> {
        let patience = match newcomer {
            // A flood that takes all places faster than anybody could lose them keeps only strangers out.
            Standing::Familiar => Duration::ZERO,
            Standing::Stranger => PATIENCE,
        };
        let has_had_time =
            |stranger: &Stranger| now.saturating_duration_since(stranger.since) >= patience;
        let crowds = self.by_size.iter().rev().map(|(_, prefix)| *prefix);
        let oldest_of = |prefix: &IpAddr| self.members.get(prefix).and_then(VecDeque::front);
        let prefix = crowds
            .take(LOOK_AT)
            .find(|prefix| oldest_of(prefix).is_some_and(has_had_time))?;
        let number = oldest_of(&prefix)?.number;
        Some((prefix, number))
    }

    /// Takes one out; `None` where it is not a stranger any more.
    fn part(&mut self, prefix: IpAddr, number: u64) -> Option<Stranger> {
        let members = self.members.get_mut(&prefix)?;
        let at = members
            .binary_search_by_key(&number, |stranger| stranger.number)
            .ok()?;
        self.by_size.remove(&(members.len(), prefix));
        let stranger = members.remove(at);
        if members.is_empty() {
            self.members.remove(&prefix);
        } else {
            self.by_size.insert((members.len(), prefix));
        }
        stranger
    }
}

/// Crowds that are looked at for somebody who has had time; a flood from everywhere must not cost more.
const LOOK_AT: usize = 64;

/// The right to be connected.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    /// Its number among the strangers.
    number: Option<u64>,
    /// Whom it counts for.
    origin: Option<Origin>,
    leave: CancellationToken,
    took_place: bool,
}

impl Pass {
    /// Says whose connection it is, where that was not known; returns whether there may be another from there.
    pub(super) fn name(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.origin.is_some() {
            return true;
        }
        let origin = Origin::of(address);
        let mut counts = self.gate.counts();
        if !counts.has_room(origin, &self.gate.limits) {
            return false;
        }
        counts.count(origin);
        self.number = Some(counts.join(origin, now, &self.leave));
        self.origin = Some(origin);
        true
    }

    /// Returns whether another client had to make room.
    pub(super) fn took_place(&self) -> bool {
        self.took_place
    }

    /// Notes that the client has shown who it is: its place is its own from now on.
    pub(super) fn keep(&self) {
        self.gate.counts().forget(self.origin, self.number);
    }

    /// Waits until another client has been given the place.
    pub(super) async fn lost(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.forget(self.origin, self.number);
        // One that lost its place has been counted out.
        if !self.leave.is_cancelled() {
            counts.leave(self.origin);
        }
    }
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self {
                address: IpAddr::V4(address),
                prefix: IpAddr::V4((u32::from(address) >> 8 << 8).into()),
            },
            IpAddr::V6(address) => Self {
                address: IpAddr::V6((u128::from(address) >> 64 << 64).into()),
                prefix: IpAddr::V6((u128::from(address) >> 80 << 80).into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    impl Pass {
        pub(in crate::submission) fn is_lost(&self) -> bool {
            self.leave.is_cancelled()
        }
    }

    const STRANGER: Standing = Standing::Stranger;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn gate(total: usize, per_address: usize, per_prefix: usize) -> (Arc<Gate>, Instant) {
        let limits = ConnectionLimits {
            total,
            per_address,
            per_prefix,
        };
        (Gate::new(limits), SystemClock.instant())
    }

    #[test]
    fn one_address_cannot_take_all_connections() {
        let (gate, now) = gate(3, 2, 3);
        let come = |text| gate.admit(address(text), STRANGER, now);
        let passes: Vec<_> = (0..3).map(|_| come("192.0.2.1")).collect();
        assert!(passes[1].is_some() && passes[2].is_none());
        assert!(come("192.0.2.2").is_some());
    }

    #[test]
    fn one_network_cannot_take_all_connections() {
        let (gate, now) = gate(9, 9, 2);
        let come = |text| gate.admit(address(text), STRANGER, now);
        let _first = come("192.0.2.1").unwrap();
        let _second = come("192.0.2.2").unwrap();
        assert!(come("192.0.2.3").is_none());
        assert!(come("192.0.3.1").is_some());
        let _third = come("2001:db8:0:1::1").unwrap();
        let _fourth = come("2001:db8:0:2::1").unwrap();
        assert!(come("2001:db8:0:3::1").is_none());
        assert!(come("2001:db8:1::1").is_some());
    }

    #[test]
    fn refusals_are_told_once_a_second_with_their_number() {
        let (gate, now) = gate(1, 1, 1);
        assert_eq!(gate.refused(now), Some(1));
        assert_eq!(gate.refused(now), None);
        assert_eq!(gate.refused(now), None);
        assert_eq!(gate.refused(now + LINE_EVERY), Some(3));
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let (gate, now) = gate(1, 1, 1);
        let pass = gate.admit(address("192.0.2.1"), STRANGER, now);
        assert!(gate.admit(address("198.51.100.2"), STRANGER, now).is_none());
        drop(pass);
        assert_eq!(gate.open(), 0);
        assert!(gate.admit(address("198.51.100.2"), STRANGER, now).is_some());
    }

    #[test]
    fn clients_of_a_balancer_count_for_themselves() {
        let (gate, now) = gate(3, 1, 9);
        let mut passes = Vec::new();
        for _ in 0..3 {
            passes.extend(gate.admit_unnamed(now));
        }
        assert_eq!(passes.len(), 3, "they come from one address");
        assert!(gate.admit_unnamed(now).is_none());
        assert!(passes[0].name(address("192.0.2.1"), now));
        assert!(!passes[1].name(address("192.0.2.1"), now));
        assert!(passes[2].name(address("192.0.2.2"), now));
        passes.clear();
        assert_eq!(gate.open(), 0);
        assert!(gate.admit(address("192.0.2.1"), STRANGER, now).is_some());
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let (gate, now) = gate(9, 1, 9);
        let come = |text| gate.admit(address(text), STRANGER, now);
        let _first = come("2001:db8::1").unwrap();
        assert!(come("2001:db8::2").is_none());
        assert!(come("2001:db8:0:1::2").is_some());
        let _v4 = come("192.0.2.1").unwrap();
        assert!(come("::ffff:192.0.2.1").is_none());
    }

    #[test]
    fn who_has_had_time_and_not_logged_in_makes_room() {
        let (gate, now) = gate(2, 2, 2);
        let come = |text, now| gate.admit(address(text), STRANGER, now);
        let known = come("192.0.2.1", now).unwrap();
        known.keep();
        let idler = come("198.51.100.1", now).unwrap();
        assert!(come("203.0.113.1", now).is_none());
        let soon = now + PATIENCE;
        let third = come("203.0.113.1", soon).unwrap();
        assert!(idler.is_lost() && !known.is_lost() && !third.is_lost());
        assert_eq!(gate.open(), 2);
        drop(idler);
        assert_eq!(gate.open(), 2);
        drop((known, third));
        assert_eq!(gate.open(), 0);
    }

    #[test]
    fn who_is_familiar_need_not_wait_for_the_flood_to_have_had_time() {
        let (gate, now) = gate(2, 2, 2);
        let come = |text, standing| gate.admit(address(text), standing, now);
        let flood = ["198.51.100.1", "203.0.113.1"].map(|text| come(text, STRANGER).unwrap());
        assert!(come("192.0.2.1", STRANGER).is_none());
        let known = come("192.0.2.1", Standing::Familiar).unwrap();
        known.keep();
        assert_eq!(flood.iter().filter(|pass| pass.is_lost()).count(), 1);
        let second = come("192.0.2.1", Standing::Familiar).unwrap();
        second.keep();
        assert!(flood.iter().all(Pass::is_lost) && !known.is_lost());
        assert!(come("192.0.3.1", Standing::Familiar).is_none());
        assert_eq!(gate.open(), 2);
    }

    #[test]
    fn the_largest_crowd_makes_room_first() {
        let (gate, now) = gate(4, 9, 9);
        let come = |text, now| gate.admit(address(text), STRANGER, now).unwrap();
        let alone = come("192.0.2.1", now);
        let crowd = ["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(|text| come(text, now));
        let soon = now + PATIENCE;
        let _new = come("203.0.113.1", soon);
        assert!(!alone.is_lost() && crowd[0].is_lost() && !crowd[1].is_lost());
        let _newer = come("203.0.113.2", soon);
        assert!(crowd[1].is_lost() && !alone.is_lost());
    }

    #[test]
    fn nothing_is_remembered_of_who_has_gone() {
        let (gate, now) = gate(9, 9, 9);
        let passes = [1, 2, 3].map(|last| {
            gate.admit(IpAddr::from([192, 0, 2, last]), STRANGER, now)
                .unwrap()
        });
        passes[1].keep();
        drop(passes);
        let counts = gate.counts();
        assert!(counts.by_address.is_empty() && counts.by_prefix.is_empty());
        assert!(counts.crowds.members.is_empty() && counts.crowds.by_size.is_empty());
    }
}

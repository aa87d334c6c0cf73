//! Claiming: which messages are leased next.

use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::identity::UpstreamName;
use crate::mail::{Priority, QueueId};
use crate::spool::lanes::RouteKey;
use crate::spool::{Claim, Wanted, Which};

use super::{Claimed, Index, Moment, Phase};

/// What a transaction costs besides its octets, in octets: its round trips and commands.
const TRANSACTION: u64 = 1024;

/// How often messages are looked for that have waited long enough to rise.
const LOOK_FOR_AGED: Duration = Duration::from_secs(1);

impl<P: Clone> Index<P> {
    /// Leases what is due. See [`Spool::claim`](super::Spool::claim).
    pub(in crate::spool) fn claim(
        &mut self,
        claim: &Claim<'_>,
        instant: Instant,
    ) -> Vec<Claimed<P>> {
        let now = Moment {
            civil: claim.now,
            monotonic: instant,
        };
        self.note_time(now.civil);
        self.end_leases(now);
        let keys = self.lanes.ready(claim.routes, claim.now);
        let until = now.end_of_lease(claim.until);
        match claim.wanted {
            Wanted::Aged {
                from,
                before,
                which,
            } => {
                let ids = self.aged((from, before), which, &keys);
                let ids: Vec<_> = ids.take(claim.at_most).collect();
                self.lease_all(ids, claim, until)
            }
            Wanted::Late => {
                let ids = self.late(claim.now, claim.at_most);
                self.lease_all(ids, claim, until)
            }
            Wanted::Next {
                upstream,
                lowest,
                ageing,
            } => {
                if let Some(ageing) = ageing {
                    self.age(ageing, now);
                }
                let leases = (0..claim.at_most).map_while(|_| {
                    let id = self.serve(upstream, &keys, lowest)?;
                    Some(self.lease(id, claim, until))
                });
                leases.flatten().collect()
            }
        }
    }

    /// Returns the messages that are ready and began to wait before a time, by the order of their ids.
    fn aged(
        &self,
        (from, before): (QueueId, Timestamp),
        which: Which,
        keys: &[RouteKey],
    ) -> impl Iterator<Item = QueueId> {
        let ids = self.lanes.by_age(keys, from);
        // Nobody begins to wait before the time that is in the id.
        let ids = ids.take_while(move |id| *id < QueueId::first_at(before));
        ids.filter(move |id| {
            self.slots.get(id).is_some_and(|slot| {
                let is_meant = match which {
                    Which::Any => true,
                    Which::Unwarned => !slot.standing.warned.of_delay,
                };
                is_meant && slot.begins < before
            })
        })
    }

    /// Returns the messages whose deadlines have passed, and forgets these deadlines. Those that are leased or held stay
    /// for another time.
    fn late(&mut self, now: Timestamp, at_most: usize) -> Vec<QueueId> {
        let is_free = |id: &QueueId| {
            let slot = self.slots.get(id);
            slot.is_some_and(|slot| slot.phase == Phase::Idle && !slot.standing.is_held)
        };
        let passed = self.deadlines.passed(now).filter(is_free);
        let late: Vec<_> = passed.take(at_most).collect();
        for id in &late {
            self.deadlines.remove(*id);
        }
        late
    }

    /// Leases messages that wait.
    fn lease_all(
        &mut self,
        ids: Vec<QueueId>,
        claim: &Claim<'_>,
        until: Instant,
    ) -> Vec<Claimed<P>> {
        let leases = ids.into_iter().filter_map(|id| {
            let wait = self.slots.get(&id)?.wait(id);
            self.lanes.remove(wait);
            self.lease(id, claim, until)
        });
        leases.collect()
    }

    /// Takes the message out of its lane that is next.
    fn serve(
        &mut self,
        upstream: &UpstreamName,
        keys: &[RouteKey],
        lowest: Priority,
    ) -> Option<QueueId> {
        let front = self.lanes.front(upstream, keys, lowest)?;
        let size = self.slots.get(&front.id).map_or(0, |slot| slot.size);
        self.lanes
            .serve(upstream, front, size.saturating_add(TRANSACTION));
        Some(front.id)
    }

    /// Lets messages rise that have waited for long: of priority 4 to rank 3 after `ageing`, of priority 5 after twice
    /// as long. Looks for them once a second.
    fn age(&mut self, ageing: Duration, now: Moment) {
        if self
            .aged
            .is_some_and(|aged| now.monotonic < aged + LOOK_FOR_AGED)
        {
            return;
        }
        self.aged = Some(now.monotonic);
        let patience = [
            (Priority::Low, ageing),
            (Priority::VeryLow, ageing.saturating_mul(2)),
        ];
        for (rank, patience) in patience {
            let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
            let Some(before) = now.civil.unix_millis().checked_sub(patience) else {
                continue;
            };
            let before = QueueId::first_at(Timestamp::from_unix_millis(before));
            for id in self.lanes.take_older(rank, before) {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.rank = Priority::Normal;
                    self.lanes.insert_ready(slot.wait(id));
                }
            }
        }
    }

    fn lease(&mut self, id: QueueId, claim: &Claim<'_>, until: Instant) -> Option<Claimed<P>> {
        let slot = self.slots.get_mut(&id)?;
        self.last_token += 1;
        slot.token = self.last_token;
        slot.phase = Phase::Leased { until };
        self.leases.insert((until, id));
        let due = match claim.wanted {
            // Its recipients are looked after, not attempted: whether they are due does not matter.
            Wanted::Late => Timestamp::MAX,
            Wanted::Aged { .. } | Wanted::Next { .. } => {
                if slot.standing.due() > claim.now {
                    // It was due once, and the clock has been set back since.
                    slot.standing = slot.standing.due_at_once(claim.now);
                }
                claim.now
            }
        };
        let pending = slot.standing.due_by(due, claim.recipients);
        Some(Claimed {
            id,
            size: slot.size,
            route: self.lanes.route(slot.route)?.clone(),
            attempts: slot.standing.attempts_of(&pending),
            has_more: slot.standing.count_due_by(due) > pending.len(),
            pending,
            token: slot.token,
            place: slot.place.clone(),
        })
    }
}

//! One attempt: body, upstream, judgement, record, log.

use std::sync::PoisonError;
use std::time::Duration;

use tracing::Instrument as _;

use crate::body::Body;
use crate::journal::Event;
use crate::mail::{Attempt, Cause, Failure, Health, Outcome, RecipientIndex, ReversePath, Stage};
use crate::panics::{Panicked, contained};
use crate::schedule::RetryPlan;
use crate::spool::{Fate, Lease, Message, Settlement, SpoolError, Warned};
use crate::telemetry;
use crate::upstream::Order;

use super::board::Lane;
use super::chronicle;
use super::dispatcher::{FAULT, LEASE, Relay};
use super::fate::{Judgement, Verdict};

/// How long a connection pauses when the spool cannot record what became of a message.
const RECORD_PAUSE: Duration = Duration::from_secs(5);

/// How long a message waits whose body cannot be read at the moment.
const READ_AGAIN: Duration = Duration::from_mins(1);

impl Relay {
    /// Tries to relay a message and records what came of it.
    pub(super) async fn attempt(&self, lane: &Lane, lease: Lease) {
        let span = tracing::info_span!(
            "attempt",
            queue_id = %lease.id,
            upstream = %lane.upstream.name(),
            attempt = lease.attempts + 1
        );
        self.attempt_in_span(lane, lease).instrument(span).await;
    }

    async fn attempt_in_span(&self, lane: &Lane, mut lease: Lease) {
        let judgement = self.judgement(lane.plan, &lease.message);
        if judgement.has_lapsed(&lease) {
            // Recorded or owed, nobody relays it any more.
            let _recorded = self.attend_in_span(&judgement, lease).await;
            return;
        }
        let body = match self.spool.body(lease.id).await {
            Ok(body) => body,
            Err(error) => return self.unreadable(&judgement, lease, &error).await,
        };
        let began = self.clock.instant();
        let attempt = self.hand_over(lane, &mut lease, body).await;
        self.note_health(lane, &attempt, began);
        let judgement = self.judgement(lane.plan, &lease.message);
        let via = attempt.via;
        let verdict = judgement.verdict(&lease, attempt);
        log_fates(&lease, &verdict.fates);
        self.journal.record(lease.id, || {
            let took = self.clock.instant().saturating_duration_since(began);
            chronicle::attempt(&lease, lane.upstream.name(), via, &verdict.fates, took)
        });
        if self.settle(&judgement, lease, verdict).await == Recorded::No {
            // What cannot be recorded would be relayed twice after a crash, so there must not be much of it.
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }

    /// Makes the attempt, and extends the lease while it runs. Where it panics, the message is put off like any other: one
    /// that makes every attempt panic is tried ever less often, and its sender told in the end.
    async fn hand_over(&self, lane: &Lane, lease: &mut Lease, body: Box<dyn Body>) -> Attempt {
        let message = std::sync::Arc::clone(&lease.message);
        let recipients = lease.pending.clone();
        let order = Order {
            envelope: &message.envelope,
            recipients: &recipients,
            priority: message.priority,
            body,
        };
        let mut attempt = std::pin::pin!(contained(lane.upstream.attempt(order)));
        loop {
            if let Ok(attempt) = tokio::time::timeout(LEASE / 2, &mut attempt).await {
                return attempt.unwrap_or_else(|panicked| panicked_attempt(&recipients, panicked));
            }
            let until = self.clock.now().after(LEASE);
            if let Err(error) = self.spool.extend(lease, until).await {
                tracing::warn!(error = telemetry::chain(&error), "cannot extend the lease");
            }
        }
    }

    async fn unreadable(&self, judgement: &Judgement, lease: Lease, error: &SpoolError) {
        tracing::error!(error = telemetry::chain(error), "cannot read the message");
        if matches!(error, SpoolError::Corrupt(_)) {
            // The spool has set it aside; there is nothing left to settle.
            self.journal.record(lease.id, || Event::Damaged);
            return;
        }
        let reason = Failure::new(
            Stage::Content,
            Cause::Broken("the spool could not be read".into()),
        );
        let due = self.clock.now().after(READ_AGAIN);
        let fate = Fate::Retry { due, reason };
        let fates = lease
            .pending
            .iter()
            .map(|index| (*index, fate.clone()))
            .collect();
        // Recorded or owed, the message waits.
        let verdict = Verdict::unattempted(fates);
        let _recorded = self.settle(judgement, lease, verdict).await;
    }

    /// Looks after a message that nobody attempts: ends it where its lifetime is over, or the deadline after which it must
    /// not be relayed, and warns its sender where it is late. Gives the lease back where there is nothing to do.
    pub(super) async fn attend(&self, plan: RetryPlan, lease: Lease) -> Recorded {
        let judgement = self.judgement(plan, &lease.message);
        let span = waiting_span(&lease);
        self.attend_in_span(&judgement, lease)
            .instrument(span)
            .await
    }

    async fn attend_in_span(&self, judgement: &Judgement, lease: Lease) -> Recorded {
        if let Some(verdict) = judgement.overdue(&lease) {
            log_fates(&lease, &verdict.fates);
            self.journal
                .record(lease.id, || chronicle::expired(&lease, &verdict.fates));
            return self.settle(judgement, lease, verdict).await;
        }
        let verdict = Verdict::default();
        if judgement.news(&lease, &verdict).warned == Warned::default() {
            self.spool.give_back(lease).await;
            return Recorded::Yes;
        }
        self.settle(judgement, lease, verdict).await
    }

    fn judgement(&self, plan: RetryPlan, message: &Message) -> Judgement {
        self.note_moves();
        let now = self.clock.now();
        let standstill = self.board().standstill(&message.route, now);
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        Judgement {
            plan,
            now,
            stood: standstill.since(message.begins()),
            spread: chance.next_fraction(),
        }
    }

    /// Records a verdict and the report it calls for. Where the record cannot be made now, the spool owes it.
    ///
    /// Where another batch of recipients follows at once, the sender is told of all of them together.
    async fn settle(&self, judgement: &Judgement, lease: Lease, verdict: Verdict) -> Recorded {
        let (id, fates, counts) = (lease.id, verdict.fates.clone(), verdict.counts);
        let whole = verdict.after(&lease.untold);
        let news = judgement.news(&lease, &whole);
        let (warned, untold, report) = if lease.has_more && !fates.is_empty() {
            (Warned::default(), whole.untold(&news), None)
        } else {
            let report = self.report(&lease, &whole, &news).await;
            (news.warned, Vec::new(), report)
        };
        if warned != Warned::default() && report.is_some() {
            tracing::info!("sender warned of the delay");
        }
        let events: Vec<_> = report
            .iter()
            .filter(|_| self.journal.is_on())
            .map(|report| chronicle::report(id, report))
            .collect();
        let settlement = Settlement {
            lease,
            fates,
            warned,
            untold,
            counts,
            reports: report.into_iter().collect(),
        };
        match self.spool.settle(settlement).await {
            Ok(reports) => {
                for (report, event) in reports.into_iter().zip(events) {
                    self.journal.record(id, || Event::Reported { report });
                    self.journal.record(report, || event);
                }
                Recorded::Yes
            }
            Err(error @ SpoolError::LeaseLost(_)) => {
                tracing::warn!(
                    error = telemetry::chain(&error),
                    "cannot record the attempt"
                );
                Recorded::Yes
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::error!(
                    alert = FAULT,
                    error,
                    "cannot record the attempt now; the record is owed"
                );
                self.raise_fault("cannot record an attempt now", &error);
                Recorded::No
            }
        }
    }
}

/// Whether what became of a message is on stable storage, or nobody's business any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recorded {
    No,
    Yes,
}

/// What became of an attempt that panicked: nobody knows how far it had come, and the upstream is not to blame.
fn panicked_attempt(recipients: &[RecipientIndex], panicked: Panicked) -> Attempt {
    let cause = Cause::Broken(panicked.to_string().into());
    let unknown = Outcome::Unknown(Failure::new(Stage::Content, cause));
    let outcomes = recipients.iter();
    Attempt {
        outcomes: outcomes.map(|index| (*index, unknown.clone())).collect(),
        health: Health::Good,
        host: None,
        via: None,
    }
}

/// The span of what happens to a message that nobody attempts.
fn waiting_span(lease: &Lease) -> tracing::Span {
    tracing::info_span!("waiting", queue_id = %lease.id)
}

/// One event for each recipient: what became of it.
fn log_fates(lease: &Lease, fates: &[(RecipientIndex, Fate)]) {
    let envelope = &lease.message.envelope;
    for (index, fate) in fates {
        let Some(recipient) = envelope.recipients.get(usize::from(index.0)) else {
            continue;
        };
        let forward_path = &recipient.forward_path;
        match fate {
            Fate::Relayed(response) => {
                let reply = response.to_string();
                tracing::info!(%forward_path, code = response.code, reply, "relayed");
            }
            Fate::Retry { due, reason } => {
                tracing::info!(%forward_path, error = reason.to_string(), %due, "deferred");
            }
            Fate::Bounce(failure) => {
                tracing::info!(%forward_path, error = failure.to_string(), "bounced");
            }
            Fate::Expire(failure) => {
                tracing::info!(%forward_path, error = failure.to_string(), "expired");
            }
        }
    }
    let is_lost = |(_, fate): &(_, Fate)| matches!(fate, Fate::Bounce(_) | Fate::Expire(_));
    if envelope.reverse_path == ReversePath::Null && fates.iter().any(is_lost) {
        tracing::warn!("the message has no sender to report to; it ends here");
    }
}

#[cfg(test)]
mod tests;

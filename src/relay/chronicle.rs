//! What the journal is told of attempts, of what became of recipients, and of reports.

use std::time::Duration;

use crate::identity::UpstreamName;
use crate::journal::{self, Event, MAX_NAMED, RecipientFate, RecipientNote};
use crate::mail::{Channel, QueueId, RecipientIndex, Via};
use crate::spool::{Fate, Lease, Report};

/// Returns the event of an attempt.
pub(super) fn attempt(
    lease: &Lease,
    upstream: &UpstreamName,
    via: Option<Via>,
    fates: &[(RecipientIndex, Fate)],
    took: Duration,
) -> Event {
    let (recipients, recipients_left_out) = notes(lease, fates);
    Event::Attempt(journal::Attempt {
        number: lease.attempts.saturating_add(1),
        upstream: upstream.to_string(),
        address: via.map(|via| via.address),
        channel: via.map_or(journal::Channel::Failed, |via| match via.channel {
            Channel::Failed => journal::Channel::Failed,
            Channel::Plain => journal::Channel::Plain,
            Channel::Tls(_) => journal::Channel::Tls,
        }),
        tls: via.and_then(|via| match via.channel {
            Channel::Tls(tls) => Some(tls.into()),
            Channel::Failed | Channel::Plain => None,
        }),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        recipients,
        recipients_left_out,
    })
}

/// Returns the event of a message whose lifetime ended without an attempt.
pub(super) fn expired(lease: &Lease, fates: &[(RecipientIndex, Fate)]) -> Event {
    let (recipients, left_out) = notes(lease, fates);
    Event::Expired {
        recipients,
        left_out,
    }
}

/// Returns the event of a report about a message.
pub(super) fn report(of: QueueId, report: &Report) -> Event {
    let message = &report.message;
    let recipient = message.envelope.recipients.first();
    Event::Report(journal::Report {
        of,
        recipient: recipient
            .map(|recipient| recipient.forward_path.mailbox().to_string())
            .unwrap_or_default(),
        size: report.octets.len() as u64,
        route: message
            .route
            .upstreams()
            .iter()
            .map(ToString::to_string)
            .collect(),
    })
}

fn notes(lease: &Lease, fates: &[(RecipientIndex, Fate)]) -> (Vec<RecipientNote>, usize) {
    let note = |(index, fate): &(RecipientIndex, Fate)| {
        let recipients = &lease.message.envelope.recipients;
        let recipient = recipients.get(usize::from(index.0))?;
        let (word, text, due) = match fate {
            Fate::Bounce(failure) => (RecipientFate::Bounced, failure.to_string(), None),
            Fate::Expire(failure) => (RecipientFate::Expired, failure.to_string(), None),
            Fate::Relayed(response) => (RecipientFate::Relayed, response.to_string(), None),
            Fate::Retry { due, reason } => {
                (RecipientFate::Deferred, reason.to_string(), Some(*due))
            }
        };
        Some(RecipientNote {
            address: recipient.forward_path.mailbox().to_string(),
            fate: word,
            text,
            due,
        })
    };
    let notes = fates.iter().take(MAX_NAMED).filter_map(note).collect();
    (notes, fates.len().saturating_sub(MAX_NAMED))
}

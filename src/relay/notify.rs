//! Reports to senders: which failures are told, and the messages that tell them.

use crate::mail::dsn::{Action, Dsn, MAX_RETURNED_HEADER, Original};
use crate::mail::{
    Date, DsnReturn, Envelope, Notify, Priority, Recipient, RecipientIndex, ReversePath,
};
use crate::spool::{Fate, Lease, Message, Report};
use crate::telemetry;

use super::dispatcher::Relay;

/// The largest message that a report returns whole where RET=FULL asks for it, in octets.
const MAX_RETURNED: usize = 1 << 20;

impl Relay {
    /// Writes the reports that the fates of a message call for: none for a null reverse-path (RFC 5321 §6.1), and
    /// none about recipients whose NOTIFY does not ask for it (RFC 3461 §4.1).
    pub(super) async fn reports(
        &self,
        lease: &Lease,
        fates: &[(RecipientIndex, Fate)],
    ) -> Vec<Report> {
        let ReversePath::Mailbox(sender) = &lease.message.envelope.reverse_path else {
            return Vec::new();
        };
        let told: Vec<_> = fates
            .iter()
            .filter_map(|(index, fate)| told(lease, *index, fate))
            .collect();
        if told.is_empty() {
            return Vec::new();
        }
        let (octets, is_whole) = self.beginning(lease).await;
        let now = self.clock.now();
        let report = Dsn {
            hostname: &self.settings.hostname,
            from: &self.settings.sender,
            from_name: &self.settings.sender_name,
            date: Date::from(now),
            queue_id: lease.id,
            envelope: &lease.message.envelope,
            accepted: Date::from(lease.message.accepted),
            original: if is_whole {
                Original::Whole(&octets)
            } else {
                Original::Beginning(&octets)
            },
            remote: None,
            recipients: &told,
        }
        .write();
        let Some(report) = report else {
            return Vec::new();
        };
        let envelope = Envelope {
            body: report.body,
            smtputf8: report.smtputf8,
            recipients: vec![Recipient {
                notify: Some(Notify::NEVER),
                ..Recipient::new(sender.clone().into())
            }],
            ..Envelope::new(ReversePath::Null)
        };
        let message = Message {
            envelope,
            account: lease.message.account.clone(),
            tenant: lease.message.tenant.clone(),
            route: lease.message.route.clone(),
            priority: Priority::Normal,
            accepted: now,
            due: now,
            peer: None,
            message_id: None,
        };
        vec![Report {
            message,
            octets: report.octets,
        }]
    }

    /// Reads as much of a message as its report may return; tells whether that is all of it.
    async fn beginning(&self, lease: &Lease) -> (Vec<u8>, bool) {
        let wants_all = lease.message.envelope.ret == Some(DsnReturn::Full);
        let enough = if wants_all {
            MAX_RETURNED
        } else {
            MAX_RETURNED_HEADER
        };
        let mut octets = Vec::new();
        match self.spool.body(lease.id).await {
            Ok(mut body) => {
                while octets.len() <= enough {
                    match body.next().await {
                        Ok(Some(piece)) => octets.extend_from_slice(&piece),
                        Ok(None) => return (octets, true),
                        Err(error) => {
                            tracing::warn!(error = %error, "the report returns less of the message");
                            break;
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(
                error = telemetry::chain(&error),
                "the report returns no message"
            ),
        }
        octets.truncate(enough);
        (octets, false)
    }
}

fn told<'a>(
    lease: &Lease,
    index: RecipientIndex,
    fate: &'a Fate,
) -> Option<(RecipientIndex, Action<'a>)> {
    let recipient = lease
        .message
        .envelope
        .recipients
        .get(usize::from(index.0))?;
    let action = match fate {
        Fate::Bounce(failure) => Action::Failed(failure),
        Fate::Expire(failure) => Action::Expired(failure),
        Fate::Relayed(_) | Fate::Retry { .. } => return None,
    };
    recipient.wants_failure_report().then_some((index, action))
}

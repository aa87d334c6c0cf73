//! The messages that tell a sender what became of its own.

use crate::identity::Route;
use crate::mail::dsn::{Action, Dsn, MAX_RETURNED_HEADER, Original};
use crate::mail::{Date, Envelope, Mailbox, Notify, Recipient, ReversePath, TlsRequest};
use crate::spool::{Lease, Message, Report};
use crate::telemetry;

use super::dispatcher::Relay;
use super::fate::Verdict;
use super::news::News;

/// The largest message that a report returns whole where RET=FULL asks for it, in octets.
const MAX_RETURNED: usize = 1 << 20;

impl Relay {
    /// Writes the report of what is new, if anything is told.
    pub(super) async fn report(
        &self,
        lease: &Lease,
        verdict: &Verdict,
        news: &News<'_>,
    ) -> Option<Report> {
        let ReversePath::Mailbox(sender) = &lease.message.envelope.reverse_path else {
            return None;
        };
        if news.told.is_empty() {
            return None;
        }
        let (octets, is_whole) = self.beginning(lease, returned(lease, news)).await;
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
            remote: verdict.host.as_deref(),
            attempted: &verdict.attempted,
            recipients: &news.told,
        }
        .write()?;
        let envelope = Envelope {
            body: report.body,
            smtputf8: report.smtputf8,
            recipients: vec![Recipient {
                notify: Some(Notify::NEVER),
                ..Recipient::new(sender.clone().into())
            }],
            // RFC 6710 §4.6: it is as urgent as its message.
            mt_priority: lease.message.envelope.mt_priority,
            tls: tls_of_report(lease.message.envelope.tls),
            ..Envelope::new(ReversePath::Null)
        };
        let message = Message {
            envelope,
            account: lease.message.account.clone(),
            tenant: lease.message.tenant.clone(),
            route: self.route_of_report(&lease.message, sender),
            priority: lease.message.priority,
            accepted: now,
            due: now,
            peer: None,
            message_id: None,
            held: None,
        };
        Some(Report {
            message,
            octets: report.octets,
        })
    }

    /// Returns where a report goes: where any mail of the account to its sender would. Where that is nowhere any more it
    /// goes the way of the message that it is about.
    fn route_of_report(&self, about: &Message, recipient: &Mailbox) -> Route {
        let routes = self.routes();
        let account = about.account.as_ref();
        let chosen = account.and_then(|account| routes.route_to(account, recipient));
        chosen.map_or_else(|| about.route.clone(), |choice| choice.route.clone())
    }

    /// Reads up to `enough` octets of a message; tells whether that is all of it.
    async fn beginning(&self, lease: &Lease, enough: usize) -> (Vec<u8>, bool) {
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

/// A report repeats the header of its message, and is protected as that was (RFC 8689 §5).
const fn tls_of_report(asked: TlsRequest) -> TlsRequest {
    match asked {
        TlsRequest::Required => TlsRequest::Required,
        TlsRequest::Optional | TlsRequest::Unsaid => TlsRequest::Unsaid,
    }
}

/// Returns how much of the message its report may return: the header, but where a recipient is lost and RET=FULL
/// (RFC 3461 §4.3).
fn returned(lease: &Lease, news: &News<'_>) -> usize {
    let is_lost = |action: &Action<'_>| match action {
        Action::Expired(_) | Action::Failed(_) | Action::Lapsed(_) => true,
        Action::Delayed { .. }
        | Action::Delivered(_)
        | Action::Late { .. }
        | Action::Relayed { .. } => false,
    };
    let wants_all = lease.message.envelope.wants_whole_message();
    if wants_all && news.told.iter().any(|(_, action)| is_lost(action)) {
        MAX_RETURNED
    } else {
        MAX_RETURNED_HEADER
    }
}

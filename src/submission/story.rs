//! What the journal is told of an accepted message: from where, as whom, why, and how urgent.

use std::net::IpAddr;

use crate::identity::{Identity, Label, Proof};
use crate::journal::{Accepted, Encryption, Event, MAX_NAMED, PriorityBasis, PriorityNote};
use crate::mail::{Priority, QueueId};
use crate::message::Change;
use crate::policy::{Denial, Reason};
use crate::smtp::server::TlsFacts;
use crate::spool::Message;

/// Why a message was taken.
#[derive(Clone, Debug)]
pub(super) enum Grounds {
    /// Its senders are authorized.
    Allowed(Reason),
    /// They were not; what was changed, and why they are now.
    Rewritten(Vec<Change>, Reason),
    /// They are not, and the message is held.
    Held(Denial),
    /// They are not, and the account's mail is relayed all the same.
    Unauthorized(Denial),
}

impl Grounds {
    /// Returns in one bounded line what decided: which grant covers which sender, or what is wrong with one.
    pub(super) fn audit(&self) -> String {
        let reasons = match self {
            Self::Allowed(reason) | Self::Rewritten(_, reason) => reason.describe(AUDITED + 1),
            Self::Held(denial) | Self::Unauthorized(denial) => vec![denial.to_string()],
        };
        let shown = reasons.iter().take(AUDITED).map(String::as_str);
        let mut line = shown.collect::<Vec<_>>().join("; ");
        if reasons.len() > AUDITED {
            line.push_str("; and more");
        }
        format!("{line:.MAX_AUDIT$}")
    }

    /// Returns why the message is held, if it is.
    pub(super) fn hold(&self) -> Option<Box<str>> {
        match self {
            Self::Held(denial) => Some(denial.to_string().into()),
            Self::Allowed(_) | Self::Rewritten(..) | Self::Unauthorized(_) => None,
        }
    }
}

/// How many of the senders of a message one line of the log names with their grants. The journal has more.
const AUDITED: usize = 5;

/// The longest such line, in characters.
const MAX_AUDIT: usize = 1000;

/// A priority that a message asks for, and by what.
pub(super) type Claimed = (Priority, PriorityBasis);

/// What is remembered of a message until it is durable.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) session: u64,
    pub(super) peer: IpAddr,
    pub(super) tls: Option<TlsFacts>,
    pub(super) identity: Identity,
    /// The name of the application password that it came with.
    pub(super) app_password: Option<Label>,
    pub(super) grounds: Grounds,
    pub(super) own_priority: Priority,
    pub(super) claimed: Option<Claimed>,
}

/// Returns what a message asks for: by MT-PRIORITY, else by its other fields.
pub(super) fn claim(
    mt_priority: Option<Priority>,
    of_header: Option<Priority>,
    field: Option<&'static str>,
) -> Option<Claimed> {
    let exact = mt_priority.map(|claimed| (claimed, PriorityBasis::MtPriority));
    exact.or_else(|| Some((of_header?, PriorityBasis::of_field(field?))))
}

impl Story {
    /// Returns the event, given the message and its octets.
    ///
    /// `siblings` are the other messages that its transaction became.
    pub(super) fn tell(&self, message: &Message, size: u64, siblings: &[QueueId]) -> Event {
        let recipients = &message.envelope.recipients;
        let (allowed, unauthorized) = match &self.grounds {
            Grounds::Allowed(reason) | Grounds::Rewritten(_, reason) => {
                (reason.describe(MAX_NAMED), None)
            }
            Grounds::Held(denial) | Grounds::Unauthorized(denial) => {
                (Vec::new(), Some(denial.to_string()))
            }
        };
        let rewritten = match &self.grounds {
            Grounds::Rewritten(changes, _) => changes.iter().map(ToString::to_string).collect(),
            Grounds::Allowed(_) | Grounds::Held(_) | Grounds::Unauthorized(_) => Vec::new(),
        };
        Event::Accepted(Box::new(Accepted {
            session: self.session,
            peer: self.peer,
            tls: self.tls.as_ref().map(|tls| Encryption {
                version: tls.version.to_owned(),
                cipher: tls.cipher.to_owned(),
            }),
            account: self.identity.account.to_string(),
            tenant: self.identity.tenant.as_ref().map(ToString::to_string),
            proof: match self.identity.proof {
                Proof::Certificate => "certificate",
                Proof::Network => "network",
                Proof::Operator => "operator",
                Proof::Password => "password",
                Proof::Token => "token",
            }
            .to_owned(),
            app_password: self.app_password.as_ref().map(ToString::to_string),
            reverse_path: message.envelope.reverse_path.to_string(),
            recipients: recipients
                .iter()
                .take(MAX_NAMED)
                .map(|recipient| recipient.forward_path.mailbox().to_string())
                .collect(),
            recipients_left_out: recipients.len().saturating_sub(MAX_NAMED),
            size,
            message_id: message.message_id.as_deref().map(str::to_owned),
            allowed,
            unauthorized,
            rewritten,
            is_held: message.held.is_some(),
            siblings: siblings.iter().map(ToString::to_string).collect(),
            priority: PriorityNote::new(message.priority, self.own_priority, self.claimed),
            route: message
                .route
                .upstreams()
                .iter()
                .map(ToString::to_string)
                .collect(),
            due: (message.due > message.accepted).then_some(message.due),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mt_priority_comes_before_the_other_fields() {
        let field = Some("X-Priority");
        assert_eq!(
            claim(Some(Priority::High), Some(Priority::Low), field),
            Some((Priority::High, PriorityBasis::MtPriority))
        );
        assert_eq!(
            claim(None, Some(Priority::Low), field),
            Some((Priority::Low, PriorityBasis::XPriority))
        );
        assert_eq!(claim(None, None, None), None);
    }
}

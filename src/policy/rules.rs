//! What an account may send as.

use crate::mail::{Domain, Mailbox};

/// One entry of `authorized_domains` or `authorized_senders`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Grant {
    /// Every mailbox of exactly this domain.
    Domain(Domain),
    /// Exactly this mailbox; letter case does not count.
    Mailbox(Mailbox),
    /// Every mailbox of every domain below this one, not of itself: `*.example.com`.
    Subdomains(Domain),
}

/// All that an account may send as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Grants {
    /// Any sender: both lists are empty. Never the result of a list that could not be read.
    Anyone,
    /// These and no others.
    Only(Vec<Grant>),
}

/// How senders of an account are judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What the account may send as.
    pub grants: Grants,
    /// Whether the header is judged, or the reverse-path alone (`check_header_from`).
    pub scope: Scope,
    /// Whether `+detail` in a local part counts (`plus_addressing`).
    pub detail: Detail,
    /// What happens to a message of an unauthorized sender.
    pub on_unauthorized: OnUnauthorized,
}

/// Which senders of a message are judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// The reverse-path alone.
    Envelope,
    /// The reverse-path, and `From:`, `Sender:`, `Resent-From:` and `Resent-Sender:` of the header.
    #[default]
    EnvelopeAndHeader,
}

/// Whether `info+x@d` counts as `info@d`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Detail {
    /// It does: `plus_addressing = true`.
    Ignored,
    /// It does not.
    #[default]
    Significant,
}

/// What happens to a message of an unauthorized sender.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum OnUnauthorized {
    /// It is relayed, and an alert is raised.
    Alert,
    /// It is accepted and waits until an operator releases it, and an alert is raised.
    Hold,
    /// It is refused with 550 5.7.1, and an alert is raised.
    #[default]
    Reject,
    /// This sender takes the place of what is not authorized. It is one that the account may send as.
    Rewrite(Mailbox),
}

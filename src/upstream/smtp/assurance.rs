//! How sure a connection is, and how sure a message wants it.

use crate::mail::{
    Cause, Envelope, Failure, Health, Outcome, ReversePath, Stage, TlsRequest, VERIFIED_TLS,
};
use crate::upstream::classify::Judgement;

/// What is known of the server at the other end of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Assurance {
    /// Nothing, or that it is encrypted.
    #[default]
    Unproved,
    /// It is encrypted, the server's name comes from a source that cannot be forged, and the server has proved by its
    /// certificate that it is the one of that name (RFC 8689 §2).
    Verified,
}

/// What a message needs of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// What the settings say, and the server's domain.
    Any,
    /// What the settings say; what the domain says is good, but no condition: `TLS-Required: No` (RFC 8689 §4.2.2).
    Lenient,
    /// A verified server that offers REQUIRETLS (RFC 8689 §4.2.1).
    Verified,
}

impl Need {
    /// Returns what a message needs. A report, which has no reverse-path, is not dropped for want of REQUIRETLS
    /// (RFC 8689 §5).
    pub(super) const fn of(envelope: &Envelope) -> Self {
        match (envelope.tls, &envelope.reverse_path) {
            (TlsRequest::Optional, _) => Self::Lenient,
            (TlsRequest::Required, ReversePath::Mailbox(_)) => Self::Verified,
            (TlsRequest::Required, ReversePath::Null) | (TlsRequest::Unsaid, _) => Self::Any,
        }
    }
}

/// What a server lacks for REQUIRETLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lack {
    Extension,
    Verification,
}

impl Lack {
    /// Returns what is lacking, if anything is.
    pub(super) const fn of(assurance: Assurance, offers_require_tls: bool) -> Option<Self> {
        match (assurance, offers_require_tls) {
            (Assurance::Verified, true) => None,
            (Assurance::Verified, false) => Some(Self::Extension),
            (Assurance::Unproved, _) => Some(Self::Verification),
        }
    }

    /// RFC 8689 §4.2.1: 5.7.30 and 5.7.10, and the sender is told.
    pub(super) fn failure(self) -> Failure {
        let capability = match self {
            Self::Extension => "REQUIRETLS",
            Self::Verification => VERIFIED_TLS,
        };
        Failure::new(Stage::Sender, Cause::Capability(capability))
    }

    /// Judges a server that lacks it: the message cannot go there, others can.
    pub(super) fn judgement(self) -> Judgement {
        Judgement {
            outcome: Outcome::Rejected(self.failure()),
            health: Health::Good,
        }
    }
}

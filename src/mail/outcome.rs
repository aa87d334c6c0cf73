//! What became of an attempt to relay a message.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::defect::Unusable;
use super::status::{Class, EnhancedStatusCode};

/// The place of a recipient in [`Envelope::recipients`](super::Envelope::recipients).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecipientIndex(pub u16);

/// What one attempt gave: an outcome for each recipient it was made for, and how the upstream as a whole fared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// One outcome for each recipient of the attempt.
    pub outcomes: Vec<(RecipientIndex, Outcome)>,
    /// What the attempt says about the upstream.
    pub health: Health,
    /// The name of the host that was spoken to last, where one was.
    pub host: Option<Box<str>>,
    /// The connection it went over, or the last address that was tried; `None` where there was none.
    pub via: Option<Via>,
}

/// The connection that an attempt went over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Via {
    /// The upstream's address and port.
    pub address: SocketAddr,
    /// What came about there.
    pub channel: Channel,
}

/// What a connection is, as far as one came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channel {
    /// None on which mail could be handed over.
    Failed,
    /// Plain text.
    Plain,
    /// Encrypted.
    Tls(TlsVia),
}

/// How a connection was encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TlsVia {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
}

/// What became of one recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The upstream has taken over the message for this recipient.
    Relayed(Response, Handover),
    /// Not now; another attempt may succeed.
    Deferred(Failure),
    /// Never; the sender is told.
    Rejected(Failure),
    /// The connection broke after the end of data and before the reply: the upstream may have the message or not.
    /// It is tried again, so a copy is possible, a loss is not.
    Unknown(Failure),
}

/// How an upstream has taken a message over: who reports to its sender from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handover {
    /// Into the place where it stays, such as a mailbox: there is nothing more to come.
    Final,
    /// To a server that sends it on.
    Onward {
        /// Who answers for NOTIFY (RFC 3461 §5.2).
        dsn: Duty,
        /// Who answers for BY (RFC 2852 §4.1.4).
        deliver_by: Duty,
    },
}

/// Who answers for what a sender has asked for, once an upstream has the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Duty {
    /// The upstream does not know the extension: this relay, at the handover and for the last time.
    Ours,
    /// The upstream, which was given the parameters.
    Passed,
}

impl Duty {
    /// Returns who answers, by whether the upstream offers the extension.
    pub const fn passed_where(is_offered: bool) -> Self {
        if is_offered { Self::Passed } else { Self::Ours }
    }
}

/// What an upstream lacks that has not proved over TLS who it is, for [`Cause::Capability`].
pub const VERIFIED_TLS: &str = "TLS with a certificate that proves who it is";

/// Why an attempt did not succeed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{stage}: {cause}")]
pub struct Failure {
    /// How far the attempt had come.
    pub stage: Stage,
    /// What went wrong there.
    pub cause: Cause,
}

impl Failure {
    /// Makes a failure.
    pub const fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }

    /// Returns the status for a DSN: the upstream's own, or the one that fits stage and cause (RFC 3463 §3).
    ///
    /// The class is always 4 or 5, as `class` says.
    pub fn status(&self, class: Class) -> EnhancedStatusCode {
        let own = self.cause.response().and_then(|response| response.status);
        let (subject, detail) = match (own, self.stage, &self.cause) {
            (Some(status), ..) => (status.subject(), status.detail()),
            (None, _, Cause::Expired) => (4, 7),
            (None, _, Cause::Capability("SMTPUTF8")) => (6, 7),
            (None, _, Cause::Capability("BINARYMIME")) => (6, 3),
            (None, _, Cause::Capability("REQUIRETLS")) => (7, 30),
            (None, _, Cause::Capability(VERIFIED_TLS)) => (7, 10),
            (None, Stage::Resolve, _) => (4, 4),
            (None, Stage::Connect, Cause::Broken(_) | Cause::Timeout) => (4, 1),
            (None, _, Cause::Broken(_) | Cause::Timeout) => (4, 2),
            (None, Stage::Authenticate | Stage::Tls, _) => (7, 0),
            (None, _, Cause::Capability("messages of this size")) => (3, 4),
            (None, _, Cause::Capability(_)) => (3, 3),
            (None, Stage::Connect, _) => (4, 1),
            (None, Stage::Sender, _) => (1, 8),
            (None, Stage::Recipient, _) => (1, 1),
            (None, Stage::Content | Stage::Final, _) => (6, 0),
            (None, Stage::Greeting, _) => (3, 2),
        };
        EnhancedStatusCode::new(class, subject, detail)
    }
}

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// Looking up the upstream's name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Waiting for the greeting, or EHLO.
    Greeting,
    /// STARTTLS, handshake, certificate.
    Tls,
    /// Login.
    Authenticate,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA or BDAT, and the message itself.
    Content,
    /// The reply after the end of data.
    Final,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up the upstream",
            Self::Connect => "connecting",
            Self::Greeting => "greeting",
            Self::Tls => "starting TLS",
            Self::Authenticate => "logging in",
            Self::Sender => "giving the sender",
            Self::Recipient => "giving the recipient",
            Self::Content => "sending the message",
            Self::Final => "waiting for the final reply",
        })
    }
}

/// What went wrong. Texts are for people, printable, without line breaks or secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Cause {
    /// The connection could not be made, broke or was closed.
    #[error("{0}")]
    Broken(Box<str>),
    /// The message needs something that the upstream does not offer, such as SMTPUTF8.
    #[error("the upstream does not offer {0}")]
    Capability(&'static str),
    /// The message has been in the queue for its whole lifetime.
    #[error("the message could not be relayed within its lifetime")]
    Expired,
    /// The upstream answered.
    #[error("the upstream answered {0}")]
    Response(Response),
    /// No answer came in time.
    #[error("no answer in time")]
    Timeout,
    /// The upstream cannot be used as configured: wrong certificate, no STARTTLS where it is required.
    #[error("{0}")]
    Unusable(Unusable),
}

impl Cause {
    /// Returns what the upstream answered, if it did.
    pub const fn response(&self) -> Option<&Response> {
        match self {
            Self::Response(response) => Some(response),
            Self::Broken(_)
            | Self::Capability(_)
            | Self::Expired
            | Self::Timeout
            | Self::Unusable(_) => None,
        }
    }
}

/// An SMTP reply or HTTP answer received from an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The SMTP reply code, such as 250.
    pub code: u16,
    /// The enhanced status code, if there was one.
    pub status: Option<EnhancedStatusCode>,
    /// The text without codes; lines are joined by a space. Printable, at most 512 octets.
    pub text: Box<str>,
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        write!(f, " {}", self.text)
    }
}

/// What an attempt says about the upstream as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// It answers.
    Good,
    /// It asked for fewer or later messages.
    Throttled {
        /// How long it asked to wait, if it said so.
        pause: Option<Duration>,
    },
    /// It cannot be reached, or its answers make no sense.
    Unreachable,
    /// A person must repair something: credentials, certificate, TLS settings.
    Unusable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_keeps_its_own_status() {
        let response = Response {
            code: 550,
            status: EnhancedStatusCode::parse("5.1.1"),
            text: "no such user".into(),
        };
        let failure = Failure::new(Stage::Recipient, Cause::Response(response));
        assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.1.1");
        assert_eq!(
            failure.to_string(),
            "giving the recipient: the upstream answered 550 5.1.1 no such user"
        );
    }

    #[test]
    fn a_missing_smtputf8_has_status_5_6_7() {
        let failure = Failure::new(Stage::Recipient, Cause::Capability("SMTPUTF8"));
        assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.6.7");
    }

    #[test]
    fn a_message_that_is_too_large_has_status_5_3_4() {
        let failure = Failure::new(Stage::Content, Cause::Capability("messages of this size"));
        assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.3.4");
    }

    #[test]
    fn a_missing_extension_has_status_5_3_3() {
        let failure = Failure::new(Stage::Sender, Cause::Capability("DELIVERBY"));
        assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.3.3");
    }

    #[test]
    fn the_statuses_of_rfc_8689_are_used() {
        let status = |what| {
            let failure = Failure::new(Stage::Sender, Cause::Capability(what));
            failure.status(Class::PermanentFailure).to_string()
        };
        assert_eq!(status("REQUIRETLS"), "5.7.30");
        assert_eq!(status(VERIFIED_TLS), "5.7.10");
    }

    #[test]
    fn a_connection_that_is_not_made_differs_from_one_that_breaks() {
        let status = |stage| {
            let failure = Failure::new(stage, Cause::Timeout);
            failure
                .status(Class::PersistentTransientFailure)
                .to_string()
        };
        assert_eq!(status(Stage::Connect), "4.4.1");
        for stage in [Stage::Greeting, Stage::Tls, Stage::Authenticate] {
            assert_eq!(status(stage), "4.4.2");
        }
    }

    #[test]
    fn an_expired_message_has_status_4_4_7_or_5_4_7() {
        let failure = Failure::new(Stage::Connect, Cause::Expired);
        assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.4.7");
    }
}

//! What a session is told about the listener it belongs to.

use std::sync::Arc;
use std::time::Duration;

use crate::mail::Domain;
use crate::smtp::sasl::Mechanism;

use super::keyword::Keywords;

/// Settings of a session; the same for all sessions of a listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The name in greeting and EHLO.
    pub hostname: Domain,
    /// How the session comes to TLS.
    pub tls: TlsMode,
    /// When AUTH is offered.
    pub auth: AuthRule,
    /// The mechanisms of AUTH that are offered, in this order. Many a client takes the first that it knows, so each must
    /// work for every account.
    pub mechanisms: Arc<[Mechanism]>,
    /// Whether clients are asked for a certificate.
    pub certificates: CertificateRule,
    /// The keywords that EHLO does not offer, though what they stand for works: some old devices choke on them.
    pub discarded: Keywords,
    /// Whether EHLO names the mechanisms of AUTH in the old way too.
    pub auth_equals: AuthEquals,
    /// What is done with a bare CR or LF in a message.
    pub bare_newlines: BareNewlines,
    /// Bounds.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// How a listener's sessions come to TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsMode {
    /// The handshake comes before the greeting (RFC 8314 §3.3).
    Implicit,
    /// Never.
    Off,
    /// By the command STARTTLS (RFC 3207).
    StartTls,
}

impl Settings {
    /// Returns the mechanisms that every client knows and every password fits.
    pub fn default_mechanisms() -> Arc<[Mechanism]> {
        Arc::new([Mechanism::Login, Mechanism::Plain])
    }

    /// Returns these, and behind them those that take an access token: a client that has none takes the first, and one that
    /// has one looks for them by name.
    pub fn mechanisms_with_tokens() -> Arc<[Mechanism]> {
        Arc::new([
            Mechanism::Login,
            Mechanism::Plain,
            Mechanism::XOAuth2,
            Mechanism::OAuthBearer,
        ])
    }

    /// Returns these, and behind them the one for clients with a certificate: programs that take the first they know take
    /// what they took before.
    pub fn with_external(mechanisms: &[Mechanism]) -> Arc<[Mechanism]> {
        mechanisms
            .iter()
            .copied()
            .chain([Mechanism::External])
            .collect()
    }
}

/// When AUTH is offered and permitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthRule {
    /// Only inside TLS.
    AfterTls,
    /// On plain connections too.
    Always,
    /// Never: only accounts known by their network can send.
    Off,
}

/// Whether clients are asked for a certificate in the handshake.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CertificateRule {
    /// They are not.
    #[default]
    Off,
    /// They are, and serve those who have none too.
    Requested,
    /// They are, and nothing is done for those who show none that is trusted (RFC 3207 §4.1).
    Required,
}

/// Whether EHLO has a line `AUTH=LOGIN PLAIN`, which Outlook Express 4, Exchange 5 and some devices look for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthEquals {
    /// It has not.
    #[default]
    Absent,
    /// It has, behind the line of the standard (RFC 4954 §3).
    Offered,
}

/// What is done with a CR without LF or a LF without CR in a message. It never ends the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BareNewlines {
    /// The message is refused with 550 5.6.11 at its end.
    Refuse,
    /// It becomes CRLF.
    Repair,
}

/// Bounds of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest message, in octets. Announced by SIZE (RFC 1870).
    pub message_size: u64,
    /// Recipients of one message. RFC 5321 §4.5.3.1.8 asks for at least 100.
    pub recipients: u16,
    /// A command line with its CRLF, in octets.
    pub command_line: usize,
    /// A line of an AUTH exchange with its CRLF, in octets (RFC 4954 §4).
    pub auth_line: usize,
    /// A line of a message, in octets.
    pub data_line: usize,
    /// Refused commands after which the session is closed.
    pub errors: u32,
    /// Failed logins after which the session is closed.
    pub auth_failures: u32,
    /// Commands without effect (NOOP, RSET, VRFY, HELP …) between two messages.
    pub idle_commands: u32,
    /// Messages of one session.
    pub messages: u32,
    /// How long a message may be held (FUTURERELEASE, RFC 4865), in whole seconds. `None`: not offered.
    pub future_release: Option<Duration>,
    /// The least time to deliver that a sender may ask for whose message is to be returned when it is over (DELIVERBY,
    /// RFC 2852), in whole seconds. `None`: not offered.
    pub deliver_by_min: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: 50 << 20,
            recipients: 1000,
            command_line: 2048,
            auth_line: 12_288,
            data_line: 64 << 10,
            errors: 10,
            auth_failures: 3,
            idle_commands: 100,
            messages: 1_000_000,
            future_release: Some(Duration::from_hours(30 * 24)),
            deliver_by_min: Some(Duration::from_mins(1)),
        }
    }
}

/// How long a session waits for its client (RFC 5321 §4.5.3.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// The whole time from connecting to a successful login.
    pub before_auth: Duration,
    /// The next command.
    pub command: Duration,
    /// The next octets of a message.
    pub data: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            before_auth: Duration::from_mins(2),
            command: Duration::from_mins(5),
            data: Duration::from_mins(3),
            handshake: Duration::from_secs(15),
        }
    }
}

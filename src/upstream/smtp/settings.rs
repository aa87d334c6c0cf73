//! What an SMTP upstream is told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::dkim::Signers;
use crate::identity::UpstreamName;
use crate::mail::{Domain, Mailbox, Stage};
use crate::oauth;
use crate::schedule::Bandwidth;
use crate::secret::Secret;
use crate::upstream::classify::Answer;
use crate::upstream::profile::Profile;

/// Settings of an SMTP upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The configured name.
    pub name: UpstreamName,
    /// The provider, where one is named: what its answers mean.
    pub profile: Option<&'static Profile>,
    /// Host name or IP address. Certificates are checked against it.
    pub host: String,
    /// The port; 465 for implicit TLS and 587 otherwise, where nothing is configured.
    pub port: u16,
    /// Whether `host` is a domain whose MX records name the servers.
    pub mx: bool,
    /// The name in EHLO.
    pub helo: Domain,
    /// How the connection is secured.
    pub tls: TlsPolicy,
    /// How the certificate is judged.
    pub verification: Verification,
    /// What is asked about the servers besides.
    pub vouching: Vouching,
    /// The login, where the server needs one.
    pub login: Option<Login>,
    /// The reverse-path that every message has there, in the place of its own; the null one stays. Reports of servers
    /// behind go to it, so that no wishes for them are passed on (RFC 3461).
    pub envelope_sender: Option<Mailbox>,
    /// The address connections come from.
    pub local_address: Option<IpAddr>,
    /// Connections at once.
    pub connections: usize,
    /// Messages after which a connection is closed.
    pub messages_per_connection: u32,
    /// Recipients of one transaction; a message with more takes several.
    pub recipients_per_message: usize,
    /// What all connections together may send; `None` is no limit.
    pub bandwidth: Option<Bandwidth>,
    /// How long an unused connection is kept.
    pub keep_idle: Duration,
    /// Whether SMTPUTF8 is used.
    pub smtputf8: Smtputf8,
    /// What becomes of octets above 127 where 8BITMIME is not offered.
    pub eight_bit: Unfit,
    /// What becomes of lines of more than 998 octets.
    pub long_lines: Unfit,
    /// Who signs the mail that goes there; nobody where it is empty.
    pub signers: Signers,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Settings {
    /// Returns the answers that are known of this upstream.
    pub fn known(&self) -> &'static [Answer] {
        self.profile.map_or(&[], |profile| profile.answers)
    }
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsPolicy {
    /// Plain text.
    Disabled,
    /// The handshake comes before the greeting.
    Implicit,
    /// STARTTLS where it is offered and succeeds, else plain text.
    Opportunistic,
    /// STARTTLS or nothing.
    Required,
}

/// How the upstream's certificate is judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verification {
    /// It must be issued by an authority of this PEM file, for the host.
    Authority(PathBuf),
    /// Its SHA-256 must be this; nothing else counts.
    Fingerprint([u8; 32]),
    /// Anything goes. Dangerous.
    Off,
    /// It must be issued by an authority that the operating system trusts, for the host.
    SystemRoots,
}

/// Who is asked about the servers of an upstream before they are spoken to. The default asks nobody.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vouching {
    /// Their own zones, for TLSA records (RFC 7672). Not where a certificate is pinned, or none judged.
    pub dane: Dane,
    /// The domain whose MX records name them, for its policy (RFC 8461). The same.
    pub mta_sts: MtaSts,
}

/// Whether TLSA records are looked up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dane {
    /// They are not.
    #[default]
    Off,
    /// They are; mail waits where nothing can be proved.
    On,
    /// They are, unless the name servers pass no DNSSEC signatures on.
    WherePossible,
}

/// Whether policies of domains are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MtaSts {
    /// They are not asked for.
    #[default]
    Off,
    /// They are asked for, and kept.
    On,
}

/// Who logs in, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// The user name; with a token, the mailbox.
    pub username: String,
    /// What proves it.
    pub credential: Credential,
    /// Whether the login may be sent over a plain connection. CRAM-MD5 counts as a login too.
    pub over_plain_text: PlainTextLogin,
}

/// What proves who logs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// A password.
    Password(Secret),
    /// An OAuth access token that is asked for when it is needed.
    Token(Box<oauth::Settings>),
}

/// Whether a login may be sent over a plain connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PlainTextLogin {
    /// It may; written out in the configuration.
    Allowed,
    /// It may not.
    #[default]
    Forbidden,
}

/// Whether SMTPUTF8 is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Smtputf8 {
    /// Where it is offered.
    #[default]
    Auto,
    /// Never, even if offered.
    Off,
    /// Always, even if not offered.
    On,
}

/// What becomes of what the upstream may not take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unfit {
    /// It is encoded, where that breaks no signature and is possible; else it is sent as it is.
    #[default]
    Convert,
    /// It is sent as it is.
    Send,
}

/// How long an attempt waits (RFC 5321 §4.5.3.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Opening the connection, and separately the TLS handshake.
    pub connect: Duration,
    /// The greeting, and the reply to a command.
    pub command: Duration,
    /// Progress while the message is being sent.
    pub data: Duration,
    /// The reply after the end of data. Below 10 minutes means copies.
    pub final_reply: Duration,
}

impl Timeouts {
    /// Returns how long a transfer may pause in its content: half of what peers are expected to wait for progress, so that
    /// none gives up.
    pub fn longest_pause(&self) -> Duration {
        self.data / 2
    }

    /// Returns how long the reply of a stage is awaited.
    pub(super) const fn of_reply(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Connect | Stage::Resolve => self.connect,
            Stage::Final => self.final_reply,
            Stage::Authenticate
            | Stage::Content
            | Stage::Greeting
            | Stage::Recipient
            | Stage::Sender
            | Stage::Tls => self.command,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_mins(5),
            data: Duration::from_mins(3),
            final_reply: Duration::from_mins(10),
        }
    }
}

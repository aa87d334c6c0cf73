//! What a client must know.

use serde::Serialize;

/// The TLS of a port, in the words of mail clients.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Security {
    /// From the beginning: "SSL/TLS".
    Tls,
    /// By STARTTLS.
    StartTls,
    /// None.
    None,
}

impl Security {
    /// Returns the words for it that people find in their programs.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "STARTTLS",
            Self::Tls => "SSL/TLS",
        }
    }
}

/// Where a client connects, and as whom.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Access {
    /// The name of the server, for which there is a certificate.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    /// What it logs in as; `None` where it is known by its network and must not log in.
    pub(super) user: Option<String>,
    /// An address that the account may send as.
    pub(super) sender: String,
    /// The file of the authority that has issued the certificate, where the client must be told.
    pub(super) authority: Option<String>,
}

/// A recipient to put another in the place of.
pub(super) const RECIPIENT: &str = "recipient@example.net";

/// What stands where the password is to be written.
pub(super) const PASSWORD: &str = "PASSWORD";

/// The variable of the environment that programs take the password from.
pub(super) const VARIABLE: &str = "SMTP_PASSWORD";

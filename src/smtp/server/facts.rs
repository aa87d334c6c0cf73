//! What is known of a session's TLS.

use crate::smtp::sasl::scram::Key;

/// What a TLS handshake came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The exporter of TLS 1.3 that SCRAM-SHA-256-PLUS binds to (RFC 9266), where that is offered.
    pub exporter: Option<Key>,
    /// What the client's certificate is worth.
    pub certificate: ShownCertificate,
}

/// What the certificate is worth that a client has shown: whoever shows one has its private key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ShownCertificate {
    /// There is none.
    #[default]
    Absent,
    /// An active account is known by it: EXTERNAL is offered.
    Known,
    /// An authority of ours has issued it, and no account is known by it.
    Trusted,
    /// It says nothing.
    Worthless,
}

impl ShownCertificate {
    /// Returns whether it does where one is required.
    pub fn is_enough(self) -> bool {
        match self {
            Self::Absent | Self::Worthless => false,
            Self::Known | Self::Trusted => true,
        }
    }
}

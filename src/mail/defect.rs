//! Why an upstream cannot be used as it is configured.

use std::fmt;

/// What a person must look at before an upstream can be used again.
///
/// It is known while the process runs; the spool keeps the words alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Defect {
    /// Its certificate has expired.
    CertificateExpired,
    /// It shows no certificate.
    CertificateMissing,
    /// Its certificate is for other names than the configured host.
    CertificateName,
    /// Its certificate is not valid yet.
    CertificateNotYetValid,
    /// Something else is wrong with its certificate, such as a revocation.
    CertificateOther,
    /// Its certificate is not the pinned one.
    CertificatePinned,
    /// Nobody who is trusted has issued its certificate.
    CertificateUntrusted,
    /// Nothing of it can be reached from the configured local address.
    LocalAddress,
    /// It offers no login mechanism that both sides know and that may be used here.
    Mechanism,
    /// Its domain takes no mail (RFC 7505).
    NullMx,
    /// Anything that has no name here; the words tell.
    Other,
    /// The login may not cross a connection that is not encrypted.
    PlainTextLogin,
    /// It does not offer STARTTLS, which is required.
    StartTls,
    /// The other side of its port does not speak TLS.
    TlsMissing,
    /// Both sides have no version of TLS in common.
    TlsVersion,
}

/// That an upstream cannot be used, and why, in words for people: printable, without line breaks or secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unusable {
    /// What is wrong.
    pub defect: Defect,
    /// The same in words, with what only this upstream has.
    pub text: Box<str>,
}

impl Unusable {
    /// Says what is wrong.
    pub fn new(defect: Defect, text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        Self { defect, text }
    }
}

impl fmt::Display for Unusable {
    /// Writes the words alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Box<str>> for Unusable {
    fn from(text: Box<str>) -> Self {
        Self::new(Defect::Other, text)
    }
}

impl From<String> for Unusable {
    fn from(text: String) -> Self {
        Self::new(Defect::Other, text)
    }
}

impl From<&str> for Unusable {
    fn from(text: &str) -> Self {
        Self::new(Defect::Other, text)
    }
}

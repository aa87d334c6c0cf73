//! By which certificates an account is known.

use std::fmt;

/// Something that tells a client's certificate from others. An account has some, and so has each certificate; one in
/// common is enough.
///
/// Names count only where an authority vouches for them: whoever makes the list of what a certificate has leaves them out
/// otherwise. They are compared whole; there are no wildcards.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum CertificateId {
    /// The common name of its subject, to the letter.
    CommonName(Box<str>),
    /// A host name among its subject alternative names (dNSName); letter case does not count.
    Dns(Box<str>),
    /// An address among its subject alternative names (rfc822Name); letter case counts before the `@` (RFC 5280 §7.5).
    Email(Box<str>),
    /// The SHA-256 of the whole certificate.
    Fingerprint([u8; 32]),
}

/// Why a text does not tell certificates apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateIdError {
    /// It looks like a fingerprint and has another number of digits.
    #[error("a fingerprint has 64 hexadecimal digits (SHA-256)")]
    Digits,
    /// It is neither a fingerprint nor a name that certificates have.
    #[error("this is neither a fingerprint nor a host name, an address or a common name")]
    Name,
    /// It has a `*`.
    #[error("a name in a certificate is compared whole, without `*`")]
    Wildcard,
}

impl CertificateId {
    /// Parses what an operator writes: a SHA-256 fingerprint as 64 hexadecimal digits, with or without colons, also with
    /// the words before it that `openssl x509 -fingerprint -sha256` prints; an address; a host name; or `CN=` and a common
    /// name.
    ///
    /// # Errors
    /// [`CertificateIdError`] says what it looks like and is not.
    pub fn parse(text: &str) -> Result<Self, CertificateIdError> {
        let text = text.trim();
        if let Some(name) = prefixed(text, "cn=") {
            return common_name(name);
        }
        let digits = FINGERPRINT_WORDS
            .iter()
            .find_map(|words| prefixed(text, words));
        if let Some(digits) = digits {
            return fingerprint(digits);
        }
        if looks_like_fingerprint(text) {
            return fingerprint(text);
        }
        if text.contains('*') {
            return Err(CertificateIdError::Wildcard);
        }
        match text.rsplit_once('@') {
            Some((local, domain)) if is_local(local) && is_host(domain) => Ok(Self::email(text)),
            None if is_host(text) => Ok(Self::dns(text)),
            Some(_) | None => Err(CertificateIdError::Name),
        }
    }

    /// Makes that of a host name.
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase().into())
    }

    /// Makes that of an address.
    pub fn email(address: &str) -> Self {
        let folded = address.rsplit_once('@').map(|(local, domain)| {
            let domain = domain.to_ascii_lowercase();
            format!("{local}@{domain}")
        });
        Self::Email(folded.unwrap_or_else(|| address.to_owned()).into())
    }

    /// Returns whether it is a name, which counts only where an authority vouches for it.
    pub fn is_name(&self) -> bool {
        match self {
            Self::CommonName(_) | Self::Dns(_) | Self::Email(_) => true,
            Self::Fingerprint(_) => false,
        }
    }
}

impl fmt::Display for CertificateId {
    /// Writes it as it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommonName(name) => write!(f, "CN={name}"),
            Self::Dns(name) | Self::Email(name) => f.write_str(name),
            Self::Fingerprint(octets) => {
                octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

/// What may stand before the digits of a fingerprint, in any letter case.
const FINGERPRINT_WORDS: [&str; 4] = [
    "sha256 fingerprint=",
    "sha2-256 fingerprint=",
    "sha256:",
    "sha256=",
];

/// The longest common name that is taken, in octets. RFC 5280 has 64 characters; some authorities write more.
const MAX_COMMON_NAME: usize = 255;

/// No host name is longer (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// Returns what follows `start`, whose letter case does not count.
fn prefixed<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

fn common_name(name: &str) -> Result<CertificateId, CertificateIdError> {
    let is_usable =
        !name.is_empty() && name.len() <= MAX_COMMON_NAME && !name.contains(char::is_control);
    let own = || CertificateId::CommonName(name.into());
    is_usable.then(own).ok_or(CertificateIdError::Name)
}

/// Host names have no colons, and no label of theirs is as long as the shortest digest.
fn looks_like_fingerprint(text: &str) -> bool {
    let is_digits = text.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
    is_digits && (text.contains(':') || text.len() >= 32)
}

fn fingerprint(digits: &str) -> Result<CertificateId, CertificateIdError> {
    let digits = digits.trim().bytes().filter(|octet| *octet != b':');
    let digits: Option<Vec<u8>> = digits.map(nibble).collect();
    let digits = digits.ok_or(CertificateIdError::Digits)?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return Err(CertificateIdError::Digits);
    };
    let octets: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    let octets = <[u8; 32]>::try_from(octets).map_err(|_| CertificateIdError::Digits)?;
    Ok(CertificateId::Fingerprint(octets))
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn is_local(local: &str) -> bool {
    !local.is_empty() && local.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Names of one label are allowed: printers have them.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let mut octets = label.bytes();
        let is_plain = octets.all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
        (1..=63).contains(&label.len()) && is_plain
    };
    name.len() <= MAX_HOST && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits() -> String {
        "0f".repeat(32)
    }

    #[test]
    fn a_fingerprint_is_taken_as_openssl_prints_it_and_without_colons() {
        let colons = ["0F"; 32].join(":");
        for text in [
            digits(),
            digits().to_uppercase(),
            colons.clone(),
            format!("sha256 Fingerprint={colons}"),
            format!("SHA256 Fingerprint={colons}"),
            format!("sha256:{}", digits()),
            format!(" {} ", digits()),
        ] {
            let id = CertificateId::parse(&text).unwrap();
            assert_eq!(id, CertificateId::Fingerprint([0x0f; 32]), "{text}");
            assert_eq!(id.to_string(), digits());
        }
    }

    #[test]
    fn a_fingerprint_by_another_function_is_told_from_a_name() {
        for text in [
            "0f".repeat(20),
            "0f".repeat(16),
            ["0f"; 20].join(":"),
            ["0f"; 33].join(":"),
            "0f".repeat(64),
            format!("sha256:{}x", digits()),
            "ab:cd".to_owned(),
        ] {
            let error = CertificateId::parse(&text).unwrap_err();
            assert_eq!(error, CertificateIdError::Digits, "{text}");
        }
    }

    #[test]
    fn names_are_told_apart_by_their_form() {
        for (text, id) in [
            (
                "Printer-3.Example.COM",
                CertificateId::dns("printer-3.example.com"),
            ),
            ("printer_3", CertificateId::dns("printer_3")),
            ("cafe", CertificateId::dns("cafe")),
            (
                "Ann@Example.com",
                CertificateId::Email("Ann@example.com".into()),
            ),
            (
                "CN=Printer 3, hall",
                CertificateId::CommonName("Printer 3, hall".into()),
            ),
            ("cn=*", CertificateId::CommonName("*".into())),
        ] {
            assert_eq!(CertificateId::parse(text), Ok(id), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "CN=",
            "CN=a\nb",
            "a b",
            "a..b",
            "@example.com",
            "ann@",
            "a@b c",
            "ü.de",
        ] {
            assert_eq!(
                CertificateId::parse(text),
                Err(CertificateIdError::Name),
                "{text:?}"
            );
        }
        for text in ["*", "*.example.com", "*@example.com"] {
            let error = CertificateId::parse(text);
            assert_eq!(error, Err(CertificateIdError::Wildcard), "{text}");
        }
    }

    #[test]
    fn letter_case_counts_where_it_does_in_certificates() {
        assert_eq!(
            CertificateId::dns("A.example"),
            CertificateId::dns("a.EXAMPLE")
        );
        assert_eq!(
            CertificateId::email("ann@A.example"),
            CertificateId::email("ann@a.example")
        );
        assert_ne!(
            CertificateId::email("Ann@a.example"),
            CertificateId::email("ann@a.example")
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed_again(text in "([a-zA-Z0-9.@:=_ -]|CN=){1,70}") {
            if let Ok(id) = CertificateId::parse(&text) {
                prop_assert_eq!(CertificateId::parse(&id.to_string()), Ok(id));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = CertificateId::parse(&text);
        }
    }
}

//! Who signs for which domain.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::Domain;

use super::canonical::Canonicalization;
use super::key::Key;

/// One key of a domain.
#[derive(Debug, Eq, PartialEq)]
pub struct Signer {
    /// The configured name.
    pub name: Box<str>,
    /// The domain in `d=`.
    pub domain: Domain,
    /// The name of the key in DNS.
    pub selector: Selector,
    /// The key.
    pub key: Key,
    /// Whether mail of domains below it is signed too.
    pub subdomains: Subdomains,
    /// How header and body are hashed.
    pub canonicalization: Canonicalization,
    /// How long a signature counts; `None` for ever.
    pub valid_for: Option<Duration>,
    /// When the key is to be replaced, as somebody wrote down; nothing ends then.
    pub expires: Option<Timestamp>,
}

/// Whether mail of domains below a domain is signed with its key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Subdomains {
    /// It is, unless they have keys of their own.
    #[default]
    Signed,
    /// It is not.
    Unsigned,
}

/// The name of a key, below `_domainkey.` of its domain (RFC 6376 §3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector(Box<str>);

/// The text cannot stand in a name in DNS.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a selector has letters, digits, hyphens and underscores, in parts of at most 63, with dots between"
)]
pub struct SelectorError;

impl Selector {
    /// Takes a selector: labels with dots between.
    ///
    /// # Errors
    /// [`SelectorError`].
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(is_inside)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() > MAX_SELECTOR || !text.split('.').all(is_label) {
            return Err(SelectorError);
        }
        Ok(Self(text.into()))
    }

    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Leaves room for `_domainkey` and a domain.
const MAX_SELECTOR: usize = 127;

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Signer {
    /// Returns the name of its record in DNS.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain.as_ascii())
    }
}

/// All keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signers(Vec<Arc<Signer>>);

impl Signers {
    /// Returns all of them, in the order in which they sign.
    pub fn all(&self) -> &[Arc<Signer>] {
        &self.0
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns those that sign for a sender's domain: its own; where it has none, those of the nearest domain above that
    /// signs for domains below it, so that DMARC sees them aligned (RFC 7489 §3.1.1).
    pub(super) fn of(&self, domain: &Domain) -> Vec<Arc<Signer>> {
        let own = |signer: &&Arc<Signer>| signer.domain == *domain;
        let above = |signer: &&Arc<Signer>| {
            signer.subdomains == Subdomains::Signed && domain.is_below(&signer.domain)
        };
        let found: Vec<_> = self.0.iter().filter(own).cloned().collect();
        if !found.is_empty() {
            return found;
        }
        let above: Vec<_> = self.0.iter().filter(above).cloned().collect();
        let length = |signer: &Arc<Signer>| signer.domain.as_ascii().len();
        let nearest = above.iter().map(length).max();
        let is_nearest = |signer: &Arc<Signer>| Some(length(signer)) == nearest;
        above.into_iter().filter(is_nearest).collect()
    }
}

impl FromIterator<Signer> for Signers {
    fn from_iter<I: IntoIterator<Item = Signer>>(signers: I) -> Self {
        Self(signers.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::dkim::key::Algorithm;

    use super::*;

    fn signer(domain: &str, selector: &str, subdomains: Subdomains) -> Signer {
        Signer {
            name: selector.into(),
            domain: Domain::parse(domain).unwrap(),
            selector: Selector::parse(selector).unwrap(),
            key: Key::generate(Algorithm::Ed25519).unwrap(),
            subdomains,
            canonicalization: Canonicalization::default(),
            valid_for: None,
            expires: None,
        }
    }

    #[test]
    fn a_domain_signs_itself_or_is_signed_by_the_nearest_above() {
        let signers: Signers = [
            signer("example.com", "a", Subdomains::Signed),
            signer("example.com", "b", Subdomains::Signed),
            signer("mail.example.com", "c", Subdomains::Signed),
            signer("own.example.net", "d", Subdomains::Unsigned),
            signer("example.net", "e", Subdomains::Unsigned),
        ]
        .into_iter()
        .collect();
        for (domain, expected) in [
            ("example.com", "ab"),
            ("EXAMPLE.com", "ab"),
            ("x.example.com", "ab"),
            ("mail.example.com", "c"),
            ("x.y.mail.example.com", "c"),
            ("notexample.com", ""),
            ("com", ""),
            ("own.example.net", "d"),
            ("x.own.example.net", ""),
        ] {
            let found = signers.of(&Domain::parse(domain).unwrap());
            let names: String = found.iter().map(|signer| &*signer.name).collect();
            assert_eq!(names, expected, "{domain}");
        }
    }

    #[test]
    fn a_selector_can_stand_in_dns() {
        for good in ["s", "2026-11", "a.b_c", &"x".repeat(63)] {
            assert!(Selector::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "a b",
            "-a",
            "a;b",
            "\u{fc}",
            &"x".repeat(64),
            &"a.".repeat(70),
        ] {
            assert_eq!(Selector::parse(bad), Err(SelectorError), "{bad}");
        }
    }
}

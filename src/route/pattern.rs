//! Which recipients are meant: one address, a domain, the domains below one.

use std::fmt;

use crate::mail::{AddressError, Domain, Mailbox};

/// One entry of the `recipients` of a `[[route]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// Every mailbox of exactly this domain: `example.com` or `*@example.com`.
    Domain(Domain),
    /// Exactly this mailbox; letter case does not count.
    Mailbox(Mailbox),
    /// Every mailbox of every domain below this one, not of itself: `*.example.com`.
    Subdomains(Domain),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It has an `@`, and is no address.
    #[error("not an address: {0}")]
    Address(AddressError),
    /// It has no `@`, and is no domain.
    #[error("not a domain")]
    Domain,
    /// It is `*` or `*@*`.
    #[error("every recipient there is")]
    Everyone,
    /// An asterisk stands elsewhere than in front of `@` or of a dot.
    #[error("an asterisk stands for a whole local part or for whole labels of a domain")]
    Wildcard,
}

impl Pattern {
    /// Parses `local@domain`, `*@domain`, `domain` or `*.domain`.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if matches!(text, "*" | "*@*" | "*.*") {
            return Err(PatternError::Everyone);
        }
        let has_asterisk = |text: &str| text.contains('*');
        if let Some(parent) = text
            .strip_prefix("*.")
            .or_else(|| text.strip_prefix("*@*."))
        {
            return match Domain::parse(parent) {
                _ if has_asterisk(parent) => Err(PatternError::Wildcard),
                Ok(domain) if !parent.starts_with('[') => Ok(Self::Subdomains(domain)),
                Ok(_) | Err(_) => Err(PatternError::Domain),
            };
        }
        let domain = text.strip_prefix("*@").unwrap_or(text);
        if has_asterisk(domain) {
            return Err(PatternError::Wildcard);
        }
        if domain.contains('@') {
            return Mailbox::parse(domain)
                .map(Self::Mailbox)
                .map_err(PatternError::Address);
        }
        Domain::parse(domain)
            .map(Self::Domain)
            .map_err(|_| PatternError::Domain)
    }

    /// Returns whether a mailbox is meant. Domains compare as A-labels, local parts without regard to letter case.
    pub fn covers(&self, mailbox: &Mailbox) -> bool {
        match self {
            Self::Domain(domain) => mailbox.domain() == domain,
            Self::Mailbox(meant) => mailbox.is_same_as(meant),
            Self::Subdomains(parent) => mailbox.domain().is_below(parent),
        }
    }
}

impl fmt::Display for Pattern {
    /// Writes it with its domain as A-labels: `*@example.com`, `*.example.com`, an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "*@{}", domain.as_ascii()),
            Self::Mailbox(mailbox) => {
                write!(
                    f,
                    "{}@{}",
                    mailbox.local_part(),
                    mailbox.domain().as_ascii()
                )
            }
            Self::Subdomains(domain) => write!(f, "*.{}", domain.as_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, mailbox: &str) -> bool {
        let mailbox = Mailbox::parse(mailbox).unwrap();
        Pattern::parse(pattern).unwrap().covers(&mailbox)
    }

    #[test]
    fn a_domain_is_that_domain_and_no_other() {
        for pattern in ["fax.example.com", "*@fax.example.com", "FAX.Example.Com"] {
            assert!(covers(pattern, "491234@fax.example.com"), "{pattern}");
            assert!(covers(pattern, "491234@FAX.example.COM"), "{pattern}");
            assert!(!covers(pattern, "a@example.com"), "{pattern}");
            assert!(!covers(pattern, "a@b.fax.example.com"), "{pattern}");
            assert!(!covers(pattern, "a@xfax.example.com"), "{pattern}");
        }
    }

    #[test]
    fn a_domain_behind_an_asterisk_and_a_dot_is_every_domain_below_it() {
        for pattern in ["*.example.net", "*@*.example.net"] {
            assert!(covers(pattern, "a@b.example.net"), "{pattern}");
            assert!(covers(pattern, "a@c.b.EXAMPLE.net"), "{pattern}");
            assert!(!covers(pattern, "a@example.net"), "{pattern}");
            assert!(!covers(pattern, "a@badexample.net"), "{pattern}");
        }
    }

    #[test]
    fn an_address_is_that_address_in_any_letter_case() {
        assert!(covers("bob@internal.example", "BOB@Internal.Example"));
        assert!(!covers("bob@internal.example", "bob+x@internal.example"));
        assert!(covers("\"a b\"@x.example", "\"A B\"@x.example"));
    }

    #[test]
    fn international_domains_are_the_same_in_both_forms() {
        assert!(covers("bücher.example", "a@xn--bcher-kva.example"));
        assert!(covers("*.xn--bcher-kva.example", "a@b.bücher.example"));
        assert_eq!(
            Pattern::parse("*@bücher.example").unwrap().to_string(),
            "*@xn--bcher-kva.example"
        );
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, error) in [
            ("*", PatternError::Everyone),
            ("*@*", PatternError::Everyone),
            ("bob*@example.com", PatternError::Wildcard),
            ("*@ex*ample.com", PatternError::Wildcard),
            ("*.*.com", PatternError::Wildcard),
            ("fax.*", PatternError::Wildcard),
            ("", PatternError::Domain),
            ("exa mple", PatternError::Domain),
            ("*.[192.0.2.1]", PatternError::Domain),
            (
                "@example.com",
                PatternError::Address(AddressError::LocalPart),
            ),
            ("bob@", PatternError::Address(AddressError::Domain)),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }
}

//! What can be proved: an address, a domain, or all domains below one.

use crate::mail::{Domain, Mailbox};
use crate::policy::Grant;

/// Reads an address, `example.com` or `@example.com` for a domain, or `*.example.com` for all below it.
pub fn parse(text: &str) -> Option<Grant> {
    if let Some(parent) = text.strip_prefix("*.") {
        let domain = Domain::parse(parent).ok()?;
        return is_name(&domain).then_some(Grant::Subdomains(domain));
    }
    if let Some(domain) = text.strip_prefix('@') {
        let domain = Domain::parse(domain).ok()?;
        return is_name(&domain).then_some(Grant::Domain(domain));
    }
    if text.contains('@') {
        return Mailbox::parse(text).ok().map(Grant::Mailbox);
    }
    let domain = Domain::parse(text).ok()?;
    is_name(&domain).then_some(Grant::Domain(domain))
}

/// Returns the whole text of a subject, which [`parse`] reads.
pub fn written(subject: &Grant) -> String {
    match subject {
        Grant::Domain(domain) => domain.as_ascii().to_owned(),
        Grant::Mailbox(mailbox) => mailbox.to_string(),
        Grant::Subdomains(domain) => format!("*.{}", domain.as_ascii()),
    }
}

/// Returns the name whose TXT record proves a domain, or `None` for an address.
pub fn record_name(subject: &Grant) -> Option<String> {
    match subject {
        Grant::Domain(domain) | Grant::Subdomains(domain) => {
            Some(format!("_posthouse.{}", domain.as_ascii()))
        }
        Grant::Mailbox(_) => None,
    }
}

/// Returns the text of that record.
pub fn record_text(token: &str) -> String {
    format!("posthouse-verify={token}")
}

/// Returns whether two subjects are the same; letter case does not count.
pub(super) fn is_same(one: &Grant, other: &Grant) -> bool {
    match (one, other) {
        (Grant::Mailbox(one), Grant::Mailbox(other)) => one.is_same_as(other),
        (Grant::Domain(one), Grant::Domain(other))
        | (Grant::Subdomains(one), Grant::Subdomains(other)) => one == other,
        (Grant::Domain(_) | Grant::Mailbox(_) | Grant::Subdomains(_), _) => false,
    }
}

/// An address literal or a single label has no zone that anybody could prove.
fn is_name(domain: &Domain) -> bool {
    domain.as_ascii().contains('.') && !domain.as_ascii().starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, shown) in [
            ("Info@Example.com", "Info@Example.com"),
            ("example.com", "example.com"),
            ("@example.com", "example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            let subject = parse(text).unwrap();
            assert_eq!(written(&subject), shown, "{text}");
            assert!(is_same(&subject, &parse(shown).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_nobody_could_prove_is_no_subject() {
        for text in [
            "",
            "com",
            "@com",
            "*.com",
            "*",
            "[192.0.2.1]",
            "a b@c.example",
            "*@x..y",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn letter_case_does_not_count_and_kinds_do() {
        let same = |one: &str, other: &str| is_same(&parse(one).unwrap(), &parse(other).unwrap());
        assert!(same("INFO@example.com", "info@EXAMPLE.com"));
        assert!(!same("example.com", "*.example.com"));
        assert!(!same("info@example.com", "example.com"));
    }

    #[test]
    fn a_domain_is_proved_below_itself() {
        let name = |text: &str| record_name(&parse(text).unwrap());
        assert_eq!(name("*.example.com").unwrap(), "_posthouse.example.com");
        assert_eq!(name("a@example.com"), None);
        assert_eq!(record_text("x"), "posthouse-verify=x");
    }
}

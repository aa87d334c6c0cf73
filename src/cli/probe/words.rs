//! A step in words: its name and what came of it. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dns::Host;
use crate::smtp::extension::{Extensions, Mechanisms, Size};
use crate::tls::client::PeerCertificate;
use crate::upstream::probe::Passed;

use crate::cli::output::octets;

/// Returns the name of a step.
pub(super) fn name(passed: &Passed) -> &'static str {
    match passed {
        Passed::Connected { .. } | Passed::PassedOver { .. } => "connect",
        Passed::Greeted { .. } => "greeting",
        Passed::Introduced { .. } => "ehlo",
        Passed::Left => "quit",
        Passed::LoggedIn { .. } => "login",
        Passed::Resolved { .. } => "resolve",
        Passed::Secured { .. } => "tls",
    }
}

/// Says what came of a step, in one or more lines.
pub(super) fn lines(passed: &Passed, now: Timestamp) -> Vec<String> {
    match passed {
        Passed::Connected { address } => vec![address.to_string()],
        Passed::Greeted { text } => vec![text.to_string()],
        Passed::Introduced {
            keywords,
            extensions,
            is_encrypted,
        } => introduction(keywords, extensions, *is_encrypted),
        Passed::Left => vec!["nothing was sent".to_owned()],
        Passed::LoggedIn { mechanism, name } => vec![format!("{mechanism} as {name}")],
        Passed::PassedOver { address, failure } => {
            vec![format!("{address} passed over: {failure}")]
        }
        Passed::Resolved { hosts } => hosts.iter().map(host).collect(),
        Passed::Secured { tls, chain } => {
            let mut lines = vec![format!("{} with {}", tls.version, tls.cipher)];
            lines.extend(certificates(chain, now));
            lines
        }
    }
}

fn host(host: &Host) -> String {
    let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
    format!("{}: {}", host.name, addresses.join(", "))
}

fn introduction(keywords: &[Box<str>], extensions: &Extensions, is_encrypted: bool) -> Vec<String> {
    if keywords.is_empty() {
        return vec!["it knows HELO only, and offers nothing".to_owned()];
    }
    let mut lines = vec![format!("offers {}", keywords.join(", "))];
    if extensions.starttls && !is_encrypted {
        // What is offered before TLS counts no more behind it.
        return lines;
    }
    let used = used(extensions);
    lines.push(if used.is_empty() {
        "uses nothing of it".to_owned()
    } else {
        format!("uses {}", used.join(", "))
    });
    lines
}

/// What posthouse makes use of, where mail calls for it.
fn used(extensions: &Extensions) -> Vec<String> {
    let size = extensions.size.map(|size| match size {
        Size::AtMost(limit) => format!("SIZE (at most {})", octets(limit)),
        Size::Unlimited => "SIZE".to_owned(),
    });
    let simple = [
        (extensions.pipelining, "PIPELINING"),
        (extensions.chunking, "CHUNKING"),
        (extensions.eight_bit_mime, "8BITMIME"),
        (extensions.smtputf8, "SMTPUTF8"),
        (extensions.dsn, "DSN"),
        (extensions.deliver_by.is_some(), "DELIVERBY"),
        (extensions.mt_priority, "MT-PRIORITY"),
        (extensions.auth != Mechanisms::default(), "AUTH"),
    ];
    let simple = simple.into_iter().filter(|(is_offered, _)| *is_offered);
    size.into_iter()
        .chain(simple.map(|(_, name)| name.to_owned()))
        .collect()
}

/// Describes a chain of certificates: the server's own at length, the others in a line.
pub(super) fn certificates(chain: &[PeerCertificate], now: Timestamp) -> Vec<String> {
    let Some((own, above)) = chain.split_first() else {
        return Vec::new();
    };
    let mut lines = vec![
        format!("certificate {}", or_nothing(&own.subject)),
        format!("for {}", or_nothing(&own.names.join(", "))),
        format!("issued by {}", or_nothing(&own.issuer)),
        format!(
            "valid from {} {}",
            own.not_before.to_second(),
            until(own, now)
        ),
        format!("SHA-256 {}", own.fingerprint),
    ];
    lines.extend(above.iter().map(|certificate| {
        let subject = or_nothing(&certificate.subject);
        format!("then {subject}, {}", until(certificate, now))
    }));
    lines
}

fn until(certificate: &PeerCertificate, now: Timestamp) -> String {
    let end = certificate.not_after.to_second();
    if now > certificate.not_after {
        let days = days(now.since(certificate.not_after));
        return format!("until {end}: it has EXPIRED {days} ago");
    }
    let days = days(certificate.not_after.since(now));
    format!("until {end}, for {days} more")
}

fn days(span: Duration) -> String {
    match span.as_secs() / 86_400 {
        0 => "hours".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "(no name)" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn certificate(subject: &str, until: Timestamp) -> PeerCertificate {
        PeerCertificate {
            subject: subject.into(),
            issuer: "CN=Some CA".into(),
            names: vec!["mail.example.com".into()],
            not_before: Timestamp::from_unix_millis(1_700_000_000_000),
            not_after: until,
            fingerprint: "ab12".into(),
        }
    }

    #[test]
    fn a_certificate_tells_for_how_long_it_is_valid() {
        let own = certificate("CN=mail.example.com", NOW.after(Duration::from_hours(72)));
        let above = certificate("CN=Some CA", NOW.before(Duration::from_hours(30)));
        let lines = certificates(&[own, above], NOW);
        assert_eq!(
            lines,
            [
                "certificate CN=mail.example.com",
                "for mail.example.com",
                "issued by CN=Some CA",
                "valid from 2023-11-14T22:13:20Z until 2027-01-18T08:00:00Z, for 3 days more",
                "SHA-256 ab12",
                "then CN=Some CA, until 2027-01-14T02:00:00Z: it has EXPIRED 1 day ago",
            ]
        );
    }

    #[test]
    fn an_offer_tells_what_is_used_of_it() {
        let lines = ["SIZE 1048576", "PIPELINING", "VRFY", "AUTH PLAIN"];
        let keywords: Vec<Box<str>> = lines.iter().map(|&line| line.into()).collect();
        let extensions = Extensions::parse(&[&["hello"][..], &lines[..]].concat());
        let words = introduction(&keywords, &extensions, true);
        assert_eq!(
            words,
            [
                "offers SIZE 1048576, PIPELINING, VRFY, AUTH PLAIN",
                "uses SIZE (at most 1.0 MiB), PIPELINING, AUTH"
            ]
        );
    }

    #[test]
    fn what_is_offered_before_tls_is_not_said_to_be_used() {
        let extensions = Extensions::parse(&["hello", "STARTTLS", "PIPELINING"]);
        let keywords = ["STARTTLS".into(), "PIPELINING".into()];
        let words = introduction(&keywords, &extensions, false);
        assert_eq!(words, ["offers STARTTLS, PIPELINING"]);
    }
}

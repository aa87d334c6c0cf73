//! The mailbox that a message is sent from. Pure.

use url::Url;

use crate::mail::{AddressList, Envelope, Header, Mailbox};

/// Returns the mailbox of a message's sender: its reverse-path; where that is null `Sender:`, or else the one mailbox of
/// `From:`. `None` where the message names nobody, or several.
pub(super) fn sender(envelope: &Envelope, header: Option<&Header<'_>>) -> Option<Mailbox> {
    if let Some(mailbox) = envelope.reverse_path.mailbox() {
        return Some(mailbox.clone());
    }
    let only = |name| {
        let mut fields = header?.find(name);
        let (field, None) = (fields.next()?, fields.next()) else {
            return None;
        };
        let list = AddressList::parse(field.value()).ok()?;
        match list.mailboxes() {
            [mailbox] => Some(mailbox.clone()),
            _ => None,
        }
    };
    only("Sender").or_else(|| only("From"))
}

/// Returns whether an address can be the name of a mailbox: ASCII, without quotes, and without anything that a server
/// which decodes too much could take for the structure of a path.
///
/// Exchange allows none of the rest in an address.
pub fn is_mailbox_name(mailbox: &Mailbox) -> bool {
    let local_part = mailbox.local_part();
    let is_plain = local_part.to_string() == local_part.as_unquoted();
    let has_structure = local_part.as_unquoted().contains(['/', '\\', '%', '?']);
    local_part.is_ascii()
        && is_plain
        && !has_structure
        && !mailbox.domain().as_ascii().contains('[')
}

/// Returns the address of `sendMail` for a mailbox, or `None` where `endpoint` is no address of a server.
///
/// The mailbox is one segment of the path, whatever it holds.
pub(super) fn send_mail(endpoint: &Url, mailbox: &Mailbox) -> Option<Url> {
    let ascii = mailbox.to_ascii()?;
    let mut url = endpoint.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().ok()?.pop_if_empty().extend([
        "v1.0",
        "users",
        ascii.to_string().as_str(),
        "sendMail",
    ]);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::ReversePath;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn of_header(header: &str) -> Option<String> {
        let header = Header::parse(header.as_bytes()).unwrap();
        let envelope = Envelope::new(ReversePath::Null);
        sender(&envelope, Some(&header)).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn the_reverse_path_comes_first() {
        let header = Header::parse(b"From: b@x.example\r\n").unwrap();
        let envelope = Envelope::new(ReversePath::Mailbox(mailbox("a@x.example")));
        assert_eq!(
            sender(&envelope, Some(&header)),
            Some(mailbox("a@x.example"))
        );
    }

    #[test]
    fn without_reverse_path_the_header_tells() {
        let cases = [
            ("From: B <b@x.example>\r\n", Some("b@x.example")),
            (
                "From: b@x.example, c@x.example\r\nSender: d@x.example\r\n",
                Some("d@x.example"),
            ),
            ("From: b@x.example, c@x.example\r\n", None),
            ("From: b@x.example\r\nFrom: c@x.example\r\n", None),
            ("From: nobody\r\n", None),
            ("Subject: s\r\n", None),
        ];
        for (header, expected) in cases {
            assert_eq!(of_header(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn the_mailbox_is_one_segment_of_the_path() {
        let endpoint = Url::parse("https://graph.example/?x#y").unwrap();
        let url = |text| send_mail(&endpoint, &mailbox(text)).unwrap().to_string();
        let cases = [
            ("a@x.example", "a@x.example"),
            ("a+b@x.example", "a+b@x.example"),
            ("a/b@x.example", "a%2Fb@x.example"),
            ("a?b=c@x.example", "a%3Fb=c@x.example"),
            ("a%2fb@x.example", "a%252fb@x.example"),
            ("a#EXT#@x.example", "a%23EXT%23@x.example"),
            ("\"../..\"@x.example", "%22..%2F..%22@x.example"),
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
        ];
        for (text, segment) in cases {
            let expected = format!("https://graph.example/v1.0/users/{segment}/sendMail");
            assert_eq!(url(text), expected);
        }
    }

    #[test]
    fn what_could_be_the_structure_of_a_path_is_no_mailbox() {
        for good in [
            "a@x.example",
            "a.b+c@x.example",
            "a_b#EXT#@x.example",
            "o'neil@x.example",
        ] {
            assert!(is_mailbox_name(&mailbox(good)), "{good}");
        }
        let bad = [
            "a/b@x.example",
            "a%2fb@x.example",
            "a?b@x.example",
            "\"../x\"@x.example",
            "\"a b\"@x.example",
            "\u{fc}@x.example",
            "a@[192.0.2.1]",
        ];
        for bad in bad {
            assert!(!is_mailbox_name(&mailbox(bad)), "{bad}");
        }
    }
}

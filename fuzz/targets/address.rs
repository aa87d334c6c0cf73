//! Paths of MAIL and RCPT: what is authorized is what is relayed, and prints as what it was read from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use posthouse::mail::{Domain, Mailbox};
use posthouse::smtp::xtext;

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = str::from_utf8(octets) else {
        return;
    };
    if let Ok(mailbox) = Mailbox::parse(text) {
        let printed = mailbox.to_string();
        assert!(
            !printed.contains(['\r', '\n', '\0']),
            "an address carries a line end: {printed:?}"
        );
        let again = Mailbox::parse(&printed);
        assert_eq!(
            again.as_ref(),
            Ok(&mailbox),
            "{text:?} prints as {printed:?}"
        );
        if let Some(ascii) = mailbox.to_ascii() {
            assert!(ascii.is_same_as(&mailbox) && ascii.to_string().is_ascii());
        }
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_ascii()).as_ref(), Ok(&domain));
    }
    if let Some(decoded) = xtext::decode(text) {
        assert_eq!(
            xtext::decode(&xtext::encode(&decoded)).as_deref(),
            Some(&*decoded)
        );
    }
});

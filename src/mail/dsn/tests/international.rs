//! Addresses and headers that are not ASCII.

use super::*;

#[test]
fn an_international_recipient_of_an_ascii_sender_is_written_in_ascii() {
    let report = Fixture::new(&["żółw@bücher.example"]).failed(&refused("no"));
    assert!(
        parts(&report)[1]
            .contains("Final-Recipient: utf-8; \\x{17C}\\x{F3}\\x{142}w@xn--bcher-kva.example\r\n")
    );
    assert_eq!(types(&report)[2], "message/delivery-status");
    assert_eq!(
        (report.body, report.smtputf8),
        (BodyType::EightBitMime, false)
    );
}

#[test]
fn an_original_address_is_written_as_the_way_back_allows() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.recipients[0].original = Some(OriginalRecipient {
        address_type: "utf-8".into(),
        address: r"\x{17C}\x{2B}x@there.example".into(),
    });
    let report = fixture.failed(&refused("no"));
    assert!(
        parts(&report)[1].contains("Original-Recipient: utf-8; \\x{17C}\\x{2B}x@there.example\r\n")
    );
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("jürgen@own.example"));
    let report = fixture.failed(&refused("no"));
    assert!(parts(&report)[1].contains("Original-Recipient: utf-8; ż+x@there.example\r\n"));
}

#[test]
fn an_international_header_is_hidden_from_an_ascii_way_back() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.smtputf8 = true;
    fixture.original = "Subject: Grüße\r\n\r\nbody\r\n".into();
    for (ret, content_type) in [
        (None, "message/global-headers"),
        (Some(DsnReturn::Full), "message/global"),
    ] {
        fixture.envelope.ret = ret;
        let report = fixture.failed(&refused("no"));
        assert_eq!(types(&report)[3], content_type);
        assert!(!report.smtputf8);
        let text = String::from_utf8(report.octets.to_vec()).unwrap();
        let (_, part) = text.split_once(content_type).unwrap();
        assert!(
            part.is_ascii() && part.contains("Encoding: base64"),
            "{part}"
        );
        assert!(part.contains("U3ViamVjdDogR3LDvMOfZQ0K"), "{part}");
    }
}

#[test]
fn an_international_domain_needs_no_international_report() {
    let mut fixture = Fixture::new(&["you@bücher.example"]);
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("me@bücher.example"));
    let report = fixture.failed(&refused("no"));
    assert!(report.octets.is_ascii() && !report.smtputf8);
    assert!(parts(&report)[1].contains("Final-Recipient: rfc822; you@xn--bcher-kva.example\r\n"));
}

#[test]
fn an_international_sender_gets_an_international_report() {
    let mut fixture = Fixture::new(&["żółw@there.example"]);
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("jürgen@own.example"));
    let report = fixture.failed(&refused("no"));
    assert_eq!(
        types(&report),
        [
            "multipart/report",
            "text/plain",
            "message/global-delivery-status",
            "message/global-headers"
        ]
    );
    assert!(parts(&report)[1].contains("Final-Recipient: utf-8; żółw@there.example\r\n"));
    assert!(report.smtputf8);
}

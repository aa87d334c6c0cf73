//! The report as a whole: its parts, its header, its names.

use super::*;

#[test]
fn a_report_is_a_multipart_of_three() {
    let report = Fixture::new(&["you@there.example"]).failed(&refused("no such user"));
    let message = parse(&report);
    let content_type = message.content_type().unwrap();
    assert_eq!(
        content_type.attribute("report-type"),
        Some("delivery-status")
    );
    assert_eq!(
        types(&report),
        [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    assert_eq!((report.body, report.smtputf8), (BodyType::SevenBit, false));
}

#[test]
fn its_header_marks_it_as_automatic_and_as_an_answer() {
    let report = Fixture::new(&["you@there.example"]).failed(&refused("no"));
    let text = String::from_utf8(report.octets.to_vec()).unwrap();
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        header.split("\r\nContent-Type").next().unwrap(),
        "From: \"Mail Delivery System\" <postmaster@relay.example>\r\n\
         To: <me@own.example>\r\n\
         Subject: Your message could not be delivered\r\n\
         Date: Sat, 21 Nov 2026 06:51:00 +0000\r\n\
         Message-ID: <0000000000007.0.f@relay.example>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         In-Reply-To: <m@own.example>\r\n\
         References: <m@own.example>"
    );
}

#[test]
fn programs_read_the_fields_of_rfc_3464() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.envelope_id = Some("QQ314159".into());
    fixture.envelope.recipients[0].original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "alias@there.example".into(),
    });
    let report = fixture.failed(&refused("no such user"));
    assert_eq!(
        parts(&report)[1].trim_end(),
        "Reporting-MTA: dns; relay.example\r\n\
         Original-Envelope-Id: QQ314159\r\n\
         Arrival-Date: Sat, 21 Nov 2026 06:36:40 +0000\r\n\
         \r\n\
         Original-Recipient: rfc822; alias@there.example\r\n\
         Final-Recipient: rfc822; you@there.example\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mx.there.example\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
         Last-Attempt-Date: Sat, 21 Nov 2026 06:51:00 +0000"
    );
}

#[test]
fn the_name_of_the_sender_may_hold_anything() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    for (name, shown) in [
        ("A \"b\" \\ c", "A \"b\" \\ c"),
        ("x\r\nBcc: a@b.c", "x??Bcc: a@b.c"),
        (
            "Zustellbericht für Kundinnen und Kunden der Posthalterei",
            "Zustellbericht für Kundinnen und Kunden der Posthalterei",
        ),
        ("", ""),
    ] {
        name.clone_into(&mut fixture.from_name);
        let report = fixture.failed(&refused("no"));
        let message = parse(&report);
        let from = message.from().unwrap().first().unwrap();
        assert_eq!(from.address(), Some("postmaster@relay.example"), "{name}");
        assert_eq!(from.name().unwrap_or_default(), shown);
        assert!(message.bcc().is_none());
    }
}

#[test]
fn a_boundary_in_the_message_is_not_used_again() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    fixture.original =
        format!("{HEADER}\r\n--=_0000000000007.1/\r\n\r\n--=_0000000000007.2/--\r\n").into_bytes();
    let report = fixture.failed(&refused("--=_0000000000007.3/ x"));
    assert_eq!(
        parse(&report).content_type().unwrap().attribute("boundary"),
        Some("=_0000000000007.4/")
    );
    let _ = parts(&report);
}

#[test]
fn the_status_fits_the_advice() {
    for (status, advice) in [
        ("5.2.2", "mailbox is full"),
        ("5.3.4", "too large"),
        ("5.3.3", "without special delivery options"),
        ("5.7.1", "a rule of the other side"),
        ("5.1.8", "your own address"),
        ("5.6.7", "simpler form"),
        ("5.0.0", "reason"),
    ] {
        let mut response = response("x");
        response.status = EnhancedStatusCode::parse(status);
        let failure = Failure::new(Stage::Recipient, Cause::Response(response));
        let report = Fixture::new(&["you@there.example"]).failed(&failure);
        let text = parts(&report)[0].replace("\r\n   ", "");
        assert!(text.contains(advice), "{status}: {text}");
    }
}

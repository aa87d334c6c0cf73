use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn rewritten(header: &str, recipients: &[&str]) -> (String, Change) {
    let recipients: Vec<Mailbox> = recipients.iter().map(|text| mailbox(text)).collect();
    let recipients: Vec<&Mailbox> = recipients.iter().collect();
    let header = Header::parse(header.as_bytes()).unwrap();
    let addressed = address(&header, &recipients);
    Header::parse(&addressed.block).unwrap();
    (
        String::from_utf8(addressed.block).unwrap(),
        addressed.change,
    )
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn block(header: &str, recipients: &[&str]) -> String {
    rewritten(header, recipients).0
}

#[test]
fn a_header_that_names_all_recipients_stays_octet_for_octet() {
    let header = "Received: x\r\nTO:\r\n \"A, a\" <A@X.example>,\r\n\tTeam: b@x.example;\r\nSubject: s\r\ncc: =?utf-8?q?C=2C?= (c, c) <c@x.example>\r\n";
    let (block, change) = rewritten(header, &["a@x.EXAMPLE", "B@x.example", "c@x.example"]);
    assert_eq!(block, header);
    assert_eq!(change, Change::Invisible);
}

#[test]
fn recipients_that_the_header_does_not_name_get_a_blind_copy() {
    let (block, change) = rewritten(
        "To: a@x.example\r\nSubject: s\r\n",
        &["b@x.example", "a@x.example", "c@x.example", "B@x.example"],
    );
    let expected = "To: a@x.example\r\nSubject: s\r\nBcc: <b@x.example>,\r\n <c@x.example>\r\n";
    assert_eq!(block, expected);
    assert_eq!(change, Change::Invisible);
}

#[test]
fn addresses_that_are_no_recipients_leave_and_stay_readable() {
    let (block, change) = rewritten(
        "To: \"List, the\" <list@x.example>, A <a@x.example>\r\nCc: b@x.example\r\nSubject: s\r\n",
        &["a@x.example", "c@x.example"],
    );
    let expected = "To: A <a@x.example>\r\n\
         X-Header-To: \"List, the\" <list@x.example>, A <a@x.example>\r\n\
         X-Header-Cc: b@x.example\r\n\
         Subject: s\r\n\
         Bcc: <c@x.example>\r\n";
    assert_eq!(block, expected);
    assert_eq!(change, Change::Visible);
}

#[test]
fn recipients_of_a_message_that_was_sent_on_before_leave() {
    let header = "Resent-From: a@x.example\r\nResent-To: r@x.example\r\nRESENT-CC: s@x.example\r\n\
                  Resent-Bcc: t@x.example\r\nBcc: u@x.example\r\nTo: o@x.example\r\n";
    let expected = "Resent-From: a@x.example\r\nX-Header-To: o@x.example\r\nBcc: <r@x.example>\r\n";
    assert_eq!(block(header, &["r@x.example"]), expected);
}

#[test]
fn several_fields_become_one() {
    let header = "To: a@x.example\r\nSubject: s\r\nto: b@x.example, z@x.example\r\n";
    let expected = "To: a@x.example,\r\n b@x.example\r\n\
                    X-Header-To: b@x.example, z@x.example\r\nSubject: s\r\n";
    assert_eq!(block(header, &["a@x.example", "b@x.example"]), expected);
}

#[test]
fn a_field_that_cannot_be_read_leaves() {
    for value in [
        "a@x.example b@x.example",
        "a@x.example,",
        "<a@x.example",
        "\u{1}",
    ] {
        let header = format!("To: {value}\r\nCc: b@x.example\r\n");
        let expected = format!("X-Header-To: {value}\r\nCc: b@x.example\r\nBcc: <a@x.example>\r\n");
        let (block, change) = rewritten(&header, &["a@x.example", "b@x.example"]);
        assert_eq!(block, expected);
        assert_eq!(change, Change::Visible);
    }
}

#[test]
fn international_domains_are_compared_and_written_as_a_labels() {
    let header = "To: B <info@B\u{fc}cher.example>, c@xn--bcher-kva.example\r\n"
        .replace("B\u{fc}", "b\u{fc}");
    let expected = "To: B <info@xn--bcher-kva.example>, c@xn--bcher-kva.example\r\n";
    let recipients = ["info@xn--bcher-kva.example", "C@xn--bcher-kva.example"];
    assert_eq!(block(&header, &recipients), expected);
}

#[test]
fn an_international_local_part_is_no_ascii_one() {
    let header = "To: \u{212a}im@x.example\r\n";
    let expected = "X-Header-To: \u{212a}im@x.example\r\nBcc: <kim@x.example>\r\n";
    assert_eq!(block(header, &["kim@x.example"]), expected);
}

#[test]
fn what_a_lenient_reader_takes_for_somebody_else_leaves() {
    // Legal, and one address; but this reader finds none.
    let header = "To: \"a b\"@x.example\r\n";
    let expected = "X-Header-To: \"a b\"@x.example\r\nBcc: <\"a b\"@x.example>\r\n";
    assert_eq!(block(header, &["\"a b\"@x.example"]), expected);
}

#[test]
fn a_message_without_recipients_in_its_header_gets_them_all_blind() {
    assert_eq!(
        block("Subject: s\r\n", &["a@x.example"]),
        "Subject: s\r\nBcc: <a@x.example>\r\n"
    );
    assert_eq!(
        block("To: undisclosed-recipients:;\r\n", &["a@x.example"]),
        "To: undisclosed-recipients:;\r\nBcc: <a@x.example>\r\n"
    );
}

#[test]
fn an_address_cannot_begin_another_field() {
    let header = "To: \"x\\\r\n Bcc: evil@x.example\" <a@x.example>\r\n";
    let block = block(header, &["a@x.example"]);
    assert!(!block.contains("\r\nBcc: evil"), "{block}");
}

/// The recipients that a lenient parser finds.
fn found(block: &[u8]) -> BTreeSet<String> {
    let message = MessageParser::new().parse(block).unwrap();
    let fields = [message.to(), message.cc(), message.bcc()];
    let addresses = fields.into_iter().flatten().flat_map(Address::iter);
    addresses
        .map(|address| address.address().unwrap_or("?").to_lowercase())
        .collect()
}

fn element() -> impl Strategy<Value = String> + Clone {
    let name = prop::sample::select(
        &[
            "",
            "A ",
            "J. Doe ",
            "\"a, b\" ",
            "=?utf-8?q?A=2C_b=40x?= ",
            " (x,\r\n y) ",
            "\"m9@x.example\" ",
            "\"<m8@x.example>,\" ",
            "é ",
            "\"\\\"m7@x.example,\" ",
        ][..],
    );
    let end = prop::sample::select(&["", " ", " (m6@x.example, c)", "\r\n "][..]);
    (name, 0..10, prop::bool::ANY, end).prop_map(|(name, number, is_upper, end)| {
        let address = format!("m{number}@x.example");
        let address = if is_upper {
            address.to_uppercase()
        } else {
            address
        };
        if name.is_empty() {
            format!(" {address}{end}")
        } else {
            format!(" {name}<{address}>{end}")
        }
    })
}

fn list() -> impl Strategy<Value = String> {
    let group = prop::collection::vec(element(), 0..3)
        .prop_map(|members| format!("\r\n\tGroup:{};", members.join(",")));
    let broken = prop::sample::select(
        &[
            " ,",
            " m5@x.example m6@x.example",
            " <m7@x.example",
            " \"m8@x.example",
        ][..],
    );
    let element = prop_oneof![9 => element(), 3 => group, 1 => broken.prop_map(str::to_owned)];
    prop::collection::vec(element, 1..5).prop_map(|elements| elements.join(","))
}

fn field() -> impl Strategy<Value = String> {
    let name = prop::sample::select(
        &[
            "To",
            "Cc",
            "to",
            "CC",
            "Bcc",
            "Resent-To",
            "Resent-Cc",
            "X-To",
            "From",
        ][..],
    );
    (name, list()).prop_map(|(name, list)| {
        // A continuation line may not be blank.
        format!("{name}:{list}\r\n")
            .replace("\r\n \r\n", "\r\n")
            .replace("\r\n ,", ",")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn an_independent_reader_finds_exactly_the_recipients(
        fields in prop::collection::vec(field(), 0..5),
        numbers in prop::collection::btree_set(0..10, 1..6),
    ) {
        let header = fields.concat();
        let recipients: Vec<Mailbox> = numbers.iter().map(|n| mailbox(&format!("m{n}@x.example"))).collect();
        let references: Vec<&Mailbox> = recipients.iter().collect();
        let parsed = Header::parse(header.as_bytes()).unwrap();
        let addressed = address(&parsed, &references);
        let expected: BTreeSet<String> = recipients.iter().map(Mailbox::to_string).collect();
        prop_assert_eq!(found(&addressed.block), expected, "{}", String::from_utf8_lossy(&addressed.block));
    }

    #[test]
    fn other_fields_stay_octet_for_octet(fields in prop::collection::vec(field(), 0..5)) {
        let header = fields.concat();
        let recipient = mailbox("m1@x.example");
        let parsed = Header::parse(header.as_bytes()).unwrap();
        let addressed = address(&parsed, &[&recipient]);
        let after = Header::parse(&addressed.block).unwrap();
        let others = |header: &Header<'_>| {
            let fields = header.fields().iter();
            let others = fields.filter(|f| f.is_named("From") || f.is_named("X-To"));
            others.map(|field| field.octets().to_vec()).collect::<Vec<_>>()
        };
        prop_assert_eq!(others(&parsed), others(&after));
    }

    #[test]
    fn no_text_makes_it_panic_or_adds_a_recipient(value in "[m1@.<>(),:;\"\\\\x \t=?é]{0,40}") {
        let header = format!("To: {value}.\r\n");
        let recipient = mailbox("m1@x.example");
        let parsed = Header::parse(header.as_bytes()).unwrap();
        let addressed = address(&parsed, &[&recipient]);
        prop_assert_eq!(found(&addressed.block), BTreeSet::from(["m1@x.example".to_owned()]));
    }
}

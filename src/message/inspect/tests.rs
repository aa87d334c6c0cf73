use super::*;

/// A header that is in order but for what a test adds.
const PLAIN: &str = "Date: Sat, 21 Nov 2026 06:51:00 +0000\r\nTo: you@there.example\r\n";

/// Returns what a header gives, or why it is refused, whether by its lines or by its fields.
fn read(block: &str, rule: AddressRule) -> Result<Inspected, String> {
    let header = Header::parse(block.as_bytes()).map_err(|error| error.to_string())?;
    inspect(&header, rule).map_err(|fault| fault.to_string())
}

fn inspected(block: &str) -> Inspected {
    read(block, AddressRule::All).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(block: &str) -> String {
    read(block, AddressRule::All).expect_err(block)
}

fn fault(block: &str) -> Fault {
    let header = Header::parse(block.as_bytes()).unwrap();
    inspect(&header, AddressRule::All).expect_err(block)
}

fn texts(mailboxes: &[Mailbox]) -> Vec<String> {
    mailboxes.iter().map(ToString::to_string).collect()
}

/// Ways to show `ceo@corp.example` in `From:` without being authorized for it: THREATS F1 (VU#244112, Composition
/// Kills, the client classes of espoofer). Each is refused, or the address is among those that are judged.
mod from_spoofing {
    use super::*;

    fn is_refused(from: &str) {
        let block = format!("{PLAIN}{from}\r\n");
        refusal(&block);
        let lenient = read(&block, AddressRule::Senders);
        assert!(lenient.is_err(), "only the strict rule refuses {from:?}");
    }

    fn is_judged(from: &str) {
        let inspected = inspected(&format!("{PLAIN}{from}\r\n"));
        let judged = [
            &inspected.from[..],
            inspected.sender.as_slice(),
            &inspected.resent_from,
            &inspected.resent_sender,
        ]
        .concat();
        assert!(
            texts(&judged).contains(&"ceo@corp.example".to_owned()),
            "{judged:?}"
        );
    }

    #[test]
    fn client_a1_two_from_fields() {
        is_refused("From: me@own.example\r\nFrom: ceo@corp.example");
    }

    #[test]
    fn client_a1_two_from_fields_in_the_other_order() {
        is_refused("From: ceo@corp.example\r\nFrom: me@own.example");
    }

    #[test]
    fn client_a1_second_from_in_other_letter_case() {
        is_refused("From: me@own.example\r\nfROM: ceo@corp.example");
    }

    #[test]
    fn client_a1_second_from_with_space_before_its_colon() {
        is_refused("From: me@own.example\r\nFrom : ceo@corp.example");
    }

    #[test]
    fn client_a1_second_from_with_a_tab_before_its_colon() {
        is_refused("From: me@own.example\r\nFrom\t: ceo@corp.example");
    }

    #[test]
    fn client_a1_second_from_with_an_octet_zero_in_its_name() {
        is_refused("From: me@own.example\r\nFrom\0: ceo@corp.example");
    }

    #[test]
    fn client_a1_second_from_with_a_control_character_in_its_name() {
        is_refused("From: me@own.example\r\nFrom\u{1}: ceo@corp.example");
    }

    #[test]
    fn client_a1_second_from_with_a_cyrillic_letter() {
        is_refused("From: me@own.example\r\nFr\u{43e}m: ceo@corp.example");
    }

    #[test]
    fn client_a2_list_of_two() {
        is_judged("From: me@own.example, ceo@corp.example");
        is_judged("From: <ceo@corp.example>, <me@own.example>");
    }

    #[test]
    fn client_a2_list_without_a_comma() {
        is_refused("From: <ceo@corp.example> <me@own.example>");
        is_refused("From: ceo@corp.example me@own.example");
    }

    #[test]
    fn client_a2_list_with_empty_elements() {
        is_refused("From: ,ceo@corp.example,");
        is_refused("From: me@own.example,,ceo@corp.example");
    }

    #[test]
    fn client_a3_sender_beside_from() {
        is_judged("From: me@own.example\r\nSender: ceo@corp.example");
    }

    #[test]
    fn sender_that_names_two() {
        is_refused("From: me@own.example\r\nSender: me@own.example, ceo@corp.example");
    }

    #[test]
    fn two_sender_fields() {
        is_refused("From: me@own.example\r\nSender: me@own.example\r\nSender: ceo@corp.example");
    }

    #[test]
    fn resent_from() {
        is_judged(
            "From: me@own.example\r\nResent-From: me@own.example\r\nResent-From: ceo@corp.example",
        );
    }

    #[test]
    fn resent_sender() {
        is_judged("From: me@own.example\r\nResent-Sender: ceo@corp.example");
    }

    #[test]
    fn group() {
        is_judged("From: Team: me@own.example, ceo@corp.example;");
        is_refused("From: ceo@corp.example: me@own.example;");
        is_refused("From: \"<ceo@corp.example>\": me@own.example;");
    }

    #[test]
    fn empty_group() {
        is_refused("From: undisclosed:;");
        is_refused("From: me@own.example, ceo:;");
    }

    #[test]
    fn folded_name() {
        is_refused("Fr\r\n om: ceo@corp.example");
        is_refused("From\r\n : ceo@corp.example");
        is_judged("From:\r\n ceo@corp.example");
        is_judged("From:\r\n\tThe Boss\r\n <ceo@corp.example>");
    }

    #[test]
    fn fold_of_white_space_alone() {
        is_refused("From: me@own.example,\r\n \r\n ceo@corp.example");
        is_refused("From: \r\n \r\n ceo@corp.example");
    }

    #[test]
    fn fold_inside_an_address() {
        is_refused("From: ceo\r\n @corp.example");
        is_refused("From: <ceo@corp.example\r\n .own.example>");
    }

    #[test]
    fn leading_space_before_the_first_field() {
        refusal(" From: ceo@corp.example\r\nFrom: me@own.example\r\n");
        refusal("\tFrom: ceo@corp.example\r\nFrom: me@own.example\r\n");
    }

    #[test]
    fn leading_space_before_a_second_from_continues_the_first() {
        is_refused("From: me@own.example\r\n From: ceo@corp.example");
    }

    #[test]
    fn encoded_word_as_address() {
        is_refused("From: =?utf-8?q?ceo=40corp.example?=");
        is_refused("From: =?utf-8?b?Y2VvQGNvcnAuZXhhbXBsZQ==?=");
        is_refused("From: =?utf-8?q?=3Cceo=40corp.example=3E?= <me@own.example>");
        is_refused("From: =?utf-8?q?ceo=40corp.example=3e=00?=@own.example");
    }

    #[test]
    fn encoded_word_as_name_is_told_beside_the_sender() {
        let inspected = inspected(&format!(
            "{PLAIN}From: =?utf-8?q?ceo=40corp.example?= <me@own.example>\r\n"
        ));
        assert_eq!(texts(&inspected.from), ["me@own.example"]);
        assert_eq!(texts(&inspected.shown), ["ceo@corp.example"]);
    }

    #[test]
    fn comments() {
        is_refused("From: me@own.example(<ceo@corp.example>)");
        is_refused("From: ceo@(x)corp.example");
        is_refused("From: me@own.example(x)corp.example");
        is_refused("From: <ceo@corp.example(>, <me@own.example>)");
        is_refused("From: (((ceo@corp.example)) me@own.example");
    }

    #[test]
    fn quotes() {
        is_refused("From: \"ceo@corp.example\"@own.example");
        is_refused("From: \"ceo@corp.example\\\" <me@own.example>\"");
        is_refused("From: \"<ceo@corp.example>\" <me@own.example>");
        is_refused("From: \"ceo@corp.example <me@own.example>");
    }

    #[test]
    fn source_route() {
        is_refused("From: <@own.example:ceo@corp.example>");
        is_refused("From: <@own.example,@x.example:ceo@corp.example>");
    }

    #[test]
    fn nested_angles() {
        is_refused("From: <ceo@corp.example<me@own.example>>");
        is_refused("From: <<me@own.example>ceo@corp.example>");
    }

    #[test]
    fn bare_address_before_angles() {
        is_refused("From: ceo@corp.example <me@own.example>");
        is_refused("From: <ceo@corp> <me@own.example>");
    }

    #[test]
    fn text_behind_angles() {
        is_refused("From: <me@own.example> ceo@corp.example");
        is_refused("From: me@own.example; ceo@corp.example");
    }

    #[test]
    fn two_at_signs() {
        is_refused("From: ceo@corp.example@own.example");
        is_refused("From: <ceo@corp.example@own.example>");
    }

    #[test]
    fn octet_zero() {
        is_refused("From: ceo@corp.example\0 <me@own.example>");
        is_refused("From: me@own.example\0, ceo@corp.example");
    }

    #[test]
    fn bare_cr_and_bare_lf() {
        is_refused("Subject: x\rFrom: ceo@corp.example\r\nFrom: me@own.example");
        is_refused("Subject: x\nFrom: ceo@corp.example\r\nFrom: me@own.example");
        is_refused("From: me@own.example\n\nFrom: ceo@corp.example");
    }

    #[test]
    fn homoglyphs_are_other_domains() {
        for from in ["ceo@c\u{43e}rp.example", "ceo@xn--crp-jed.example"] {
            if let Ok(inspected) = read(&format!("{PLAIN}From: {from}\r\n"), AddressRule::All) {
                let corp = Mailbox::parse("ceo@corp.example").unwrap();
                assert!(!inspected.from.contains(&corp), "{from}");
            }
        }
        is_refused("From: ceo@ｃorp.example");
        is_refused("From: ceo@corp。example");
        is_refused("From: ceo@corp\u{200b}.example");
        is_refused("From: \u{202e}elpmaxe.proc@oec <me@own.example>");
    }

    #[test]
    fn truncation_by_a_long_header() {
        let long = format!("X: {}\r\n", "x".repeat(1000)).repeat(300);
        refusal(&format!(
            "From: me@own.example\r\n{long}From: ceo@corp.example\r\n"
        ));
        let many = "X: y\r\n".repeat(1000);
        refusal(&format!(
            "From: me@own.example\r\n{many}From: ceo@corp.example\r\n"
        ));
    }

    #[test]
    fn truncation_by_a_long_value() {
        let padding = " ".repeat(100_000);
        is_refused(&format!("From: me@own.example{padding}ceo@corp.example"));
        is_judged(&format!("From: me@own.example,{padding}ceo@corp.example"));
    }

    #[test]
    fn no_from_at_all() {
        assert_eq!(fault(PLAIN), Fault::Missing { field: "From" });
        assert_eq!(fault(""), Fault::Missing { field: "From" });
        is_refused("From:");
        is_refused("From: ");
        is_refused("From: <>");
    }

    #[test]
    fn utf_7_and_octets_that_are_not_utf_8() {
        is_refused("From: =?utf-7?q?ceo+AEA-corp.example?= <me@own.example>");
        let block = [PLAIN.as_bytes(), b"From: J\xfcrgen <me@own.example>\r\n"].concat();
        let header = Header::parse(&block).unwrap();
        assert_eq!(
            inspect(&header, AddressRule::Senders).unwrap_err().field(),
            "From"
        );
    }
}

#[test]
fn ordinary_clients_pass() {
    for from in [
        "\"WordPress\" <wordpress@own.example>",
        "=?utf-8?Q?M=C3=BCller=2C_J=C3=BCrgen?= <me@own.example>",
        "Magento Store <sales@own.example>",
        "me@own.example",
        "<me@own.example>",
        "\"Doe, John\" <john@own.example>",
        "'John' <john@own.example>",
        "root <root@localhost>",
        "noreply@own.example (Cron Daemon)",
    ] {
        let inspected = inspected(&format!("{PLAIN}From: {from}\r\n"));
        assert_eq!(inspected.from.len(), 1, "{from}");
        assert!(inspected.shown.is_empty(), "{from}");
    }
}

#[test]
fn fields_of_recipients_are_strict_unless_told_otherwise() {
    for (value, name) in [
        ("To: john smith", "To"),
        ("CC: a@b.c;d@e.f", "Cc"),
        ("Reply-To: a@b@c", "Reply-To"),
        ("Bcc: <a", "Bcc"),
        ("resent-to: a..b@c.d", "Resent-To"),
        ("To:", "To"),
    ] {
        let block = format!("From: me@own.example\r\n{value}\r\n");
        assert_eq!(fault(&block).field(), name);
        assert!(read(&block, AddressRule::Senders).is_ok(), "{value}");
    }
}

#[test]
fn recipients_may_be_hidden_absent_or_named_oddly() {
    for field in [
        "Bcc:",
        "To: undisclosed-recipients:;",
        "To: a@b.c\r\nTo: d@e.f",
        "To: \"<x@y.z>, me\" <a@b.c>",
        "X-To: john smith",
    ] {
        inspected(&format!("From: me@own.example\r\n{field}\r\n"));
    }
}

#[test]
fn a_fault_names_field_and_reason() {
    assert_eq!(
        refusal("From: me@own.example\r\nTo: a@b.c d@e.f\r\n"),
        "To: an address in it is followed or interrupted by text; is a comma missing?"
    );
}

#[test]
fn message_id_hops_and_priority_are_told() {
    let inspected = inspected(&format!(
        "Received: a\r\nReceived: b\r\n{PLAIN}From: me@own.example\r\nMessage-Id:\r\n <x.y@z>\r\nX-Priority: 1\r\n"
    ));
    assert_eq!(inspected.message_id.as_deref(), Some("<x.y@z>"));
    assert_eq!(inspected.hops, 2);
    assert_eq!(inspected.priority, Some(Priority::VeryHigh));
}

#[test]
fn odd_message_ids_are_not_told() {
    for field in [
        "Message-ID:".to_owned(),
        "Message-ID: <a\u{1b}[31mb@c>".to_owned(),
        format!("Message-ID: <{}@b>", "x".repeat(300)),
    ] {
        let inspected = inspected(&format!("From: me@own.example\r\n{field}\r\n"));
        assert_eq!(inspected.message_id, None, "{field}");
    }
}

#[test]
fn international_addresses_need_smtputf8_and_other_text_does_not() {
    let needs = |fields: &str| inspected(&format!("{fields}\r\n")).needs_smtputf8;
    assert!(needs("From: żółw@own.example"));
    assert!(needs("From: me@own.example\r\nTo: you@bücher.example"));
    assert!(!needs("From: Jürgen <me@own.example>\r\nSubject: Grüße"));
}

#[test]
fn resent_senders_are_bounded_together() {
    let fields = "Resent-Sender: me@own.example\r\n".repeat(101);
    let fault = fault(&format!("From: me@own.example\r\n{fields}"));
    assert_eq!(fault.field(), "Resent-Sender");
}

use proptest::prelude::*;

use super::*;
use crate::identity::AccountName;
use crate::mail::ReversePath;

const DATE: &str = "Sat, 21 Nov 2026 06:51:00 +0000";

/// A trace of nobody in particular, to be changed by each test.
struct Fixture {
    account: AccountName,
    hostname: Domain,
    recipient: ForwardPath,
}

impl Fixture {
    fn new() -> Self {
        let hostname = Domain::parse("relay.example").unwrap();
        let (recipient, _) = ForwardPath::take("<rcpt@b.example>", &hostname).unwrap();
        Self {
            account: AccountName::parse("shop").unwrap(),
            hostname,
            recipient,
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            account: &self.account,
            tenant: None,
            client_address: "192.0.2.7".parse().unwrap(),
            queue_id: QueueId::from_number(7),
        }
    }

    fn trace(&self) -> Trace<'_> {
        Trace {
            greeting: Greeting::Ehlo("client.example"),
            peer: "192.0.2.7".parse().unwrap(),
            hostname: &self.hostname,
            tls: None,
            authenticated: true,
            smtputf8: false,
            queue_id: QueueId::from_number(7),
            first_id: QueueId::from_number(7),
            only_recipient: Some(&self.recipient),
            date: date(),
        }
    }
}

fn date() -> Date {
    Date::from_unix_seconds(1_795_243_860)
}

fn rewritten(block: &str, fields: PriorityHeader) -> String {
    with_mt_priority(block, fields, None)
}

/// Rewrites a header whose message has this MT-PRIORITY.
fn with_mt_priority(block: &str, fields: PriorityHeader, mt_priority: Option<i8>) -> String {
    let fixture = Fixture::new();
    let header = Header::parse(block.as_bytes()).unwrap();
    let shown = ShownPriority {
        fields,
        priority: Priority::VeryHigh,
        mt_priority: mt_priority.and_then(MtPriority::new),
    };
    let stored = rewrite(&header, &fixture.trace(), shown, (&[], fixture.facts()));
    String::from_utf8(stored.to_vec()).unwrap()
}

/// Returns the stored fields behind our `Received:`.
fn kept(block: &str, fields: PriorityHeader) -> String {
    let stored = rewritten(block, fields);
    let header = Header::parse(stored.as_bytes()).unwrap();
    assert_eq!(header.fields()[0].name(), "Received");
    stored
        .split_at(header.fields()[0].octets().len())
        .1
        .to_owned()
}

#[test]
fn received_tells_the_whole_way() {
    let fixture = Fixture::new();
    let mut trace = fixture.trace();
    trace.tls = Some(Tls {
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
    });
    assert_eq!(
        trace.received(MtPriority::new(-3)),
        "Received: from client.example ([192.0.2.7]) by relay.example with ESMTPSA\r\n \
         (TLSv1.3) id 0000000000007 for <rcpt@b.example> tls TLS_AES_256_GCM_SHA384\r\n \
         priority -3; Sat, 21 Nov 2026 06:51:00 +0000\r\n"
    );
}

#[test]
fn a_cipher_suite_is_named_as_it_is_registered_or_not_at_all() {
    for (cipher, name) in [
        (
            "TLS13_CHACHA20_POLY1305_SHA256",
            Some("TLS_CHACHA20_POLY1305_SHA256"),
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ),
        ("unknown", None),
        ("TLS_", None),
        ("TLS_X; a b", None),
    ] {
        assert_eq!(registered(cipher).as_deref(), name, "{cipher}");
    }
}

#[test]
fn received_tells_the_priority_that_was_decided_unless_priorities_are_removed() {
    let received = |fields, mt_priority| {
        let block = with_mt_priority("From: a@b\r\n", fields, mt_priority);
        block.split("Date:").next().unwrap().to_owned()
    };
    assert!(received(PriorityHeader::Keep, Some(6)).contains(" priority 6;"));
    assert!(received(PriorityHeader::Set, Some(6)).contains(" priority 6;"));
    assert!(!received(PriorityHeader::Strip, Some(6)).contains("priority"));
    assert!(!received(PriorityHeader::Keep, None).contains("priority"));
}

#[test]
fn the_protocol_keyword_says_how_it_came() {
    let fixture = Fixture::new();
    let mut trace = fixture.trace();
    let tls = Tls {
        version: "TLSv1.2",
        cipher: "X",
    };
    let mut keywords = Vec::new();
    for smtputf8 in [false, true] {
        for tls in [None, Some(tls)] {
            for authenticated in [false, true] {
                trace = Trace {
                    tls,
                    authenticated,
                    smtputf8,
                    ..trace
                };
                keywords.push(trace.protocol());
            }
        }
    }
    assert_eq!(
        keywords,
        [
            "ESMTP",
            "ESMTPA",
            "ESMTPS",
            "ESMTPSA",
            "UTF8SMTP",
            "UTF8SMTPA",
            "UTF8SMTPS",
            "UTF8SMTPSA"
        ]
    );
    trace.greeting = Greeting::Helo("x");
    assert_eq!(trace.protocol(), "SMTP");
}

#[test]
fn no_recipient_is_named_among_several() {
    let fixture = Fixture::new();
    let mut trace = fixture.trace();
    trace.only_recipient = None;
    assert!(!trace.received(None).contains("for "));
}

#[test]
fn an_international_recipient_is_named_only_in_an_international_message() {
    let fixture = Fixture::new();
    let (path, _) = ForwardPath::take("<żółw@b.example>", &fixture.hostname).unwrap();
    let mut trace = fixture.trace();
    trace.only_recipient = Some(&path);
    assert!(trace.received(None).is_ascii());
    trace.smtputf8 = true;
    assert!(trace.received(None).contains("for <żółw@b.example>;"));
}

#[test]
fn a_greeting_cannot_forge_a_field() {
    let fixture = Fixture::new();
    for greeting in [
        "x\r\nBcc: a@b",
        "x (comment",
        "x) by evil.example; id 1",
        "[IPv6:2001:db8::1]",
        "",
        "bücher\u{2028}x\0",
    ] {
        let mut trace = fixture.trace();
        trace.greeting = Greeting::Ehlo(greeting);
        let field = trace.received(None);
        let header = Header::parse(field.as_bytes()).unwrap();
        assert_eq!(header.fields().len(), 1, "{greeting:?}");
        assert_eq!(
            (field.matches('(').count(), field.matches(';').count()),
            (1, 1),
            "{field}"
        );
    }
}

#[test]
fn an_overlong_greeting_is_cut() {
    let fixture = Fixture::new();
    let mut trace = fixture.trace();
    let name = "x".repeat(5000);
    trace.greeting = Greeting::Ehlo(&name);
    assert!(trace.received(None).lines().all(|line| line.len() <= 300));
}

#[test]
fn missing_date_and_message_id_are_added() {
    assert_eq!(
        kept("From: a@b.c\r\n", PriorityHeader::Keep),
        format!("From: a@b.c\r\nDate: {DATE}\r\nMessage-ID: <0000000000007@relay.example>\r\n")
    );
}

#[test]
fn what_is_there_is_not_added_again() {
    let block = "date: x\r\nMESSAGE-ID: <a@b>\r\n";
    assert_eq!(kept(block, PriorityHeader::Keep), block);
}

const PRESENT: &str = "Date: x\r\nMessage-ID: <a@b>\r\n";

#[test]
fn blind_copies_and_the_return_path_do_not_leave() {
    let block = format!(
        "{PRESENT}Bcc: a@b.c,\r\n d@e.f\r\nbcc: x@y\r\nTo: t@u\r\nResent-Bcc: z@z\r\nReturn-Path: <a@b>\r\n"
    );
    assert_eq!(
        kept(&block, PriorityHeader::Keep),
        format!("{PRESENT}To: t@u\r\n")
    );
}

#[test]
fn only_results_that_claim_to_be_ours_are_removed() {
    let removed = "Authentication-Results: relay.example; spf=pass\r\n\
                   authentication-results:\r\n \"Relay.Example\" 1; dkim=pass\r\n\
                   Authentication-Results: (x;) relay.example; spf=pass\r\n\
                   Authentication-Results: relay.example/1; spf=pass\r\n\
                   Authentication-Results: relay.example\r\n";
    let others = "Authentication-Results: other.example; spf=pass smtp.helo=relay.example\r\n\
                  Authentication-Results: relay.example.org; spf=pass\r\n";
    let block = format!("{PRESENT}{removed}{others}");
    assert_eq!(
        kept(&block, PriorityHeader::Keep),
        format!("{PRESENT}{others}")
    );
}

const PRIORITIES: &str = "X-Priority: 5\r\nImportance: low\r\nPriority: urgent\r\nX-MSMail-Priority: Low\r\nMT-Priority: 1\r\n";

#[test]
fn priority_fields_are_kept_set_or_stripped() {
    let block = format!("{PRESENT}{PRIORITIES}");
    assert_eq!(kept(&block, PriorityHeader::Keep), block);
    assert_eq!(kept(&block, PriorityHeader::Strip), PRESENT);
    assert_eq!(
        kept(&block, PriorityHeader::Set),
        format!("{PRESENT}X-Priority: 1 (Highest)\r\nImportance: high\r\n")
    );
}

#[test]
fn mt_priority_says_what_was_decided_and_only_that() {
    let mt = |fields: &str, rule, value| {
        let block = format!("{PRESENT}{fields}");
        let stored = with_mt_priority(&block, rule, value);
        let lines = stored.lines().filter(|line| line.starts_with("MT-"));
        lines.collect::<Vec<_>>().join("|")
    };
    for rule in [PriorityHeader::Keep, PriorityHeader::Set] {
        assert_eq!(mt("", rule, Some(4)), "MT-Priority: 4");
        let given = "MT-Priority: 9\r\nSubject: x\r\nMT-Priority: -3\r\n";
        assert_eq!(mt(given, rule, Some(3)), "MT-Priority: 3");
        assert_eq!(mt(given, rule, Some(9)), "MT-Priority: 9");
        assert_eq!(
            mt("MT-Priority:  3 \r\n", rule, Some(3)),
            "MT-Priority:  3 "
        );
        assert_eq!(mt("", rule, None), "");
    }
    assert_eq!(
        mt("MT-Priority: x\r\n", PriorityHeader::Keep, None),
        "MT-Priority: x"
    );
    assert_eq!(mt("MT-Priority: 3\r\n", PriorityHeader::Strip, Some(3)), "");
    assert_eq!(mt("", PriorityHeader::Strip, Some(3)), "");
}

proptest! {
    #[test]
    fn fields_that_are_not_named_survive_octet_for_octet(
        fields in prop::collection::vec(
            ("(X-A|Subject|To|Bcc|DKIM-Signature|return-path|Importance|Received)", "[ -~é]{0,20}(\r\n[ \t][!-~]{1,90}){0,2}"),
            0..8,
        ),
        policy in 0u8..3,
    ) {
        let policy = match policy {
            0 => PriorityHeader::Keep,
            1 => PriorityHeader::Set,
            _ => PriorityHeader::Strip,
        };
        let is_kept = |name: &str| match name {
            "Bcc" | "return-path" => false,
            "Importance" => policy == PriorityHeader::Keep,
            _ => true,
        };
        let write = |(name, value): &(String, String)| format!("{name}:{value}\r\n");
        let block: String = fields.iter().map(write).collect();
        let expected: String = fields.iter().filter(|(name, _)| is_kept(name)).map(write).collect();
        prop_assert!(kept(&block, policy).starts_with(&expected));
    }

    #[test]
    fn the_trace_is_one_field_of_short_lines(greeting in "\\PC{0,60}|[\r\n\0();: ]{0,20}", local_part in "[ -~]{1,60}") {
        let fixture = Fixture::new();
        let quoted = format!("<\"{}\"@b.example>", local_part.replace('\\', "\\\\").replace('"', "\\\""));
        let (path, _) = ReversePath::take(&quoted).unwrap();
        let path = ForwardPath::from(path.mailbox().unwrap().clone());
        let mut trace = fixture.trace();
        trace.greeting = Greeting::Ehlo(&greeting);
        trace.only_recipient = Some(&path);
        let field = trace.received(None);
        prop_assert_eq!(Header::parse(field.as_bytes()).unwrap().fields().len(), 1);
        let longest = field.lines().map(str::len).max().unwrap();
        prop_assert!(longest <= 78 || longest <= 10 + path.to_string().len(), "{}", field);
    }
}

#[test]
fn an_added_field_takes_the_place_of_one_that_the_client_forged() {
    let fixture = Fixture::new();
    let header = "From: a@b\r\nx-authenticated-USER: admin\r\n boss\r\nX-Other: y\r\n";
    let header = Header::parse(header.as_bytes()).unwrap();
    let shown = ShownPriority {
        fields: PriorityHeader::Keep,
        priority: Priority::Normal,
        mt_priority: None,
    };
    let added = [
        AddedField::parse("X-Authenticated-User", "{account}").unwrap(),
        AddedField::parse("X-Other", "{tenant}").unwrap(),
    ];
    let stored = rewrite(&header, &fixture.trace(), shown, (&added, fixture.facts()));
    let stored = String::from_utf8(stored.to_vec()).unwrap();
    assert!(
        stored.contains("\r\nX-Authenticated-User: shop\r\nFrom: a@b\r\n"),
        "{stored}"
    );
    assert!(
        !stored.contains("admin") && !stored.contains("boss"),
        "{stored}"
    );
    // Without a value there is none at all.
    assert!(!stored.contains("X-Other"), "{stored}");
}

#[test]
fn a_missing_message_id_is_that_of_the_first_of_a_transaction() {
    let fixture = Fixture::new();
    let header = Header::parse(b"From: a@b\r\n").unwrap();
    let shown = ShownPriority {
        fields: PriorityHeader::Keep,
        priority: Priority::Normal,
        mt_priority: None,
    };
    let trace = Trace {
        queue_id: QueueId::from_number(8),
        ..fixture.trace()
    };
    let stored = rewrite(&header, &trace, shown, (&[], fixture.facts()));
    let stored = String::from_utf8(stored.to_vec()).unwrap();
    let first = QueueId::from_number(7);
    assert!(
        stored.contains(&format!("Message-ID: <{first}@relay.example>")),
        "{stored}"
    );
    assert!(
        stored.contains(&format!("id {}", QueueId::from_number(8))),
        "{stored}"
    );
}

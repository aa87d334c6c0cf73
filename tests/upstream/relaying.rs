//! What becomes of messages and recipients.

use posthouse::mail::{DsnReturn, Health, Notify, OriginalRecipient, Priority, ReversePath, Stage};
use posthouse::upstream::Upstream as _;
use posthouse::upstream::smtp::{Settings, Smtputf8};

use crate::fake_upstream::{FakeUpstream, Quirk, Script};
use crate::support::{
    MESSAGE, all, assert_deferred, assert_relayed, envelope, impatient, mailbox, order, relay,
    relay_one, settings, short, start,
};

/// The sets of extensions that make the dialogue take different ways.
const WAYS: [&[&str]; 5] = [
    &[],
    &["8BITMIME"],
    &["PIPELINING"],
    &["CHUNKING"],
    &["PIPELINING", "CHUNKING"],
];

#[tokio::test]
async fn a_message_arrives_as_it_was_stored_on_every_way() {
    for way in WAYS {
        let server = FakeUpstream::start(Script::default().extensions(way)).await;
        let upstream = start(settings(&server));
        assert_relayed(&relay_one(&upstream).await);
        let messages = server.wait_for(1).await;
        assert_eq!(messages[0].octets, MESSAGE.as_bytes(), "{way:?}");
        assert_eq!(messages[0].sender, "<s@example.com>");
        assert_eq!(messages[0].recipients, ["<r@example.net>"]);
    }
}

#[tokio::test]
async fn a_long_message_is_streamed_on_every_way() {
    let line = ".a line with a dot at its start\r\n";
    let message = line.repeat(20_000);
    for way in WAYS {
        let server = FakeUpstream::start(Script::default().extensions(way)).await;
        let upstream = start(settings(&server));
        let attempt = relay(&upstream, &["r@example.net"], message.as_bytes()).await;
        assert_relayed(&attempt);
        assert!(server.messages()[0].octets == message.as_bytes(), "{way:?}");
    }
}

#[tokio::test]
async fn one_refused_recipient_fails_no_other_on_every_way() {
    for way in WAYS {
        let script = Script::default()
            .extensions(way)
            .refuse_recipient("b@x.example", "550 5.1.1 no such user")
            .refuse_recipient("c@x.example", "451 4.2.0 later");
        let server = FakeUpstream::start(script).await;
        let upstream = start(settings(&server));
        let recipients = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
        let attempt = relay(&upstream, &recipients, MESSAGE.as_bytes()).await;
        assert_eq!(
            short(&attempt),
            [
                "relayed 250",
                "rejected Recipient 550",
                "deferred Recipient 451",
                "relayed 250"
            ],
            "{way:?}"
        );
        assert_eq!(attempt.health, Health::Good);
        assert_eq!(
            server.messages()[0].recipients,
            ["<a@x.example>", "<d@x.example>"]
        );
    }
}

#[tokio::test]
async fn with_all_recipients_refused_nothing_is_sent_and_the_connection_stays_good() {
    for way in WAYS {
        let script =
            Script::default()
                .extensions(way)
                .reply_times("RCPT", "550 5.1.1 no such user", 1);
        let server = FakeUpstream::start(script).await;
        let upstream = start(settings(&server));
        let attempt = relay_one(&upstream).await;
        assert_eq!(short(&attempt), ["rejected Recipient 550"], "{way:?}");
        assert_relayed(&relay_one(&upstream).await);
        assert_eq!(
            (server.messages().len(), server.connections()),
            (1, 1),
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_sender_fails_all_and_the_connection_stays_good() {
    for way in WAYS {
        let script = Script::default()
            .extensions(way)
            .reply_times("MAIL", "550 5.1.8 no", 1);
        let server = FakeUpstream::start(script).await;
        let upstream = start(settings(&server));
        let attempt = relay(&upstream, &["a@x.example", "b@x.example"], b"x\r\n").await;
        assert_eq!(short(&attempt), ["rejected Sender 550"; 2], "{way:?}");
        assert_relayed(&relay_one(&upstream).await);
        assert_eq!(server.connections(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn a_final_reply_counts_for_all_recipients() {
    for way in WAYS {
        for (reply, expected) in [
            ("451 4.3.0 later", "deferred Final 451"),
            ("554 5.7.1 spam", "rejected Final 554"),
        ] {
            let script = Script::default().extensions(way).reply_times(".", reply, 1);
            let server = FakeUpstream::start(script).await;
            let upstream = start(settings(&server));
            let attempt = relay(&upstream, &["a@x.example", "b@x.example"], b"x\r\n").await;
            assert_eq!(short(&attempt), [expected; 2], "{way:?}");
            assert_eq!(attempt.health, Health::Good);
            assert_relayed(&relay_one(&upstream).await);
        }
    }
}

#[tokio::test]
async fn an_end_without_final_reply_is_unknown() {
    for way in WAYS {
        let script = Script::default()
            .extensions(way)
            .quirk(Quirk::CloseAfterDot);
        let server = FakeUpstream::start(script).await;
        let attempt = relay_one(&start(settings(&server))).await;
        assert_eq!(short(&attempt), ["unknown Final"], "{way:?}");
        assert_eq!(server.messages().len(), 1);
    }
}

#[tokio::test]
async fn silence_after_the_dot_is_unknown() {
    let script = Script::default().quirk(Quirk::SilentAt(".".to_owned()));
    let server = FakeUpstream::start(script).await;
    let attempt = relay_one(&start(Settings {
        timeouts: impatient(),
        ..settings(&server)
    }))
    .await;
    assert_eq!(short(&attempt), ["unknown Final"]);
}

#[tokio::test]
async fn a_connection_closed_inside_the_content_defers() {
    let script = Script::default()
        .extensions(&["PIPELINING"])
        .quirk(Quirk::CloseInData);
    let server = FakeUpstream::start(script).await;
    let upstream = start(settings(&server));
    let message = "x\r\n".repeat(4 << 20);
    let attempt = relay(&upstream, &["r@example.net"], message.as_bytes()).await;
    assert_deferred(&attempt, Stage::Content, &Health::Good);
}

#[tokio::test]
async fn a_farewell_in_mid_transaction_defers_the_rest() {
    let script = Script::default()
        .extensions(&["8BITMIME"])
        .refuse_recipient("a@x.example", "550 5.1.1 no such user")
        .refuse_recipient("c@x.example", "421 4.3.2 closing");
    let server = FakeUpstream::start(script).await;
    let recipients = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
    let attempt = relay(&start(settings(&server)), &recipients, b"x\r\n").await;
    assert_eq!(
        short(&attempt),
        [
            "rejected Recipient 550",
            "deferred Recipient 421",
            "deferred Recipient 421",
            "deferred Recipient 421"
        ]
    );
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn an_endless_reply_ends() {
    for at in ["EHLO", "MAIL", "RCPT", "DATA"] {
        let script = Script::default()
            .extensions(&["8BITMIME"])
            .quirk(Quirk::EndlessAt(at.to_owned()));
        let server = FakeUpstream::start(script).await;
        let attempt = relay_one(&start(settings(&server))).await;
        assert_eq!(attempt.health, Health::Unreachable, "{at}");
        assert!(short(&attempt)[0].starts_with("deferred"), "{at}");
    }
}

#[tokio::test]
async fn a_silent_upstream_costs_no_more_than_the_limit() {
    for (at, stage) in [
        ("greeting", Stage::Greeting),
        ("EHLO", Stage::Greeting),
        ("MAIL", Stage::Sender),
        ("RCPT", Stage::Recipient),
    ] {
        let script = Script::default()
            .extensions(&["8BITMIME"])
            .quirk(Quirk::SilentAt(at.to_owned()));
        let server = FakeUpstream::start(script).await;
        let attempt = relay_one(&start(Settings {
            timeouts: impatient(),
            ..settings(&server)
        }))
        .await;
        assert_deferred(&attempt, stage, &Health::Unreachable);
    }
}

#[tokio::test]
async fn hundreds_of_recipients_fit_one_transaction() {
    let addresses: Vec<String> = (0..250).map(|n| format!("r{n}@x.example")).collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let script = Script::default().refuse_recipient("r200@x.example", "550 no");
    let server = FakeUpstream::start(script).await;
    let upstream = start(Settings {
        recipients_per_message: 1000,
        ..settings(&server)
    });
    let attempt = relay(&upstream, &recipients, b"x\r\n").await;
    assert_eq!(attempt.outcomes.len(), 250);
    assert_eq!(server.messages()[0].recipients.len(), 249);
    assert_eq!(short(&attempt)[200], "rejected Recipient 550");
}

#[tokio::test]
async fn every_parameter_is_used_where_it_is_offered() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(settings(&server));
    let mut envelope = envelope(&["r@example.net"]);
    envelope.ret = Some(DsnReturn::Headers);
    envelope.envelope_id = Some("a=1".into());
    envelope.recipients[0].notify = Some(Notify::NEVER);
    envelope.recipients[0].original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "o+x@example.net".into(),
    });
    let recipients = all(&envelope);
    let mut order = order(&envelope, &recipients, "caf\u{e9}\r\n".as_bytes());
    order.priority = Priority::VeryHigh;
    assert_relayed(&upstream.attempt(order).await);
    let message = &server.messages()[0];
    assert_eq!(
        message.sender,
        "<s@example.com> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=a+3D1 MT-PRIORITY=6"
    );
    assert_eq!(
        message.recipients,
        ["<r@example.net> NOTIFY=NEVER ORCPT=rfc822;o+2Bx@example.net"]
    );
}

#[tokio::test]
async fn an_eight_bit_message_goes_as_it_is_where_8bitmime_is_missing() {
    let server = FakeUpstream::start(Script::default().extensions(&["SIZE"])).await;
    let attempt = relay(&start(settings(&server)), &["r@example.net"], b"\xe9\r\n").await;
    assert_relayed(&attempt);
    assert_eq!(server.messages()[0].sender, "<s@example.com> SIZE=3");
    assert_eq!(server.messages()[0].octets, b"\xe9\r\n");
}

#[tokio::test]
async fn international_addresses_go_as_they_are_with_smtputf8() {
    let server = FakeUpstream::start(Script::default().extensions(&["SMTPUTF8"])).await;
    let attempt = relay(&start(settings(&server)), &["ż@żółw.example"], b"x\r\n").await;
    assert_relayed(&attempt);
    assert_eq!(server.messages()[0].sender, "<s@example.com> SMTPUTF8");
    assert_eq!(server.messages()[0].recipients, ["<ż@żółw.example>"]);
}

#[tokio::test]
async fn without_smtputf8_domains_go_as_a_labels_and_local_parts_do_not_go() {
    for (extensions, smtputf8) in [
        (&["8BITMIME"], Smtputf8::Auto),
        (&["SMTPUTF8"], Smtputf8::Off),
    ] {
        let server = FakeUpstream::start(Script::default().extensions(extensions)).await;
        let upstream = start(Settings {
            smtputf8,
            ..settings(&server)
        });
        let recipients = ["a@żółw.example", "ż@x.example"];
        let attempt = relay(&upstream, &recipients, b"x\r\n").await;
        assert_eq!(short(&attempt), ["relayed 250", "rejected Recipient"]);
        assert_eq!(
            server.messages()[0].recipients,
            ["<a@xn--w-uga1v8h.example>"]
        );
    }
}

#[tokio::test]
async fn smtputf8_can_be_forced_on() {
    let server = FakeUpstream::start(Script::default().extensions(&["SIZE"])).await;
    let upstream = start(Settings {
        smtputf8: Smtputf8::On,
        ..settings(&server)
    });
    assert_relayed(&relay(&upstream, &["ż@x.example"], b"x\r\n").await);
    assert_eq!(
        server.messages()[0].sender,
        "<s@example.com> SIZE=3 SMTPUTF8"
    );
}

#[tokio::test]
async fn an_international_sender_without_smtputf8_fails_all_before_anything_is_sent() {
    let server = FakeUpstream::start(Script::default().extensions(&["SIZE"])).await;
    let upstream = start(settings(&server));
    let mut envelope = envelope(&["r@example.net"]);
    envelope.reverse_path = ReversePath::Mailbox(mailbox("ż@x.example"));
    let recipients = all(&envelope);
    let attempt = upstream
        .attempt(order(&envelope, &recipients, b"x\r\n"))
        .await;
    assert_eq!(short(&attempt), ["rejected Sender"]);
    assert!(!server.lines().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn quoted_local_parts_are_quoted_again() {
    let server = FakeUpstream::start(Script::default()).await;
    let address = "\"a> ORCPT=b@c\"@x.example";
    assert_relayed(&relay(&start(settings(&server)), &[address], b"x\r\n").await);
    assert_eq!(server.messages()[0].recipients, [format!("<{address}>")]);
}

#[tokio::test]
async fn the_null_reverse_path_goes_as_it_is() {
    let server = FakeUpstream::start(Script::default().extensions(&["8BITMIME"])).await;
    let upstream = start(settings(&server));
    let mut envelope = envelope(&["r@example.net"]);
    envelope.reverse_path = ReversePath::Null;
    let recipients = all(&envelope);
    assert_relayed(
        &upstream
            .attempt(order(&envelope, &recipients, b"x\r\n"))
            .await,
    );
    assert_eq!(server.messages()[0].sender, "<>");
}

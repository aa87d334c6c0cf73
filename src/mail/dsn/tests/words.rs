//! What people read.

use super::*;

#[test]
fn a_failure_names_the_reason_and_what_to_do() {
    let mut fixture = Fixture::new(&["you@there.example", "she@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let full = Response {
        code: 552,
        status: EnhancedStatusCode::parse("5.2.2"),
        text: "mailbox is full".into(),
    };
    let (unknown, full) = (
        refused("no such user"),
        Failure::new(Stage::Recipient, Cause::Response(full)),
    );
    let recipients = [
        (RecipientIndex(0), Action::Failed(&unknown)),
        (RecipientIndex(1), Action::Failed(&full)),
    ];
    let report = fixture.dsn(&recipients).write().unwrap();
    assert_reads(&report, "failed.eml");
}

#[test]
fn an_expiry_says_that_it_was_tried() {
    let timeout = Failure::new(Stage::Connect, Cause::Timeout);
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Expired(&timeout));
    assert_reads(&report, "expired.eml");
}

#[test]
fn a_delay_does_not_sound_like_a_failure() {
    let busy = Response {
        code: 450,
        status: EnhancedStatusCode::parse("4.2.1"),
        text: "mailbox busy".into(),
    };
    let busy = Failure::new(Stage::Recipient, Cause::Response(busy));
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.of_first(Action::Delayed {
        reason: Some(&busy),
        until: until(),
    });
    assert_reads(&report, "delayed.eml");
}

#[test]
fn a_handover_is_no_promise() {
    let response = accepted("queued as 4711");
    let fixture = Fixture::new(&["you@there.example"]);
    let report = fixture.of_first(Action::Relayed {
        response: &response,
        dsn: Duty::Ours,
    });
    assert_reads(&report, "relayed.eml");
}

#[test]
fn a_delivery_is_a_delivery() {
    let response = accepted("kept");
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.of_first(Action::Delivered(&response));
    assert_reads(&report, "delivered.eml");
}

#[test]
fn a_wish_to_be_held_is_repeated() {
    let failure = refused("no");
    let mut fixture = Fixture::new(&["you@there.example"]);
    let [_, fields, _] = parts(&fixture.failed(&failure));
    assert!(!fields.contains("Future-Release-Request"), "{fields}");
    fixture.envelope.hold = Some(Hold::For(Duration::from_mins(1)));
    let [_, fields, _] = parts(&fixture.failed(&failure));
    assert!(
        fields.contains("\r\nFuture-Release-Request: for;60\r\n"),
        "{fields}"
    );
    assert!(fields.contains("\r\nArrival-Date: "), "{fields}");
}

#[test]
fn a_deadline_that_has_passed_is_named() {
    let fixture = with_deadline(DeliverByMode::Notify);
    let report = fixture.of_first(Action::Late {
        reason: None,
        until: until(),
    });
    assert_reads(&report, "late.eml");
}

#[test]
fn what_is_returned_at_its_deadline_was_returned_as_asked() {
    let timeout = Failure::new(Stage::Connect, Cause::Timeout);
    let report = with_deadline(DeliverByMode::Return).of_first(Action::Lapsed(&timeout));
    assert_reads(&report, "lapsed.eml");
}

#[test]
fn all_reports_on_a_recipient_have_names_of_their_own() {
    let (failure, response, until) = (refused("no"), accepted("ok"), until());
    let actions = [
        Action::Delayed {
            reason: None,
            until,
        },
        Action::Delivered(&response),
        Action::Expired(&failure),
        Action::Failed(&failure),
        Action::Lapsed(&failure),
        Action::Late {
            reason: None,
            until,
        },
        Action::Relayed {
            response: &response,
            dsn: Duty::Passed,
        },
    ];
    let fixture = Fixture::new(&["you@there.example"]);
    let ids = actions.map(|action| {
        let report = fixture.of_first(action);
        parse(&report).message_id().unwrap().to_owned()
    });
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), actions.len());
}

#[test]
fn a_report_is_named_by_the_worst_that_it_tells() {
    let fixture = Fixture::new(&["you@there.example", "she@there.example"]);
    let failure = refused("no");
    let delayed = Action::Delayed {
        reason: Some(&failure),
        until: until(),
    };
    let recipients = [
        (RecipientIndex(0), delayed),
        (RecipientIndex(1), Action::Failed(&failure)),
    ];
    let first = fixture.dsn(&recipients).write().unwrap();
    let second = fixture.failed(&failure);
    assert_ne!(parse(&first).message_id(), parse(&second).message_id());
}

#[test]
fn what_an_upstream_cannot_do_at_all_is_for_its_operators() {
    let cause = Cause::Unusable("the login was refused".into());
    let failure = Failure::new(Stage::Authenticate, cause);
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Delayed {
        reason: Some(&failure),
        until: until(),
    });
    let text = parts(&report)[0].replace("\r\n   ", "");
    assert!(
        text.contains("for the people who look after it to repair"),
        "{text}"
    );
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Expired(&failure));
    let text = parts(&report)[0].replace("\r\n   ", "");
    assert!(text.contains("your message is not at fault"), "{text}");
}

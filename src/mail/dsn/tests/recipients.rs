//! What is said of each recipient.

use super::*;

#[test]
fn each_recipient_has_its_own_action() {
    let fixture = Fixture::new(&[
        "a@b.c", "d@e.f", "g@h.i", "k@l.m", "n@o.p", "q@r.s", "t@u.v",
    ]);
    let (failure, timeout) = (refused("no"), Failure::new(Stage::Connect, Cause::Timeout));
    let (response, until) = (accepted("ok"), until());
    let relayed = Action::Relayed {
        response: &response,
        dsn: Duty::Ours,
    };
    let delayed = Action::Delayed {
        reason: Some(&timeout),
        until,
    };
    let late = Action::Late {
        reason: Some(&failure),
        until,
    };
    let recipients = [
        (RecipientIndex(0), relayed),
        (RecipientIndex(1), delayed),
        (RecipientIndex(2), Action::Expired(&timeout)),
        (RecipientIndex(3), Action::Failed(&failure)),
        (RecipientIndex(4), Action::Delivered(&response)),
        (RecipientIndex(5), late),
        (RecipientIndex(6), Action::Lapsed(&failure)),
    ];
    let report = fixture.dsn(&recipients).write().unwrap();
    let fields = &parts(&report)[1];
    assert_eq!(
        values(fields, "Action"),
        [
            "relayed",
            "delayed",
            "failed",
            "failed",
            "delivered",
            "delayed",
            "failed"
        ]
    );
    assert_eq!(
        values(fields, "Status"),
        [
            "2.0.0", "4.4.1", "5.4.7", "5.1.1", "2.0.0", "4.4.7", "5.4.7"
        ]
    );
    assert_eq!(
        values(fields, "Will-Retry-Until"),
        ["Wed, 25 Nov 2026 09:46:40 +0000"; 2]
    );
    assert_eq!(values(fields, "Remote-MTA").len(), 5);
}

#[test]
fn who_was_not_attempted_just_now_has_no_host_and_no_time() {
    let fixture = Fixture::new(&["a@b.c", "d@e.f"]);
    let failure = refused("no");
    let delayed = Action::Delayed {
        reason: Some(&failure),
        until: until(),
    };
    let recipients = [(RecipientIndex(0), delayed), (RecipientIndex(1), delayed)];
    let mut dsn = fixture.dsn(&recipients);
    dsn.attempted = &[RecipientIndex(1)];
    let report = dsn.write().unwrap();
    let fields = parts(&report)[1].clone();
    let (_, of_recipients) = fields.split_once("\r\n\r\n").unwrap();
    let (first, second) = of_recipients.split_once("\r\n\r\n").unwrap();
    assert!(!first.contains("Remote-MTA") && !first.contains("Last-Attempt-Date"));
    assert!(second.contains("Remote-MTA") && second.contains("Last-Attempt-Date"));
}

#[test]
fn nobody_hears_of_a_message_with_a_null_reverse_path() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.reverse_path = ReversePath::Null;
    let failure = refused("no");
    let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
    assert_eq!(fixture.dsn(&recipients).write(), None);
}

#[test]
fn recipients_outside_the_envelope_are_left_out() {
    let fixture = Fixture::new(&["you@there.example"]);
    let failure = refused("no");
    let recipients = [(RecipientIndex(1), Action::Failed(&failure))];
    assert_eq!(fixture.dsn(&recipients).write(), None);
}

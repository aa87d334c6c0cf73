use super::*;

/// The meaning in short: `deferred Final 451 4.3.0 / Good`.
fn short(meaning: &Meaning) -> String {
    let outcome = |outcome: &Outcome| match outcome {
        Outcome::Relayed(response, _) => format!("relayed {}", response.code),
        Outcome::Deferred(failure) => format!("deferred {}", of(failure)),
        Outcome::Rejected(failure) => format!("rejected {}", of(failure)),
        Outcome::Unknown(failure) => format!("unknown {}", of(failure)),
    };
    match meaning {
        Meaning::BadRecipient(then) => format!("bad recipient: {}", outcome(then)),
        Meaning::Judged(then, health) => format!("{} / {health:?}", outcome(then)),
        Meaning::NewToken(then, health) => format!("new token: {} / {health:?}", outcome(then)),
        Meaning::OtherPath(then) => format!("other path: {}", outcome(then)),
    }
}

fn of(failure: &Failure) -> String {
    match &failure.cause {
        Cause::Response(response) => format!(
            "{:?} {} {}",
            failure.stage,
            response.code,
            response.status.unwrap()
        ),
        Cause::Unusable(_) => format!("{:?} unusable", failure.stage),
        cause @ (Cause::Broken(_) | Cause::Capability(_) | Cause::Expired | Cause::Timeout) => {
            format!("{cause:?}")
        }
    }
}

fn judged(status: u16, code: &str, owner: Owner) -> String {
    let heard = Heard {
        status,
        code: code.into(),
        message: "words".into(),
    };
    short(&judge(&heard, None, owner))
}

#[track_caller]
fn row(status: u16, code: &str, expected: &str) {
    for owner in [Owner::Configured, Owner::Sender] {
        assert_eq!(judged(status, code, owner), expected, "{owner:?}");
    }
}

#[test]
fn status_202_is_a_success() {
    row(202, "", "relayed 250 / Good");
}

#[test]
fn no_other_success_is_one() {
    for status in [200, 201, 204, 206] {
        row(status, "", "other path: deferred Final 451 4.3.0");
    }
}

#[test]
fn a_redirect_makes_the_upstream_unusable() {
    for status in [301, 302, 307, 308] {
        row(status, "", "deferred Authenticate unusable / Unusable");
    }
}

#[test]
fn a_refused_token_is_renewed_and_then_makes_the_upstream_unusable() {
    row(
        401,
        "InvalidAuthenticationToken",
        "new token: deferred Authenticate unusable / Unusable",
    );
}

#[test]
fn a_message_that_is_too_large_takes_the_other_path_or_is_refused() {
    row(413, "", "other path: rejected Final 552 5.3.4");
    row(
        400,
        "ErrorMessageSizeExceeded",
        "other path: rejected Final 552 5.3.4",
    );
}

#[test]
fn throttling_is_said_before_the_message_so_that_it_does_not_count() {
    for status in [429, 503, 504] {
        row(
            status,
            "ApplicationThrottled",
            "deferred Greeting 451 4.3.2 / Throttled { pause: None }",
        );
    }
}

#[test]
fn a_wished_pause_is_passed_on() {
    let heard = Heard {
        status: 429,
        ..Heard::default()
    };
    let pause = Some(Duration::from_secs(17));
    let Meaning::Judged(_, health) = judge(&heard, pause, Owner::Sender) else {
        panic!("not judged");
    };
    assert_eq!(health, Health::Throttled { pause });
}

#[test]
fn a_used_up_allowance_throttles_for_longer() {
    row(
        400,
        "ErrorExceededMessageLimit",
        "deferred Greeting 451 4.3.2 / Throttled { pause: Some(900s) }",
    );
}

#[test]
fn a_sender_that_may_not_be_used_is_refused() {
    row(403, "ErrorSendAsDenied", "rejected Sender 550 5.7.1 / Good");
}

#[test]
fn a_denied_mailbox_is_the_senders_fault_or_that_of_the_configuration() {
    assert_eq!(
        judged(403, "ErrorAccessDenied", Owner::Sender),
        "rejected Sender 550 5.7.1 / Good"
    );
    assert_eq!(
        judged(403, "ErrorAccessDenied", Owner::Configured),
        "deferred Authenticate unusable / Unusable"
    );
}

#[test]
fn an_unknown_mailbox_is_the_senders_fault_or_that_of_the_configuration() {
    let codes = [
        "ErrorInvalidUser",
        "ResourceNotFound",
        "Request_ResourceNotFound",
        "MailboxNotEnabledForRESTAPI",
    ];
    for code in codes {
        assert_eq!(
            judged(404, code, Owner::Sender),
            "rejected Sender 550 5.1.8 / Good"
        );
        assert_eq!(
            judged(404, code, Owner::Configured),
            "deferred Authenticate unusable / Unusable"
        );
    }
}

#[test]
fn a_blocked_mailbox_makes_its_mail_wait() {
    row(
        403,
        "ErrorAccountSuspend",
        "deferred Final 451 4.3.0 / Good",
    );
}

#[test]
fn a_missing_permission_makes_the_upstream_unusable() {
    for code in ["Authorization_RequestDenied", ""] {
        row(403, code, "deferred Authenticate unusable / Unusable");
    }
}

#[test]
fn a_bad_recipient_is_refused() {
    row(
        400,
        "ErrorInvalidRecipients",
        "bad recipient: rejected Recipient 553 5.1.3",
    );
}

#[test]
fn content_that_cannot_be_read_is_refused() {
    row(
        400,
        "ErrorMimeContentInvalidBase64String",
        "rejected Final 554 5.6.0 / Good",
    );
    row(
        400,
        "ErrorMimeContentInvalid",
        "rejected Final 554 5.6.0 / Good",
    );
}

#[test]
fn a_full_mailbox_makes_its_mail_wait() {
    row(507, "ErrorQuotaExceeded", "deferred Final 452 4.2.2 / Good");
}

#[test]
fn a_broken_gateway_makes_the_upstream_unreachable() {
    row(502, "", "deferred Final 451 4.3.0 / Unreachable");
}

#[test]
fn what_is_not_known_makes_the_message_wait() {
    for (status, code) in [
        (400, "BadRequest"),
        (404, ""),
        (409, ""),
        (500, "ErrorInternalServerError"),
        (501, ""),
        (100, ""),
        (999, ""),
    ] {
        row(status, code, "deferred Final 451 4.3.0 / Good");
    }
}

#[test]
fn the_words_say_what_to_do_and_are_bounded() {
    let heard = Heard {
        status: 403,
        code: "ErrorAccessDenied".into(),
        message: "x".repeat(300).into(),
    };
    let Meaning::Judged(Outcome::Rejected(failure), _) = judge(&heard, None, Owner::Sender) else {
        panic!("not rejected");
    };
    let text = &failure.cause.response().unwrap().text;
    assert!(
        text.starts_with("Graph: 403 ErrorAccessDenied: xxx"),
        "{text}"
    );
    assert!(text.contains("New-ManagementRoleAssignment"), "{text}");
    assert!(text.len() <= 512, "{}", text.len());
}

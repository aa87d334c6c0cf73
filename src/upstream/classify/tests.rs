use super::*;
use crate::mail::EnhancedStatusCode;
use crate::mail::status::Class;

const THROTTLED: Health = Health::Throttled { pause: None };

fn response(code: u16, status: &str) -> Response {
    Response {
        code,
        status: EnhancedStatusCode::parse(status),
        text: "words".into(),
    }
}

/// Asserts a row: stage, code, status → deferred, health.
#[track_caller]
fn deferred(stage: Stage, code: u16, status: &str, health: &Health) {
    let judgement = reply(stage, response(code, status), &[]);
    let failure = Failure::new(stage, Cause::Response(response(code, status)));
    assert_eq!(judgement.outcome, Outcome::Deferred(failure));
    assert_eq!(&judgement.health, health);
}

/// Asserts a row: stage, code, status → rejected, and the upstream is well.
#[track_caller]
fn rejected(stage: Stage, code: u16, status: &str) {
    let judgement = reply(stage, response(code, status), &[]);
    let failure = Failure::new(stage, Cause::Response(response(code, status)));
    assert_eq!(judgement.outcome, Outcome::Rejected(failure));
    assert_eq!(judgement.health, Health::Good);
}

#[test]
fn a_4yz_greeting_throttles() {
    deferred(Stage::Greeting, 421, "4.3.2", &THROTTLED);
    deferred(Stage::Greeting, 450, "", &THROTTLED);
}

#[test]
fn a_5yz_greeting_bounces_nothing_and_parks_nothing() {
    deferred(Stage::Greeting, 554, "5.7.1", &Health::Unreachable);
}

#[test]
fn starttls_refused_for_now_throttles() {
    deferred(Stage::Tls, 454, "4.7.0", &THROTTLED);
}

#[test]
fn starttls_refused_for_good_needs_a_person() {
    deferred(Stage::Tls, 502, "5.5.1", &Health::Unusable);
}

#[test]
fn a_refused_login_needs_a_person_and_bounces_nothing() {
    deferred(Stage::Authenticate, 535, "5.7.8", &Health::Unusable);
    deferred(Stage::Authenticate, 535, "5.7.139", &Health::Unusable);
    deferred(Stage::Authenticate, 534, "5.7.9", &Health::Unusable);
    deferred(Stage::Authenticate, 550, "5.7.30", &Health::Unusable);
}

#[test]
fn a_login_that_cannot_be_checked_now_throttles() {
    deferred(Stage::Authenticate, 454, "4.7.0", &THROTTLED);
    deferred(Stage::Authenticate, 421, "4.7.0", &THROTTLED);
    deferred(Stage::Authenticate, 432, "4.3.2", &THROTTLED);
}

#[test]
fn throttling_at_mail_is_the_upstreams_not_the_messages() {
    deferred(Stage::Sender, 421, "", &THROTTLED);
    deferred(Stage::Sender, 432, "4.3.2", &THROTTLED);
    deferred(Stage::Sender, 451, "4.3.0", &THROTTLED);
    deferred(Stage::Sender, 451, "4.7.1", &THROTTLED);
}

#[test]
fn a_rate_that_is_exceeded_is_the_upstreams_at_every_stage() {
    for stage in [
        Stage::Sender,
        Stage::Recipient,
        Stage::Content,
        Stage::Final,
    ] {
        deferred(stage, 421, "4.7.28", &THROTTLED);
        deferred(stage, 432, "4.3.2", &THROTTLED);
    }
}

#[test]
fn a_session_that_ends_at_a_message_does_not_hold_up_the_others() {
    for stage in [Stage::Recipient, Stage::Content, Stage::Final] {
        deferred(stage, 421, "4.4.2", &Health::Good);
        deferred(stage, 421, "", &Health::Good);
    }
}

#[test]
fn too_fast_is_the_upstreams_and_no_relaying_is_the_recipients() {
    deferred(Stage::Sender, 454, "4.7.0", &THROTTLED);
    deferred(Stage::Final, 454, "", &THROTTLED);
    deferred(Stage::Recipient, 454, "4.7.1", &Health::Good);
}

#[test]
fn other_temporary_replies_to_mail_are_about_the_sender() {
    deferred(Stage::Sender, 450, "4.1.8", &Health::Good);
    deferred(Stage::Sender, 451, "4.1.8", &Health::Good);
    deferred(Stage::Sender, 451, "", &Health::Good);
    deferred(Stage::Sender, 452, "4.3.1", &Health::Good);
}

#[test]
fn mail_without_the_login_it_needs_waits_for_a_person() {
    deferred(Stage::Sender, 530, "5.7.57", &Health::Unusable);
    deferred(Stage::Sender, 530, "5.7.0", &Health::Unusable);
    deferred(Stage::Sender, 538, "5.7.11", &Health::Unusable);
    deferred(Stage::Recipient, 530, "5.7.1", &Health::Unusable);
}

#[test]
fn an_upstream_that_lost_the_thread_bounces_nothing() {
    deferred(Stage::Sender, 503, "5.5.1", &Health::Unreachable);
    deferred(Stage::Sender, 500, "5.5.2", &Health::Unreachable);
    deferred(Stage::Recipient, 503, "5.5.1", &Health::Unreachable);
    deferred(Stage::Content, 503, "5.5.1", &Health::Unreachable);
}

#[test]
fn a_refused_sender_recipient_or_content_is_rejected() {
    rejected(Stage::Sender, 550, "5.1.8");
    rejected(Stage::Sender, 552, "5.3.4");
    rejected(Stage::Recipient, 550, "5.1.1");
    rejected(Stage::Content, 554, "5.5.1");
    rejected(Stage::Final, 550, "5.7.1");
    rejected(Stage::Final, 552, "");
}

#[test]
fn a_full_mailbox_is_rejected() {
    rejected(Stage::Recipient, 552, "5.2.2");
}

#[test]
fn too_many_recipients_are_deferred_in_the_old_and_the_new_form() {
    deferred(Stage::Recipient, 452, "4.5.3", &Health::Good);
    deferred(Stage::Recipient, 552, "5.5.3", &Health::Good);
    deferred(Stage::Recipient, 552, "", &Health::Good);
}

#[test]
fn greylisting_is_deferred_and_the_upstream_is_well() {
    deferred(Stage::Recipient, 450, "4.2.0", &Health::Good);
    deferred(Stage::Recipient, 451, "4.7.1", &Health::Good);
}

#[test]
fn a_temporary_failure_of_the_content_is_deferred_and_the_upstream_is_well() {
    deferred(Stage::Content, 451, "4.3.0", &Health::Good);
    deferred(Stage::Final, 452, "4.3.1", &Health::Good);
}

#[test]
fn a_positive_reply_in_the_wrong_place_is_deferred() {
    deferred(Stage::Content, 250, "2.0.0", &Health::Good);
    deferred(Stage::Final, 354, "", &Health::Good);
}

#[test]
fn an_upstream_that_is_silent_or_gone_before_the_content_is_unreachable() {
    for stage in [
        Stage::Resolve,
        Stage::Connect,
        Stage::Greeting,
        Stage::Tls,
        Stage::Authenticate,
        Stage::Sender,
        Stage::Recipient,
    ] {
        assert_eq!(broken(stage, Break::Timeout).health, Health::Unreachable);
        let closed = broken(stage, Break::Closed("closed".into()));
        assert_eq!(closed.health, Health::Unreachable);
        assert_eq!(
            closed.outcome,
            Outcome::Deferred(Failure::new(stage, Cause::Broken("closed".into())))
        );
    }
}

#[test]
fn one_message_that_ends_connections_does_not_stop_the_others() {
    assert_eq!(broken(Stage::Content, Break::Timeout).health, Health::Good);
    assert_eq!(
        broken(Stage::Final, Break::Closed("closed".into())).health,
        Health::Good
    );
}

#[test]
fn nonsense_makes_the_upstream_unreachable_at_every_stage() {
    let judgement = broken(Stage::Final, Break::from(ReplyError::Code));
    assert_eq!(judgement.health, Health::Unreachable);
    let Outcome::Deferred(failure) = judgement.outcome else {
        panic!("{:?}", judgement.outcome)
    };
    assert_eq!(
        failure.to_string(),
        "waiting for the final reply: the upstream sent a line that does not begin with a reply code"
    );
}

#[test]
fn what_a_person_must_repair_defers() {
    let judgement = unusable(Stage::Tls, "STARTTLS is not offered".into());
    assert_eq!(judgement.health, Health::Unusable);
    let Outcome::Deferred(failure) = judgement.outcome else {
        panic!("{:?}", judgement.outcome)
    };
    assert_eq!(
        failure
            .status(Class::PersistentTransientFailure)
            .to_string(),
        "4.7.0"
    );
}

#[test]
fn the_worse_health_counts() {
    assert_eq!(worse(Health::Good, THROTTLED), THROTTLED);
    assert_eq!(
        worse(Health::Unusable, Health::Unreachable),
        Health::Unusable
    );
    assert_eq!(worse(THROTTLED, Health::Unreachable), Health::Unreachable);
}

#[test]
fn a_mailbox_without_passwords_needs_a_person_also_where_the_login_was_let_through() {
    for status in ["5.7.30", "5.7.139"] {
        deferred(Stage::Sender, 550, status, &Health::Unusable);
    }
    rejected(Stage::Sender, 550, "5.7.1");
    rejected(Stage::Final, 550, "5.7.30");
}

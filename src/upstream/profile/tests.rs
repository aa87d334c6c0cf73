use std::collections::BTreeSet;

use super::*;
use crate::mail::{EnhancedStatusCode, Health, Outcome, Response, Stage};
use crate::schedule::Rate;
use crate::upstream::classify::{self, Meaning};

/// Puts a reply together: `"432 4.3.2 too many"`.
fn response(line: &str) -> Response {
    let (code, rest) = line.split_once(' ').unwrap();
    let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = EnhancedStatusCode::parse(first);
    Response {
        code: code.parse().unwrap(),
        status,
        text: if status.is_some() { text } else { rest }.into(),
    }
}

const SLOWER: &str = "throttled";
const SPENT: &str = "throttled for an hour";

/// What a judgement says, in words.
fn words(stage: Stage, line: &str, known: &[Answer]) -> String {
    let judgement = classify::reply(stage, response(line), known);
    match (judgement.outcome, judgement.health) {
        (Outcome::Deferred(_), Health::Good) => "deferred".to_owned(),
        (Outcome::Rejected(_), Health::Good) => "rejected".to_owned(),
        (Outcome::Deferred(_), Health::Throttled { pause: None }) => SLOWER.to_owned(),
        (Outcome::Deferred(_), Health::Throttled { pause: Some(pause) }) => match pause.as_secs() {
            3600 => SPENT.to_owned(),
            seconds => format!("throttled for {seconds} s"),
        },
        (Outcome::Deferred(_), Health::Unusable) => "unusable".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Asserts what each answer means, and that every row of the profile is met by one of them.
#[track_caller]
fn assert_rows(name: &str, examples: &[(Stage, &str, &str)]) {
    let profile = Profile::find(name).unwrap();
    let mut met = BTreeSet::new();
    for (stage, line, expected) in examples {
        assert_eq!(words(*stage, line, profile.answers), *expected, "{line}");
        let response = response(line);
        let text = response.text.to_ascii_lowercase();
        let mut rows = profile.answers.iter();
        met.extend(rows.position(|row| row.fits(*stage, &response, &text)));
    }
    let all: BTreeSet<usize> = (0..profile.answers.len()).collect();
    assert_eq!(met, all, "rows of {name} without an example");
}

const MICROSOFT: &[(Stage, &str, &str)] = &[
    (
        Stage::Final,
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]",
        SLOWER,
    ),
    (
        Stage::Authenticate,
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
        SLOWER,
    ),
    (
        Stage::Recipient,
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712)",
        SLOWER,
    ),
    (
        Stage::Sender,
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited",
        SLOWER,
    ),
    (
        Stage::Authenticate,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "unusable",
    ),
    (
        Stage::Authenticate,
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "unusable",
    ),
    (
        Stage::Final,
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "unusable",
    ),
    (
        Stage::Final,
        "430 4.2.0 STOREDRV; mailbox logon failure; [BeginDiagnosticData]",
        "unusable",
    ),
    (
        Stage::Recipient,
        "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
        SPENT,
    ),
    (
        Stage::Final,
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message",
        SPENT,
    ),
    (
        Stage::Final,
        "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit",
        SPENT,
    ),
    (
        Stage::Final,
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionQuotaExceeded",
        "unusable",
    ),
    (
        Stage::Final,
        "550 5.1.8 Access denied, bad outbound sender. AS(42004)",
        "unusable",
    ),
    (
        Stage::Sender,
        "550 5.7.705 Access denied, tenant has exceeded threshold",
        "unusable",
    ),
    (
        Stage::Sender,
        "550 5.7.708 Access denied, traffic not accepted from this IP",
        "unusable",
    ),
    (
        Stage::Final,
        "554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.com",
        "rejected",
    ),
    (
        Stage::Sender,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "rejected",
    ),
];

#[test]
fn microsoft_is_understood() {
    assert_rows("microsoft365", MICROSOFT);
    assert_rows("outlook", MICROSOFT);
}

const GOOGLE: &[(Stage, &str, &str)] = &[
    (
        Stage::Authenticate,
        "454 4.7.0 Too many login attempts, please try again later.",
        "throttled for 600 s",
    ),
    (
        Stage::Recipient,
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.",
        SLOWER,
    ),
    (
        Stage::Final,
        "421 4.7.0 Try again later, closing connection. gsmtp",
        SLOWER,
    ),
    (
        Stage::Final,
        "421 4.3.0 Temporary System Problem. Try again later",
        SLOWER,
    ),
    (
        Stage::Final,
        "421 4.4.5 Server busy, try again later.",
        SLOWER,
    ),
    (
        Stage::Recipient,
        "450 4.2.1 Peak SMTP relay limit exceeded for customer.",
        SLOWER,
    ),
    (
        Stage::Recipient,
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
        "deferred",
    ),
    (
        Stage::Recipient,
        "452 4.5.3 Your message has too many recipients.",
        "deferred",
    ),
    (
        Stage::Final,
        "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail",
        SPENT,
    ),
    (Stage::Final, "550 5.7.1 Email quota exceeded.", SPENT),
    (
        Stage::Final,
        "550 5.7.1 Daily SMTP relay limit exceeded for customer.",
        SPENT,
    ),
    (
        Stage::Sender,
        "550 5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered",
        "deferred",
    ),
    (
        Stage::Sender,
        "550 5.7.0 Mail relay denied [192.0.2.1]. Invalid credentials",
        "deferred",
    ),
];

#[test]
fn google_is_understood() {
    assert_rows("gmail", GOOGLE);
    assert_rows("google_relay", GOOGLE);
    let gmail = Profile::find("gmail").unwrap().answers;
    let stranger = "550 5.1.1 The email account that you tried to reach does not exist.";
    assert_eq!(words(Stage::Recipient, stranger, gmail), "rejected");
    let password = "535 5.7.8 Username and Password not accepted.";
    assert_eq!(words(Stage::Authenticate, password, gmail), "unusable");
}

#[test]
fn amazon_is_understood() {
    let examples = [
        (
            Stage::Final,
            "454 Throttling failure: Daily message quota exceeded.",
            SPENT,
        ),
        (
            Stage::Final,
            "454 Throttling failure: Maximum sending rate exceeded.",
            SLOWER,
        ),
        (
            Stage::Recipient,
            "421 Too many concurrent SMTP connections",
            SLOWER,
        ),
        (
            Stage::Final,
            "554 Message rejected: Sending paused for this account.",
            "unusable",
        ),
        (
            Stage::Final,
            "554 Message rejected: Sending suspended for this account.",
            "unusable",
        ),
        (
            Stage::Final,
            "535 Account not subscribed to SES",
            "unusable",
        ),
        (
            Stage::Final,
            "554 Access denied: User `arn:aws:iam::1:user/x` is not authorized to perform `ses:SendRawEmail`",
            "deferred",
        ),
        (
            Stage::Final,
            "554 Message rejected: Email address is not verified. The following identities failed",
            "rejected",
        ),
    ];
    assert_rows("ses", &examples);
}

#[test]
fn services_are_understood() {
    let spent = "451 Authentication failed: Maximum credits exceeded";
    assert_rows("sendgrid", &[(Stage::Authenticate, spent, SPENT)]);
    let examples = [
        (
            Stage::Final,
            "550 5.4.6 Unusual sending activity detected. Please try after sometime.",
            SPENT,
        ),
        (Stage::Final, "554 5.1.8 Email Outgoing Blocked", "unusable"),
    ];
    assert_rows("zoho", &examples);
}

#[test]
fn a_profile_is_found_by_its_name_alone() {
    for profile in Profile::all() {
        assert!(std::ptr::eq(Profile::find(profile.name).unwrap(), profile));
    }
    assert!(Profile::all().is_sorted_by_key(|profile| profile.name));
    assert_eq!(Profile::find("Gmail"), None);
}

#[test]
fn every_value_of_a_profile_can_be_used() {
    for profile in Profile::all() {
        for rate in profile.rate {
            assert!(Rate::parse(rate).is_ok(), "{rate} of {}", profile.name);
        }
        let host = match profile.host {
            Host::Fixed(host) => host,
            Host::Regional { example } => example,
        };
        assert!(crate::mail::Domain::parse(host).is_ok(), "{host}");
        assert!(matches!(
            (profile.tls, profile.port),
            (TlsPolicy::Implicit, 465) | (TlsPolicy::Required, 587)
        ));
    }
}

#[test]
fn no_row_refuses_for_good_what_is_temporary() {
    for profile in Profile::all() {
        for row in profile.answers {
            if row.meaning == Meaning::Rejected {
                for code in [421, 430, 432, 450, 451, 452, 454] {
                    let reply = Response {
                        code,
                        ..response("500 x")
                    };
                    assert!(!row.fits(Stage::Final, &reply, ""), "{row:?}");
                }
            }
        }
    }
}

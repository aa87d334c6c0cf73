//! Google: Gmail and Google Workspace.
//!
//! Limits: "Gmail sending limits in Google Workspace" and "Route outgoing SMTP relay messages through Google" of
//! support.google.com. Answers: "Gmail SMTP errors and codes".

use std::time::Duration;

use crate::upstream::classify::{Answer, Meaning};

use super::Profile;

/// One mailbox. Accounts without Workspace may send 500 messages a day.
pub(super) static GMAIL: Profile = Profile {
    rate: &["2000/d"],
    recipients_per_message: Some(100),
    answers: ANSWERS,
    ..Profile::at("gmail", "smtp.gmail.com")
};

/// The relay of an organisation. Its limits are those of each sender and of the organisation.
pub(super) static GOOGLE_RELAY: Profile = Profile {
    recipients_per_message: Some(100),
    answers: ANSWERS,
    ..Profile::at("google_relay", "smtp-relay.gmail.com")
};

const ANSWERS: &[Answer] = &[
    // Each further login makes it last longer.
    Answer::to(&[421, 454])
        .saying("too many login attempts")
        .means(Meaning::Throttled {
            pause: Some(Duration::from_mins(10)),
        }),
    Answer::to(&[421]).status(7, 28).means(Meaning::SLOWER),
    // "An unusual rate of unsolicited mail", "Try again later, closing connection", "Temporary System Problem".
    Answer::to(&[421]).status(7, 0).means(Meaning::SLOWER),
    Answer::to(&[421]).status(3, 0).means(Meaning::SLOWER),
    Answer::to(&[421]).status(4, 5).means(Meaning::SLOWER),
    // 450 4.2.1 is otherwise about the recipient.
    Answer::to(&[450])
        .status(2, 1)
        .saying("smtp relay limit exceeded")
        .means(Meaning::SLOWER),
    Answer::to(&[450]).status(2, 1).means(Meaning::Deferred),
    Answer::to(&[452]).status(5, 3).means(Meaning::Deferred),
    // What may be sent in a day, by a user or through the relay.
    Answer::to(&[550]).status(4, 5).means(Meaning::SPENT),
    Answer::to(&[550])
        .saying("quota exceeded")
        .means(Meaning::SPENT),
    Answer::to(&[550])
        .saying("smtp relay limit exceeded")
        .means(Meaning::SPENT),
    // The relay does not know the address of this machine, or the sender's domain. Nobody can tell which, so the mail
    // waits, and its sender hears of the delay.
    Answer::to(&[550])
        .saying("invalid credentials for relay")
        .means(Meaning::Deferred),
    Answer::to(&[550])
        .saying("mail relay denied")
        .means(Meaning::Deferred),
];

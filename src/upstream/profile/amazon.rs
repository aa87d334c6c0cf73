//! Amazon Simple Email Service.
//!
//! Limits: "Service quotas in Amazon SES". Answers: "SMTP response codes returned by Amazon SES" and "Errors related to the
//! sending quotas" of docs.aws.amazon.com. Rates belong to an account, so none is here.

use crate::upstream::classify::{Answer, Meaning};

use super::{Host, Profile};

/// The SMTP endpoint of a region.
pub(super) static SES: Profile = Profile {
    host: Host::Regional {
        example: "email-smtp.eu-central-1.amazonaws.com",
    },
    recipients_per_message: Some(50),
    answers: ANSWERS,
    ..Profile::at("ses", "")
};

const ANSWERS: &[Answer] = &[
    Answer::to(&[454])
        .saying("daily message quota exceeded")
        .means(Meaning::SPENT),
    Answer::to(&[454])
        .saying("throttling failure")
        .means(Meaning::SLOWER),
    Answer::to(&[421])
        .saying("too many concurrent smtp connections")
        .means(Meaning::SLOWER),
    Answer::to(&[554])
        .saying("sending paused")
        .means(Meaning::Unusable),
    Answer::to(&[554])
        .saying("sending suspended")
        .means(Meaning::Unusable),
    Answer::to(&[535])
        .saying("not subscribed to ses")
        .means(Meaning::Unusable),
    // The policy of the credentials does not allow it, for this sender or for any. Nobody can tell which, so the mail
    // waits, and its sender hears of the delay.
    Answer::to(&[554])
        .saying("is not authorized to perform")
        .means(Meaning::Deferred),
    Answer::to(&[554])
        .saying("email address is not verified")
        .means(Meaning::Rejected),
];

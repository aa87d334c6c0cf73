//! Microsoft: Exchange Online, and Outlook.com.
//!
//! Limits: "Message storage and concurrent connection throttling for SMTP Authenticated Submission" and "Exchange Online
//! limits" of learn.microsoft.com. Answers: "Email non-delivery reports and SMTP errors in Exchange Online".

use crate::upstream::classify::{Answer, Meaning};

use super::Profile;

/// Exchange Online, client submission of one mailbox.
pub(super) static MICROSOFT365: Profile = Profile {
    connections: Some(3),
    rate: &["30/m"],
    recipients_per_message: Some(500),
    answers: ANSWERS,
    ..Profile::at("microsoft365", "smtp.office365.com")
};

/// Personal accounts at Outlook.com; their limits are not published.
pub(super) static OUTLOOK: Profile = Profile {
    answers: ANSWERS,
    ..Profile::at("outlook", "smtp-mail.outlook.com")
};

const ANSWERS: &[Answer] = &[
    // A mailbox may have three connections: "sender thread limit exceeded", "concurrent connections limit exceeded".
    Answer::to(&[432, 421, 451])
        .saying("sender thread limit exceeded")
        .means(Meaning::SLOWER),
    Answer::to(&[432, 421, 451])
        .saying("concurrent connection")
        .means(Meaning::SLOWER),
    // "Access denied, please try again later" and "Server busy": the service slows a sender it suspects.
    Answer::to(&[421, 450, 451])
        .statuses(7, 500, 699)
        .means(Meaning::SLOWER),
    // Passwords are switched off for the service, the tenant or the mailbox.
    Answer::to(&[535, 550])
        .status(7, 139)
        .means(Meaning::Unusable),
    Answer::to(&[535, 550])
        .status(7, 30)
        .saying("basic authentication")
        .means(Meaning::Unusable),
    // The service principal has no right to the mailbox, or the mailbox is gone.
    Answer::to(&[430, 454, 550, 554])
        .saying("mailbox logon failure")
        .means(Meaning::Unusable),
    // The recipients of a day: of the mailbox, of a tenant on trial, of a tenant.
    Answer::to(&[550, 554]).status(1, 90).means(Meaning::SPENT),
    Answer::to(&[550, 554])
        .saying("submissionquotaexceeded")
        .means(Meaning::SPENT),
    Answer::to(&[550, 554])
        .statuses(7, 232, 233)
        .means(Meaning::SPENT),
    // The sending mailbox is full: what is sent is kept in Sent Items.
    Answer::to(&[550, 552, 554])
        .status(2, 2)
        .saying("storedrv.submission")
        .means(Meaning::Unusable),
    // The mailbox or the tenant is blocked from sending.
    Answer::to(&[550]).status(1, 8).means(Meaning::Unusable),
    Answer::to(&[550]).status(7, 705).means(Meaning::Unusable),
    Answer::to(&[550]).status(7, 708).means(Meaning::Unusable),
    // This mailbox may not send as this sender; others may be right.
    Answer::to(&[550, 554])
        .status(2, 252)
        .means(Meaning::Rejected),
    Answer::to(&[550]).status(7, 60).means(Meaning::Rejected),
];

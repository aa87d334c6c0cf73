//! Answers that are known by their words or by a provider's own codes. Pure data, and how it is matched.
//!
//! Rows of a profile come first, then those of [`GENERAL`], then the table of stages and codes.

use std::time::Duration;

use crate::mail::{Response, Stage};

/// A known answer and what it means. The first row that fits counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    codes: &'static [u16],
    stages: &'static [Stage],
    status: Option<StatusRange>,
    /// In lower case; empty for any.
    words: &'static str,
    /// What it means.
    pub meaning: Meaning,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// Whom it is about waits; the upstream is well.
    Deferred,
    /// Whom it is about is refused for good; the author is told the words.
    Rejected,
    /// The upstream asks for fewer or later messages; nothing is held against the message.
    Throttled {
        /// How long nothing is sent, where a provider counts in hours or days.
        pause: Option<Duration>,
    },
    /// A person must repair something at the upstream; the mail waits.
    Unusable,
}

impl Meaning {
    /// The upstream asks for less.
    pub const SLOWER: Self = Self::Throttled { pause: None };
    /// What may be sent in a day is used up: one message each hour tells when there is more.
    pub const SPENT: Self = Self::Throttled {
        pause: Some(Duration::from_hours(1)),
    };
}

/// Enhanced status codes of one subject; the class is that of the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct StatusRange {
    subject: u16,
    first: u16,
    last: u16,
}

impl Answer {
    /// Begins a row about these reply codes; an empty list is every negative one.
    pub const fn to(codes: &'static [u16]) -> Self {
        Self {
            codes,
            stages: &[],
            status: None,
            words: "",
            meaning: Meaning::Deferred,
        }
    }

    /// Limits it to these stages.
    #[must_use]
    pub const fn at(self, stages: &'static [Stage]) -> Self {
        Self { stages, ..self }
    }

    /// Limits it to the enhanced status code x.`subject`.`detail`.
    #[must_use]
    pub const fn status(self, subject: u16, detail: u16) -> Self {
        self.statuses(subject, detail, detail)
    }

    /// Limits it to the enhanced status codes from x.`subject`.`first` to x.`subject`.`last`.
    #[must_use]
    pub const fn statuses(self, subject: u16, first: u16, last: u16) -> Self {
        let range = StatusRange {
            subject,
            first,
            last,
        };
        Self {
            status: Some(range),
            ..self
        }
    }

    /// Limits it to texts with these words, which are written in lower case.
    #[must_use]
    pub const fn saying(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    /// Ends the row.
    #[must_use]
    pub const fn means(self, meaning: Meaning) -> Self {
        Self { meaning, ..self }
    }

    /// Returns whether a reply is this one.
    pub(in crate::upstream) fn fits(
        &self,
        stage: Stage,
        response: &Response,
        lower_case: &str,
    ) -> bool {
        let is_code =
            response.code >= 400 && (self.codes.is_empty() || self.codes.contains(&response.code));
        let is_status = self.status.is_none_or(|range| {
            response.status.is_some_and(|status| {
                let (subject, detail) = (status.subject(), status.detail());
                subject == range.subject && (range.first..=range.last).contains(&detail)
            })
        });
        is_code
            && is_status
            && (self.stages.is_empty() || self.stages.contains(&stage))
            && lower_case.contains(self.words)
    }
}

/// Returns the meaning of an answer: that of the first row that fits.
pub(super) fn find(stage: Stage, response: &Response, rows: &[Answer]) -> Option<Meaning> {
    let lower_case = response.text.to_ascii_lowercase();
    let mut rows = rows.iter().chain(GENERAL);
    let row = rows.find(|row| row.fits(stage, response, &lower_case))?;
    Some(row.meaning)
}

const TRANSACTION: &[Stage] = &[
    Stage::Sender,
    Stage::Recipient,
    Stage::Content,
    Stage::Final,
];

const TEMPORARY: &[u16] = &[421, 432, 450, 451, 452, 454];
const PERMANENT: &[u16] = &[550, 552, 553, 554];

/// What means the same whoever says it.
pub(super) const GENERAL: &[Answer] = &[
    // RFC 4954 §6: the password must be changed, or given once in another form.
    Answer::to(&[432])
        .at(&[Stage::Authenticate])
        .status(7, 12)
        .means(Meaning::Unusable),
    Answer::to(&[432])
        .saying("recipient thread limit exceeded")
        .means(Meaning::Deferred),
    // Exchange: too many connections of one mailbox.
    Answer::to(&[432]).at(TRANSACTION).means(Meaning::SLOWER),
    // RFC 3463 §3.4: the system is not accepting messages. It says so of itself, at whatever stage.
    Answer::to(TEMPORARY)
        .at(TRANSACTION)
        .status(3, 2)
        .means(Meaning::SLOWER),
    // X.7.28 is a flood of mail, for now.
    Answer::to(TEMPORARY).status(7, 28).means(Meaning::SLOWER),
    Answer::to(TEMPORARY)
        .saying("daily message quota exceeded")
        .means(Meaning::SPENT),
    Answer::to(TEMPORARY)
        .saying("maximum sending rate exceeded")
        .means(Meaning::SLOWER),
    Answer::to(TEMPORARY)
        .saying("smtp relay limit exceeded")
        .means(Meaning::SLOWER),
    Answer::to(TEMPORARY)
        .saying("too many login attempts")
        .means(Meaning::SLOWER),
    Answer::to(PERMANENT)
        .saying("daily user sending limit exceeded")
        .means(Meaning::SPENT),
    Answer::to(PERMANENT)
        .saying("daily user sending quota exceeded")
        .means(Meaning::SPENT),
    Answer::to(PERMANENT)
        .saying("daily sending quota exceeded")
        .means(Meaning::SPENT),
    Answer::to(PERMANENT)
        .saying("daily smtp relay limit exceeded")
        .means(Meaning::SPENT),
    Answer::to(PERMANENT)
        .saying("daily limit for message recipients")
        .means(Meaning::SPENT),
    Answer::to(&[])
        .saying("maximum credits exceeded")
        .means(Meaning::SPENT),
    Answer::to(&[])
        .saying("basic authentication is not supported")
        .means(Meaning::Unusable),
    Answer::to(&[])
        .saying("basic authentication is disabled")
        .means(Meaning::Unusable),
    Answer::to(&[])
        .saying("smtpclientauthentication is disabled")
        .means(Meaning::Unusable),
    Answer::to(&[])
        .saying("mailbox logon failure")
        .means(Meaning::Unusable),
    Answer::to(PERMANENT)
        .saying("sending paused for this account")
        .means(Meaning::Unusable),
    Answer::to(PERMANENT)
        .saying("sending suspended for this account")
        .means(Meaning::Unusable),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::EnhancedStatusCode;

    fn meaning(stage: Stage, code: u16, status: &str, text: &str) -> Option<Meaning> {
        let response = Response {
            code,
            status: EnhancedStatusCode::parse(status),
            text: text.into(),
        };
        find(stage, &response, &[])
    }

    /// One for each row of [`GENERAL`].
    const EXAMPLES: &[(Stage, u16, &str, &str, Meaning)] = &[
        (
            Stage::Authenticate,
            432,
            "4.7.12",
            "A password transition is needed",
            Meaning::Unusable,
        ),
        (
            Stage::Final,
            432,
            "4.3.2",
            "STOREDRV.Deliver; recipient thread limit exceeded",
            Meaning::Deferred,
        ),
        (
            Stage::Final,
            432,
            "4.3.2",
            "STOREDRV.ClientSubmit; sender thread limit exceeded",
            Meaning::SLOWER,
        ),
        (
            Stage::Recipient,
            451,
            "4.3.2",
            "Please try again later",
            Meaning::SLOWER,
        ),
        (
            Stage::Final,
            421,
            "4.7.28",
            "an unusual rate of mail",
            Meaning::SLOWER,
        ),
        (
            Stage::Final,
            454,
            "",
            "Throttling failure: Daily message quota exceeded.",
            Meaning::SPENT,
        ),
        (
            Stage::Final,
            454,
            "",
            "Throttling failure: Maximum sending rate exceeded.",
            Meaning::SLOWER,
        ),
        (
            Stage::Recipient,
            450,
            "4.2.1",
            "Peak SMTP relay limit exceeded for customer",
            Meaning::SLOWER,
        ),
        (
            Stage::Authenticate,
            454,
            "4.7.0",
            "Too many login attempts, please try again later",
            Meaning::SLOWER,
        ),
        (
            Stage::Final,
            550,
            "5.4.5",
            "Daily user sending limit exceeded",
            Meaning::SPENT,
        ),
        (
            Stage::Final,
            550,
            "5.4.5",
            "Daily user sending quota exceeded",
            Meaning::SPENT,
        ),
        (
            Stage::Final,
            550,
            "5.4.5",
            "Daily sending quota exceeded",
            Meaning::SPENT,
        ),
        (
            Stage::Final,
            550,
            "5.4.5",
            "Daily SMTP relay limit exceeded for user",
            Meaning::SPENT,
        ),
        (
            Stage::Final,
            550,
            "5.1.90",
            "you've reached your daily limit for message recipients",
            Meaning::SPENT,
        ),
        (
            Stage::Authenticate,
            451,
            "",
            "Authentication failed: Maximum credits exceeded",
            Meaning::SPENT,
        ),
        (
            Stage::Sender,
            550,
            "5.7.30",
            "Basic authentication is not supported for Client Submission.",
            Meaning::Unusable,
        ),
        (
            Stage::Authenticate,
            535,
            "5.7.139",
            "Authentication unsuccessful, basic authentication is disabled.",
            Meaning::Unusable,
        ),
        (
            Stage::Authenticate,
            535,
            "5.7.139",
            "SmtpClientAuthentication is disabled for the Tenant.",
            Meaning::Unusable,
        ),
        (
            Stage::Final,
            430,
            "4.2.0",
            "STOREDRV; mailbox logon failure",
            Meaning::Unusable,
        ),
        (
            Stage::Final,
            554,
            "",
            "Message rejected: Sending paused for this account.",
            Meaning::Unusable,
        ),
        (
            Stage::Final,
            554,
            "",
            "Message rejected: Sending suspended for this account.",
            Meaning::Unusable,
        ),
    ];

    #[test]
    fn what_is_unambiguous_is_understood_without_a_profile() {
        assert_eq!(EXAMPLES.len(), GENERAL.len());
        for ((stage, code, status, text, expected), row) in EXAMPLES.iter().zip(GENERAL) {
            let response = Response {
                code: *code,
                status: EnhancedStatusCode::parse(status),
                text: (*text).into(),
            };
            let lower_case = text.to_ascii_lowercase();
            assert!(row.fits(*stage, &response, &lower_case), "{text}");
            assert_eq!(
                meaning(*stage, *code, status, text),
                Some(*expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_ambiguous_is_left_to_the_table() {
        // REQUIRETLS has the same code (RFC 8689 §5).
        let text = "REQUIRETLS support required";
        assert_eq!(meaning(Stage::Recipient, 550, "5.7.30", text), None);
        // A flood that is refused for good.
        assert_eq!(meaning(Stage::Final, 550, "5.7.28", "Mail flood"), None);
        assert_eq!(
            meaning(Stage::Final, 550, "5.4.5", "network congestion"),
            None
        );
        assert_eq!(meaning(Stage::Final, 250, "2.0.0", "4.7.28"), None);
    }

    #[test]
    fn words_are_written_in_lower_case() {
        let is_lower = |row: &Answer| row.words == row.words.to_ascii_lowercase();
        assert!(GENERAL.iter().all(is_lower));
    }

    #[test]
    fn a_row_of_the_profile_comes_first() {
        let row = Answer::to(&[554]).saying("paused").means(Meaning::Rejected);
        let response = Response {
            code: 554,
            status: None,
            text: "Sending paused for this account".into(),
        };
        let found = find(Stage::Final, &response, &[row]);
        assert_eq!(found, Some(Meaning::Rejected));
    }
}

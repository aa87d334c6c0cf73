//! What an upstream's answer means: (stage, answer) → outcome and health. Pure; one table, one test for each row.
//!
//! The rule behind the table: what is wrong with the *message* (its sender, a recipient, its content) is told to its
//! author; what is wrong with the *upstream* (login, certificate, load, network) makes mail wait and never bounces.

mod known;

use std::time::Duration;

use crate::mail::{Cause, EnhancedStatusCode, Failure, Health, Outcome, Response, Stage, Unusable};
use crate::oauth::TokenError;
use crate::smtp::reply::ReplyError;

pub use known::{Answer, Meaning};

/// What a negative answer means for the recipients it is about, and for the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// Deferred or rejected.
    pub outcome: Outcome,
    /// What it says about the upstream as a whole.
    pub health: Health,
}

/// Why a connection gave no usable answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Break {
    /// It could not be made, was closed, or failed; with the system's words.
    Closed(Box<str>),
    /// It carried something that is no reply, or a reply to nothing.
    Nonsense(Box<str>),
    /// Nothing came in time.
    Timeout,
}

impl From<ReplyError> for Break {
    fn from(error: ReplyError) -> Self {
        Self::Nonsense(format!("the upstream sent {error}").into())
    }
}

/// Judges a reply that did not let the transaction go on, by the rows of `known` and, where none fits, as everybody's.
///
/// A positive reply in the wrong place (such as 250 where 354 belongs) defers like a temporary failure.
pub fn reply(stage: Stage, response: Response, known: &[Answer]) -> Judgement {
    let (verdict, health) = match known::find(stage, &response, known) {
        Some(meaning) => meant(meaning),
        None => judge(stage, &response),
    };
    let failure = Failure::new(stage, Cause::Response(response));
    Judgement {
        outcome: verdict.outcome(failure),
        health,
    }
}

/// Judges the end of a connection at a stage where no content can have been taken over.
///
/// After the end of the content the outcome is [`Outcome::Unknown`] instead; the health is the same.
pub fn broken(stage: Stage, end: Break) -> Judgement {
    let is_midway = matches!(stage, Stage::Content | Stage::Final);
    let health = match &end {
        // The upstream took sender and recipients, so it is there; what it stumbles over may be this message, which
        // must not hold up the others.
        Break::Closed(_) | Break::Timeout if is_midway => Health::Good,
        Break::Closed(_) | Break::Nonsense(_) | Break::Timeout => Health::Unreachable,
    };
    let cause = match end {
        Break::Closed(text) | Break::Nonsense(text) => Cause::Broken(text),
        Break::Timeout => Cause::Timeout,
    };
    Judgement {
        outcome: Outcome::Deferred(Failure::new(stage, cause)),
        health,
    }
}

/// Judges an upstream that cannot be used as it is configured: the mail waits until somebody repairs it.
pub fn unusable(stage: Stage, unusable: Unusable) -> Judgement {
    Judgement {
        outcome: Outcome::Deferred(Failure::new(stage, Cause::Unusable(unusable))),
        health: Health::Unusable,
    }
}

/// Judges that there is no access token to log in with, or to send requests with.
///
/// Where the token endpoint asks for a pause the upstream gets it; where the endpoint cannot be reached, the upstream
/// cannot either.
pub fn no_token(error: TokenError) -> Judgement {
    match error {
        TokenError::Unusable(text) => unusable(Stage::Authenticate, no_token_text(&text).into()),
        TokenError::Temporary { text, pause } => {
            let cause = Cause::Broken(no_token_text(&text));
            Judgement {
                outcome: Outcome::Deferred(Failure::new(Stage::Authenticate, cause)),
                health: match pause {
                    Some(_) => Health::Throttled { pause },
                    None => Health::Unreachable,
                },
            }
        }
    }
}

fn no_token_text(text: &str) -> Box<str> {
    format!("there is no access token: {text}").into()
}

/// Returns the worse of two healths: what people must repair, then what cannot be reached, then what asks for less.
#[must_use]
pub fn worse(one: Health, other: Health) -> Health {
    if rank(&other) > rank(&one) {
        other
    } else {
        one
    }
}

const fn rank(health: &Health) -> u8 {
    match health {
        Health::Good => 0,
        Health::Throttled { .. } => 1,
        Health::Unreachable => 2,
        Health::Unusable => 3,
    }
}

#[derive(Clone, Copy)]
enum Verdict {
    Defer,
    Reject,
}

impl Verdict {
    const fn outcome(self, failure: Failure) -> Outcome {
        match self {
            Self::Defer => Outcome::Deferred(failure),
            Self::Reject => Outcome::Rejected(failure),
        }
    }
}

const fn meant(meaning: Meaning) -> (Verdict, Health) {
    match meaning {
        Meaning::Deferred => (Verdict::Defer, Health::Good),
        Meaning::Rejected => (Verdict::Reject, Health::Good),
        Meaning::Throttled { pause } => (Verdict::Defer, Health::Throttled { pause }),
        Meaning::Unusable => (Verdict::Defer, Health::Unusable),
    }
}

/// The table.
#[expect(
    clippy::match_same_arms,
    reason = "one row for each meaning, in the order of the stages"
)]
fn judge(stage: Stage, response: &Response) -> (Verdict, Health) {
    use Verdict::{Defer, Reject};
    const THROTTLED: Health = Health::Throttled { pause: NO_PAUSE };
    const NO_PAUSE: Option<Duration> = None;
    let code = response.code;
    match stage {
        // No name, no connection: there is no reply to judge. A 5yz greeting is how busy or cautious servers turn
        // one address away for a while (RFC 5321 §3.1), so it does not park the upstream.
        Stage::Resolve | Stage::Connect => (Defer, Health::Unreachable),
        Stage::Greeting if is_temporary(code) => (Defer, THROTTLED),
        Stage::Greeting => (Defer, Health::Unreachable),
        Stage::Tls | Stage::Authenticate if is_temporary(code) => (Defer, THROTTLED),
        Stage::Tls | Stage::Authenticate => (Defer, Health::Unusable),
        // 421 ends the session for all that it could be used for (RFC 5321 §3.8), 432 is Microsoft's "thread limit
        // exceeded". Neither is about this message, whatever it answers.
        Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final
            if matches!(code, 421 | 432) =>
        {
            (Defer, THROTTLED)
        }
        // The system cannot authenticate or encrypt for now (RFC 4954 §6, RFC 3207 §4), or is too busy (SES). To RCPT it
        // is what relays answer that do not take this one recipient.
        Stage::Sender | Stage::Content | Stage::Final if code == 454 => (Defer, THROTTLED),
        Stage::Sender if is_busy(response) => (Defer, THROTTLED),
        // The login is missing, refused or must come after STARTTLS (RFC 4954 §6, RFC 3207 §4).
        Stage::Sender | Stage::Recipient if is_about_login(response) => (Defer, Health::Unusable),
        // The upstream does not follow the conversation. It is not the message's fault.
        Stage::Sender | Stage::Recipient | Stage::Content if matches!(code, 500 | 502 | 503) => {
            (Defer, Health::Unreachable)
        }
        // RFC 5321 §4.5.3.1.10: 552 used to mean "too many recipients" and is to be treated as 452.
        Stage::Recipient if code == 552 && !is_about_mailbox(response) => (Defer, Health::Good),
        Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final if is_permanent(code) => {
            (Reject, Health::Good)
        }
        Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final => (Defer, Health::Good),
    }
}

const fn is_temporary(code: u16) -> bool {
    code >= 400 && code < 500
}

const fn is_permanent(code: u16) -> bool {
    code >= 500
}

/// 451 4.3.x is a busy system and 451 4.7.x a rate limit; other temporary replies to MAIL are about the sender.
fn is_busy(response: &Response) -> bool {
    response.code == 451
        && response
            .status
            .is_some_and(|status| matches!(status.subject(), 3 | 7))
}

/// Returns whether the login is missing, refused, or not of the kind that is wanted: 5.7.30 and 5.7.139 are Microsoft's,
/// who has switched passwords off for this mailbox.
fn is_about_login(response: &Response) -> bool {
    let is_policy = |status: EnhancedStatusCode| {
        matches!((status.subject(), status.detail()), (7, 30 | 139)) && is_permanent(response.code)
    };
    matches!(response.code, 530 | 534 | 535 | 538) || response.status.is_some_and(is_policy)
}

/// X.2.x is about the mailbox (full, disabled) and X.3.x about the system (message too big).
fn is_about_mailbox(response: &Response) -> bool {
    response
        .status
        .is_some_and(|status| matches!(status.subject(), 2 | 3))
}

#[cfg(test)]
mod tests;

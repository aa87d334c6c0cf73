//! What an answer of Graph means: (status, `error.code`) → outcome and health. Pure; one table, one test for each row.
//!
//! The rule behind it is that of [`classify`](crate::upstream::classify): what is wrong with the message is told to its
//! author, what is wrong with the upstream makes mail wait. Replies to people are given the SMTP codes that say the same,
//! so that reports and logs are read as always.
//!
//! The stages decide what counts against a message: what Graph refuses as a whole (429, 503, 504) is said at
//! [`Stage::Greeting`], before the message was looked at; everything about the message later.

use std::time::Duration;

use crate::mail::{
    Cause, Duty, EnhancedStatusCode, Failure, Handover, Health, Outcome, Response, Stage,
};

use super::answer::Heard;

/// What an answer means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// One of the recipients is no address for Graph; nothing was sent.
    BadRecipient(Outcome),
    /// What becomes of the recipients, and how Graph fares.
    Judged(Outcome, Health),
    /// The token is refused. With another one it may do; what it means where that is refused too.
    NewToken(Outcome, Health),
    /// Graph does not take it, and SMTP may: it is too large, or was answered with success but not with 202.
    OtherPath(Outcome),
}

/// Whose mailbox sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    /// The one of the configuration: what is wrong with it is wrong with the upstream.
    Configured,
    /// That of the message's sender: what is wrong with it is this sender's.
    Sender,
}

/// Judges an answer. `pause` is what it asks to wait (`Retry-After`).
pub(super) fn judge(heard: &Heard, pause: Option<Duration>, owner: Owner) -> Meaning {
    let code = heard.code.to_ascii_lowercase();
    whatever_the_sender(heard, &code, pause)
        .unwrap_or_else(|| by_sender_and_message(heard, &code, owner))
}

/// The rows that are the same for every sender, which come first.
fn whatever_the_sender(heard: &Heard, code: &str, pause: Option<Duration>) -> Option<Meaning> {
    let say = |reply, hint| Answer { heard, reply, hint };
    let throttled = |pause| Health::Throttled { pause };
    Some(match (heard.status, code) {
        // Only this is a success. "2xx" is not: messages of more than 2240 kB have been answered with 200 and were lost.
        (202, ..) => Meaning::Judged(relayed(heard), Health::Good),
        (200..=299, ..) => {
            let hint = "only 202 means that the message was taken";
            Meaning::OtherPath(say(Reply::System, hint).deferred(Stage::Final))
        }
        (300..=399, ..) => unusable(heard, "redirects are not followed; is `endpoint` right?"),
        (401, ..) => {
            let hint = "Graph takes no token of this application: check tenant_id, client_id, cloud and \
                        that Mail.Send is granted";
            Meaning::NewToken(repair(heard, hint), Health::Unusable)
        }
        (413, ..) | (_, "errormessagesizeexceeded" | "requestentitytoolarge") => {
            let hint =
                "the message is larger than Graph takes; large = \"smtp\" sends it another way";
            Meaning::OtherPath(say(Reply::TooLarge, hint).rejected(Stage::Final))
        }
        (_, "errorexceededmessagelimit") => {
            let hint = "the mailbox has sent as much as Exchange allows for now";
            let pause = pause.unwrap_or(QUOTA_PAUSE);
            let outcome = say(Reply::Busy, hint).deferred(Stage::Greeting);
            Meaning::Judged(outcome, throttled(Some(pause)))
        }
        (429 | 503 | 504, ..) => {
            let outcome =
                say(Reply::Busy, "Graph asks for fewer requests").deferred(Stage::Greeting);
            Meaning::Judged(outcome, throttled(pause))
        }
        _ => return None,
    })
}

/// The rows that depend on whose mailbox sends, or on the message.
fn by_sender_and_message(heard: &Heard, code: &str, owner: Owner) -> Meaning {
    let say = |reply, hint| Answer { heard, reply, hint };
    match (heard.status, code, owner) {
        (_, "errorsendasdenied", _) => {
            let hint = "the mailbox may not send as the address in From: use its primary address, or give it \
                        the right \"Send As\"; an \"@\" in the name beside the address can cause this too";
            refused(&say(Reply::NotAllowed, hint), Stage::Sender)
        }
        (_, "erroraccessdenied", Owner::Sender) => {
            let hint = "the application may not send from this sender's mailbox: widen the scope of its role \
                        \"Application Mail.Send\" (New-ManagementRoleAssignment) or grant Mail.Send";
            refused(&say(Reply::NotAllowed, hint), Stage::Sender)
        }
        (_, "erroraccessdenied", Owner::Configured) => {
            let hint = "the application may not send from the configured mailbox: grant Mail.Send, or its role \
                        \"Application Mail.Send\" over this mailbox (takes up to 30 minutes to act)";
            unusable(heard, hint)
        }
        (_, UNKNOWN_USER_1 | UNKNOWN_USER_2 | UNKNOWN_USER_3 | UNKNOWN_USER_4, Owner::Sender) => {
            let hint = "the sender has no mailbox in this tenant: set `mailbox`, or send as somebody who has one";
            refused(&say(Reply::NoSuchSender, hint), Stage::Sender)
        }
        (
            _,
            UNKNOWN_USER_1 | UNKNOWN_USER_2 | UNKNOWN_USER_3 | UNKNOWN_USER_4,
            Owner::Configured,
        ) => unusable(
            heard,
            "the tenant has no such mailbox: check `mailbox` and tenant_id",
        ),
        (_, "erroraccountsuspend" | "erroraccountsuspendshowtierupgrade", _) => {
            let hint = "Exchange has blocked the sending mailbox; an administrator must release it";
            later(&say(Reply::System, hint))
        }
        (403, ..) => {
            let hint = "the application lacks a permission: grant Mail.Send and consent to it";
            unusable(heard, hint)
        }
        (_, "errorinvalidrecipients" | "errorinvalidsmtpaddress", _) => {
            let hint = "Graph takes this for no address";
            Meaning::BadRecipient(say(Reply::BadRecipient, hint).rejected(Stage::Recipient))
        }
        (400..=499, code, _) if code.starts_with("errormimecontent") => {
            let hint = "Graph cannot read the message as MIME";
            refused(&say(Reply::BadContent, hint), Stage::Final)
        }
        (_, "errorquotaexceeded", _) => {
            let hint =
                "the sending mailbox is full: Graph keeps a copy of each message in Sent Items";
            later(&say(Reply::MailboxFull, hint))
        }
        (502, ..) => {
            let outcome = say(Reply::System, "").deferred(Stage::Final);
            Meaning::Judged(outcome, Health::Unreachable)
        }
        // It may be this message that Graph stumbles over, which must not hold up the others.
        _ => later(&say(Reply::System, "")),
    }
}

const UNKNOWN_USER_1: &str = "errorinvaliduser";
const UNKNOWN_USER_2: &str = "resourcenotfound";
const UNKNOWN_USER_3: &str = "request_resourcenotfound";
const UNKNOWN_USER_4: &str = "mailboxnotenabledforrestapi";

/// How long nothing is sent after the daily or hourly allowance is used up, where Graph does not say.
const QUOTA_PAUSE: Duration = Duration::from_mins(15);

/// The SMTP reply that says the same, to temporary or permanent failures.
#[derive(Clone, Copy)]
enum Reply {
    BadContent,
    BadRecipient,
    Busy,
    MailboxFull,
    NoSuchSender,
    NotAllowed,
    System,
    TooLarge,
}

impl Reply {
    const fn code_and_status(self) -> (u16, &'static str) {
        match self {
            Self::BadContent => (554, "5.6.0"),
            Self::BadRecipient => (553, "5.1.3"),
            Self::Busy => (451, "4.3.2"),
            Self::MailboxFull => (452, "4.2.2"),
            Self::NoSuchSender => (550, "5.1.8"),
            Self::NotAllowed => (550, "5.7.1"),
            Self::System => (451, "4.3.0"),
            Self::TooLarge => (552, "5.3.4"),
        }
    }
}

/// An answer in the words of SMTP, with what to do about it.
struct Answer<'a> {
    heard: &'a Heard,
    reply: Reply,
    hint: &'static str,
}

impl Answer<'_> {
    fn response(&self) -> Response {
        let (code, status) = self.reply.code_and_status();
        Response {
            code,
            status: EnhancedStatusCode::parse(status),
            text: with_hint(self.heard, self.hint),
        }
    }

    fn deferred(&self, stage: Stage) -> Outcome {
        Outcome::Deferred(Failure::new(stage, Cause::Response(self.response())))
    }

    fn rejected(&self, stage: Stage) -> Outcome {
        Outcome::Rejected(Failure::new(stage, Cause::Response(self.response())))
    }
}

fn relayed(heard: &Heard) -> Outcome {
    let response = Response {
        code: 250,
        status: EnhancedStatusCode::parse("2.0.0"),
        text: format!("Graph: {} Accepted", heard.status).into(),
    };
    // Graph knows neither NOTIFY nor BY.
    let handover = Handover::Onward {
        dsn: Duty::Ours,
        deliver_by: Duty::Ours,
    };
    Outcome::Relayed(response, handover)
}

fn refused(answer: &Answer<'_>, stage: Stage) -> Meaning {
    Meaning::Judged(answer.rejected(stage), Health::Good)
}

fn later(answer: &Answer<'_>) -> Meaning {
    Meaning::Judged(answer.deferred(Stage::Final), Health::Good)
}

fn unusable(heard: &Heard, hint: &str) -> Meaning {
    Meaning::Judged(repair(heard, hint), Health::Unusable)
}

/// Mail waits until somebody does what the hint says.
fn repair(heard: &Heard, hint: &str) -> Outcome {
    let cause = Cause::Unusable(with_hint(heard, hint).into());
    Outcome::Deferred(Failure::new(Stage::Authenticate, cause))
}

/// At most 512 octets: code and message are bounded, and hints are short.
fn with_hint(heard: &Heard, hint: &str) -> Box<str> {
    let mut text: String = heard.text();
    text.truncate(MAX_HEARD);
    if !hint.is_empty() {
        text.push_str(" (");
        text.push_str(hint);
        text.push(')');
    }
    text.into()
}

/// How much is kept of what Graph says, in octets; it is ASCII.
const MAX_HEARD: usize = 256;

#[cfg(test)]
mod tests;

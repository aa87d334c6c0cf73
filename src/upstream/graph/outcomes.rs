//! What becomes of recipients of whom Graph was not asked, or did not answer. Pure.

use std::io;

use crate::http::HttpError;
use crate::mail::{
    Attempt, Cause, DeliverByMode, Envelope, Failure, Health, Outcome, Stage, TlsRequest,
};
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::probe::Trouble;

/// What a request that got no answer means.
pub(super) fn no_answer(error: &HttpError) -> Judgement {
    let text = error.to_string();
    match error {
        // Graph may have sent the message.
        HttpError::Broken { .. } | HttpError::TooLarge { .. } => {
            unknown(Cause::Broken(text.into()))
        }
        HttpError::Timeout { .. } => unknown(Cause::Timeout),
        HttpError::Certificate { .. } => classify::unusable(Stage::Tls, text.into()),
        HttpError::Address { .. } => classify::unusable(Stage::Connect, text.into()),
        HttpError::Connect { .. } => classify::broken(Stage::Connect, Break::Closed(text.into())),
        HttpError::Tls { .. } => classify::broken(Stage::Tls, Break::Closed(text.into())),
    }
}

fn unknown(cause: Cause) -> Judgement {
    Judgement {
        outcome: Outcome::Unknown(Failure::new(Stage::Final, cause)),
        health: Health::Good,
    }
}

/// What becomes of recipients that were not tried because of what became of others.
pub(super) fn unsent(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            Outcome::Deferred(failure.clone())
        }
        Outcome::Relayed(..) => too_many_bad(),
    }
}

pub(super) fn too_many_bad() -> Outcome {
    let text = "Graph takes some recipients for no addresses, and not all of them are known yet";
    let failure = Failure::new(Stage::Recipient, Cause::Broken(text.into()));
    Outcome::Deferred(failure)
}

pub(super) fn unreadable(error: &io::Error) -> Outcome {
    let text = format!("the stored message cannot be read: {error}");
    Outcome::Deferred(Failure::new(Stage::Content, Cause::Broken(text.into())))
}

pub(super) fn no_sender() -> Outcome {
    let text = "the message names no sender who can have a mailbox; the key `mailbox` of this upstream names one \
                for all";
    Outcome::Rejected(Failure::new(Stage::Sender, Cause::Unusable(text.into())))
}

pub(super) fn no_smtputf8() -> Outcome {
    Outcome::Rejected(Failure::new(
        Stage::Recipient,
        Cause::Capability("SMTPUTF8"),
    ))
}

/// What becomes of a message that asks for something which Graph has no words for, and which must not go without it.
pub(super) fn lack(envelope: &Envelope) -> Option<Outcome> {
    let must_not_be_late = envelope
        .deliver_by
        .is_some_and(|by| by.mode == DeliverByMode::Return);
    let what = match envelope.tls {
        TlsRequest::Required => "REQUIRETLS",
        TlsRequest::Optional | TlsRequest::Unsaid if must_not_be_late => "DELIVERBY",
        TlsRequest::Optional | TlsRequest::Unsaid => return None,
    };
    let failure = Failure::new(Stage::Sender, Cause::Capability(what));
    Some(Outcome::Rejected(failure))
}

pub(super) fn too_large() -> Outcome {
    let cause = Cause::Capability("messages of this size");
    Outcome::Rejected(Failure::new(Stage::Content, cause))
}

pub(super) fn not_as_it_is() -> Outcome {
    let cause = Cause::Capability("messages with this header");
    Outcome::Rejected(Failure::new(Stage::Content, cause))
}

pub(super) fn first_problem(attempt: &Attempt) -> String {
    let problem = attempt
        .outcomes
        .iter()
        .find_map(|(_, outcome)| match outcome {
            Outcome::Relayed(..) => None,
            Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
                Some(failure.to_string())
            }
        });
    problem.unwrap_or_default()
}

pub(super) fn trouble(judgement: Judgement) -> Trouble {
    let failure = match judgement.outcome {
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            failure
        }
        Outcome::Relayed(response, _) => Failure::new(Stage::Final, Cause::Response(response)),
    };
    Trouble {
        failure,
        health: judgement.health,
        address: None,
        shown: Vec::new(),
    }
}

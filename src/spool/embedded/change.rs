//! What happens to messages, as the fields of a record's head.

use std::fmt::Display;

use crate::clock::Timestamp;
use crate::mail::{
    Cause, EnhancedStatusCode, Failure, QueueId, RecipientIndex, Response, Stage, VERIFIED_TLS,
};
use crate::spool::Warned;
use crate::spool::standing::{Recipients, Standing, Waiting};

use super::fields::{Fields, Malformed, Reader, number, octet, text};
use super::message::{self, ID, STANDING};
use super::untold;

/// A change of one message.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) id: QueueId,
    /// Its standing from now on; `None` where it is done.
    pub(super) standing: Option<Standing>,
    /// The fields of the messages that follow from it.
    pub(super) reports: Vec<&'a [u8]>,
}

/// Writes a change; reports follow by [`write_report`].
pub(super) fn write(fields: &mut Fields, id: QueueId, standing: Option<&Standing>) {
    fields.number(ID, id.number());
    if let Some(standing) = standing {
        fields.nested(STANDING, |fields| write_standing(fields, standing));
    }
}

/// Writes a message that follows from a change.
pub(super) fn write_report(fields: &mut Fields, report: impl FnOnce(&mut Fields)) {
    fields.nested(REPORT, report);
}

/// Reads the fields of messages that came together.
pub(super) fn read_together(head: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut messages = Vec::new();
    for field in Reader::new(head) {
        if let (REPORT, content) = field? {
            messages.push(content);
        }
    }
    Ok(messages)
}

pub(super) fn read(head: &[u8]) -> Result<Change<'_>, Malformed> {
    let (mut id, mut standing, mut reports) = (None, None, Vec::new());
    for field in Reader::new(head) {
        match field? {
            (ID, content) => id = Some(QueueId::from_number(number(content)?)),
            (STANDING, content) => standing = Some(read_standing(content)?),
            (REPORT, content) => reports.push(content),
            _ => {}
        }
    }
    Ok(Change {
        id: id.ok_or(Malformed)?,
        standing,
        reports,
    })
}

/// Writes the ids of messages that are done.
pub(super) fn write_gone(fields: &mut Fields, ids: &[QueueId]) {
    fields.nested(GONE, |fields| {
        for id in ids {
            fields.raw(&id.number().to_le_bytes());
        }
    });
}

pub(super) fn read_gone(head: &[u8]) -> Result<Vec<QueueId>, Malformed> {
    let mut ids = Vec::new();
    for field in Reader::new(head) {
        if let (GONE, content) = field? {
            let (numbers, rest) = content.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(Malformed);
            }
            ids.extend(
                numbers
                    .iter()
                    .map(|number| QueueId::from_number(u64::from_le_bytes(*number))),
            );
        }
    }
    Ok(ids)
}

pub(super) fn write_standing(fields: &mut Fields, standing: &Standing) {
    fields.number(ATTEMPTS, u64::from(standing.attempts()));
    if standing.is_held {
        fields.octet(HELD, 1);
    }
    if standing.warned != Warned::default() {
        fields.octet(WARNED, warned_to_octet(standing.warned));
    }
    for untold in &standing.untold {
        fields.nested(UNTOLD, |fields| untold::write(fields, untold));
    }
    if let Some(route) = &standing.route {
        fields.nested(OPERATORS_ROUTE, |fields| {
            message::write_route(fields, route);
        });
    }
    match &standing.recipients {
        Recipients::All { count, due } => {
            fields.number(COUNT, u64::from(*count));
            fields.number(DUE, due.unix_millis());
        }
        Recipients::Some(waiting) => {
            for waiting in waiting {
                fields.nested(WAITING, |fields| write_waiting(fields, waiting));
            }
        }
    }
}

pub(super) fn read_standing(fields: &[u8]) -> Result<Standing, Malformed> {
    let (mut attempts, mut is_held, mut count, mut due) = (0, false, None, None);
    let (mut warned, mut waiting) = (Warned::default(), Vec::new());
    let (mut untold, mut route) = (Vec::new(), None);
    for field in Reader::new(fields) {
        match field? {
            (ATTEMPTS, content) => {
                attempts = count_of(content)?;
            }
            (HELD, _) => is_held = true,
            (WARNED, content) => warned = warned_of_octet(octet(content)?),
            (OPERATORS_ROUTE, content) => route = Some(message::read_route(content)?),
            (COUNT, content) => {
                count = Some(u16::try_from(number(content)?).map_err(|_| Malformed)?);
            }
            (DUE, content) => due = Some(Timestamp::from_unix_millis(number(content)?)),
            (WAITING, content) => waiting.push(read_waiting(content)?),
            (UNTOLD, content) => untold.push(untold::read(content)?),
            _ => {}
        }
    }
    let recipients = match count.zip(due) {
        Some((count, due)) => Recipients::All { count, due },
        None if waiting.is_empty() => return Err(Malformed),
        None => Recipients::Some(
            waiting
                .into_iter()
                .map(|(own, waiting)| Waiting {
                    attempts: own.unwrap_or(attempts),
                    ..waiting
                })
                .collect(),
        ),
    };
    Ok(Standing {
        is_held,
        warned,
        untold: untold.into(),
        route,
        recipients,
    })
}

fn warned_to_octet(warned: Warned) -> u8 {
    u8::from(warned.of_delay) * OF_DELAY + u8::from(warned.of_deadline) * OF_DEADLINE
}

const fn warned_of_octet(octet: u8) -> Warned {
    Warned {
        of_delay: octet & OF_DELAY != 0,
        of_deadline: octet & OF_DEADLINE != 0,
    }
}

fn write_waiting(fields: &mut Fields, waiting: &Waiting) {
    fields.number(INDEX, u64::from(waiting.index.0));
    fields.number(ATTEMPTS_OF_ONE, u64::from(waiting.attempts));
    fields.number(DUE, waiting.due.unix_millis());
    if let Some(reason) = &waiting.reason {
        fields.nested(REASON, |fields| write_failure(fields, reason));
    }
}

/// Reads a recipient, and its attempts apart: older programs counted those of the message only.
fn read_waiting(fields: &[u8]) -> Result<(Option<u32>, Waiting), Malformed> {
    let (mut index, mut attempts, mut due, mut reason) = (None, None, None, None);
    for field in Reader::new(fields) {
        match field? {
            (INDEX, content) => {
                let number = u16::try_from(number(content)?).map_err(|_| Malformed)?;
                index = Some(RecipientIndex(number));
            }
            (ATTEMPTS_OF_ONE, content) => attempts = Some(count_of(content)?),
            (DUE, content) => due = Some(Timestamp::from_unix_millis(number(content)?)),
            (REASON, content) => reason = Some(read_failure(content)?),
            _ => {}
        }
    }
    let waiting = Waiting {
        index: index.ok_or(Malformed)?,
        attempts: 0,
        due: due.ok_or(Malformed)?,
        reason,
    };
    Ok((attempts, waiting))
}

fn count_of(content: &[u8]) -> Result<u32, Malformed> {
    u32::try_from(number(content)?).map_err(|_| Malformed)
}

pub(super) fn write_failure(fields: &mut Fields, failure: &Failure) {
    let stage = STAGES.iter().position(|stage| *stage == failure.stage);
    fields.octet(STAGE, stage.and_then(|n| u8::try_from(n).ok()).unwrap_or(0));
    let (cause, words): (u8, &dyn Display) = match &failure.cause {
        Cause::Broken(text) => (BROKEN, text),
        Cause::Capability(name) => (CAPABILITY, name),
        Cause::Expired => (EXPIRED, &""),
        Cause::Response(response) => (RESPONSE, &response.text),
        Cause::Timeout => (TIMEOUT, &""),
        Cause::Unusable(unusable) => (UNUSABLE, unusable),
    };
    fields.octet(CAUSE, cause);
    fields.text(TEXT, words);
    if let Cause::Response(response) = &failure.cause {
        fields.number(CODE, u64::from(response.code));
        if let Some(status) = response.status {
            fields.text(STATUS, &status);
        }
    }
}

pub(super) fn read_failure(fields: &[u8]) -> Result<Failure, Malformed> {
    let (mut stage, mut cause, mut words) = (None, None, "");
    let (mut code, mut status) = (0, None);
    for field in Reader::new(fields) {
        match field? {
            (STAGE, content) => stage = STAGES.get(usize::from(octet(content)?)).copied(),
            (CAUSE, content) => cause = Some(octet(content)?),
            (TEXT, content) => words = text(content)?,
            (CODE, content) => code = u16::try_from(number(content)?).map_err(|_| Malformed)?,
            (STATUS, content) => status = EnhancedStatusCode::parse(text(content)?),
            _ => {}
        }
    }
    let cause = match cause.ok_or(Malformed)? {
        BROKEN => Cause::Broken(words.into()),
        CAPABILITY => capability(words),
        EXPIRED => Cause::Expired,
        RESPONSE => Cause::Response(Response {
            code,
            status,
            text: words.into(),
        }),
        TIMEOUT => Cause::Timeout,
        UNUSABLE => Cause::Unusable(words.into()),
        _ => return Err(Malformed),
    };
    Ok(Failure::new(stage.ok_or(Malformed)?, cause))
}

/// A capability's name is a constant of the program; one that this version does not know keeps its words.
fn capability(name: &str) -> Cause {
    match CAPABILITIES.iter().find(|known| **known == name) {
        Some(known) => Cause::Capability(known),
        None => Cause::Broken(format!("the upstream does not offer {name}").into()),
    }
}

const CAPABILITIES: [&str; 13] = [
    "8BITMIME",
    "AUTH",
    "BINARYMIME",
    "CHUNKING",
    "DELIVERBY",
    "DSN",
    "REQUIRETLS",
    "SIZE",
    "SMTPUTF8",
    "STARTTLS",
    VERIFIED_TLS,
    "messages of this size",
    "messages with this header",
];

/// The stages by the number that is stored.
const STAGES: [Stage; 9] = [
    Stage::Resolve,
    Stage::Connect,
    Stage::Greeting,
    Stage::Tls,
    Stage::Authenticate,
    Stage::Sender,
    Stage::Recipient,
    Stage::Content,
    Stage::Final,
];

/// Beside [`ID`] and [`STANDING`].
const REPORT: u8 = 32;
const GONE: u8 = 33;

/// Inside a standing.
const ATTEMPTS: u8 = 1;
const HELD: u8 = 2;
const COUNT: u8 = 3;
const DUE: u8 = 4;
const WAITING: u8 = 5;
const WARNED: u8 = 6;
const UNTOLD: u8 = 7;
const OPERATORS_ROUTE: u8 = 8;

/// The bits of [`WARNED`].
const OF_DELAY: u8 = 1;
const OF_DEADLINE: u8 = 2;

/// Inside a waiting recipient, beside [`DUE`].
const INDEX: u8 = 1;
const REASON: u8 = 2;
const ATTEMPTS_OF_ONE: u8 = 6;

/// Inside a reason.
const STAGE: u8 = 1;
const CAUSE: u8 = 2;
const TEXT: u8 = 3;
const CODE: u8 = 4;
const STATUS: u8 = 5;

/// The causes by the number that is stored.
const BROKEN: u8 = 1;
const CAPABILITY: u8 = 2;
const EXPIRED: u8 = 3;
const RESPONSE: u8 = 4;
const TIMEOUT: u8 = 5;
const UNUSABLE: u8 = 6;

//! Recipients of which the sender is still to be told, as fields.

use crate::mail::{Cause, Duty, Failure, Handover, RecipientIndex, Stage};
use crate::spool::{Fate, Untold};

use super::change::{read_failure, write_failure};
use super::fields::{Fields, Malformed, Reader, number, octet};

pub(super) fn write(fields: &mut Fields, untold: &Untold) {
    fields.number(INDEX, u64::from(untold.index.0));
    let (kind, reason) = match &untold.fate {
        Fate::Relayed(response) => {
            // A response is stored as the failure that it is not.
            let cause = Cause::Response(response.clone());
            (RELAYED, Failure::new(Stage::Final, cause))
        }
        Fate::Bounce(reason) => (BOUNCE, reason.clone()),
        Fate::Expire(reason) => (EXPIRE, reason.clone()),
        // Who is tried again is not done, so there is nothing to tell.
        Fate::Retry { .. } => return,
    };
    fields.octet(FATE, kind);
    fields.nested(REASON, |fields| write_failure(fields, &reason));
    if let Some(handover) = untold.handover {
        fields.octet(HANDOVER, handover_to_octet(handover));
    }
}

pub(super) fn read(content: &[u8]) -> Result<Untold, Malformed> {
    let (mut index, mut kind, mut reason, mut handover) = (None, None, None, None);
    for field in Reader::new(content) {
        match field? {
            (INDEX, content) => {
                let number = u16::try_from(number(content)?).map_err(|_| Malformed)?;
                index = Some(RecipientIndex(number));
            }
            (FATE, content) => kind = Some(octet(content)?),
            (REASON, content) => reason = Some(read_failure(content)?),
            (HANDOVER, content) => handover = Some(handover_of_octet(octet(content)?)),
            _ => {}
        }
    }
    let reason = reason.ok_or(Malformed)?;
    let fate = match (kind.ok_or(Malformed)?, reason) {
        (RELAYED, failure) => match failure.cause {
            Cause::Response(response) => Fate::Relayed(response),
            Cause::Broken(_)
            | Cause::Capability(_)
            | Cause::Expired
            | Cause::Timeout
            | Cause::Unusable(_) => return Err(Malformed),
        },
        (BOUNCE, reason) => Fate::Bounce(reason),
        (EXPIRE, reason) => Fate::Expire(reason),
        _ => return Err(Malformed),
    };
    Ok(Untold {
        index: index.ok_or(Malformed)?,
        fate,
        handover,
    })
}

fn handover_to_octet(handover: Handover) -> u8 {
    match handover {
        Handover::Final => FINAL,
        Handover::Onward { dsn, deliver_by } => {
            u8::from(dsn == Duty::Passed) * DSN_PASSED
                + u8::from(deliver_by == Duty::Passed) * BY_PASSED
        }
    }
}

const fn handover_of_octet(octet: u8) -> Handover {
    if octet & FINAL != 0 {
        return Handover::Final;
    }
    Handover::Onward {
        dsn: Duty::passed_where(octet & DSN_PASSED != 0),
        deliver_by: Duty::passed_where(octet & BY_PASSED != 0),
    }
}

const INDEX: u8 = 1;
const FATE: u8 = 2;
const REASON: u8 = 3;
const HANDOVER: u8 = 4;

/// The fates by the number that is stored.
const RELAYED: u8 = 1;
const BOUNCE: u8 = 2;
const EXPIRE: u8 = 3;

/// The bits of [`HANDOVER`].
const FINAL: u8 = 1;
const DSN_PASSED: u8 = 2;
const BY_PASSED: u8 = 4;

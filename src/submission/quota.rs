//! The limits of accounts and tenants: what a client hears over one, and what the log tells.

use crate::clock::Timestamp;
use crate::identity::AccountName;
use crate::quota::{Amounts, Excess, Measure, Reservation};
use crate::smtp::replies;

use super::counts::Event;
use super::intake::{Complete, Refusal};
use super::parts::ServerParts;

/// Returns whether an account may send so much more now.
pub(super) fn check(
    parts: &ServerParts,
    account: &AccountName,
    amounts: Amounts,
) -> Result<(), Refusal> {
    let checked = parts.quotas.check(account, amounts);
    checked.map_err(|excess| refusal(parts, account, &excess))
}

/// Keeps room for a message that is about to come.
pub(super) fn reserve(
    parts: &ServerParts,
    account: &AccountName,
    amounts: Amounts,
) -> Result<Reservation, Refusal> {
    let reserved = parts.quotas.reserve(account, amounts);
    reserved.map_err(|excess| refusal(parts, account, &excess))
}

/// Counts a complete message, and makes it wait where its account's mail is paced.
pub(super) fn charge(
    parts: &ServerParts,
    reservation: &mut Reservation,
    mut complete: Complete,
) -> Result<Complete, Refusal> {
    // The client sent it once, whatever it became.
    let size = complete.parts.first().map_or(0, |(draft, _)| draft.size());
    let Some((due, deliver_by)) = complete
        .parts
        .first()
        .map(|(_, message)| (message.due, message.envelope.deliver_by))
    else {
        return Ok(complete);
    };
    match reservation.charge(size) {
        Ok(wait) if wait.is_zero() => Ok(complete),
        Ok(wait) => {
            let due = due.max(parts.clock.now().after(wait));
            if deliver_by.is_some_and(|by| by.deadline <= due) {
                return Err(late(parts, reservation.account(), due));
            }
            parts.counts.count(Event::Paced);
            for (_, message) in &mut complete.parts {
                message.due = due;
            }
            Ok(complete)
        }
        Err(excess) => Err(refusal(parts, reservation.account(), &excess)),
    }
}

/// Notes that a session was one too many.
pub(super) fn note_sessions(parts: &ServerParts, account: &AccountName) {
    over_quota(parts, account, "sessions");
}

fn over_quota(parts: &ServerParts, account: &AccountName, limit: &str) {
    parts.counts.count(Event::OverQuota);
    if let Some(times) = parts.quotas.note(account) {
        tracing::warn!(%account, limit, times, "over quota");
    }
}

/// Refuses a message that would have to wait beyond the time by which it must be delivered (RFC 2852).
fn late(parts: &ServerParts, account: &AccountName, due: Timestamp) -> Refusal {
    let detail = format!(
        "over the limits of the account until {}, later than BY allows",
        due.to_second_above()
    );
    over_quota(parts, account, &detail);
    Refusal {
        reply: replies::OVER_QUOTA,
        detail,
    }
}

fn refusal(parts: &ServerParts, account: &AccountName, excess: &Excess) -> Refusal {
    let detail = excess.to_string();
    over_quota(parts, account, &detail);
    // What is more than the whole limit never comes through, and its sender should not try for days.
    let reply = match (excess.measure, excess.goes_on) {
        (Measure::Octets, None) => replies::MESSAGE_TOO_LARGE,
        (Measure::Recipients, None) => replies::TOO_MANY_RECIPIENTS,
        (Measure::Messages, None) | (_, Some(_)) => replies::OVER_QUOTA,
    };
    Refusal { reply, detail }
}

//! The limits of accounts and tenants: what a client hears over one, and what the log tells.

use crate::identity::AccountName;
use crate::quota::{Amounts, Excess, Measure, Reservation};
use crate::smtp::replies;

use super::counts::Event;
use super::intake::{Complete, Refusal};
use super::listeners::ServerParts;

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
    match reservation.charge(complete.draft.size()) {
        Ok(wait) if wait.is_zero() => Ok(complete),
        Ok(wait) => {
            parts.counts.count(Event::Paced);
            let due = parts.clock.now().after(wait);
            complete.message.due = complete.message.due.max(due);
            Ok(complete)
        }
        Err(excess) => Err(refusal(parts, reservation.account(), &excess)),
    }
}

/// Notes that a session was one too many.
pub(super) fn note_sessions(parts: &ServerParts, account: &AccountName) {
    parts.counts.count(Event::OverQuota);
    if let Some(times) = parts.quotas.note(account) {
        tracing::warn!(%account, limit = "sessions", times, "over quota");
    }
}

fn refusal(parts: &ServerParts, account: &AccountName, excess: &Excess) -> Refusal {
    parts.counts.count(Event::OverQuota);
    let detail = excess.to_string();
    if let Some(times) = parts.quotas.note(account) {
        tracing::warn!(%account, limit = detail, times, "over quota");
    }
    // What is more than the whole limit never comes through, and its sender should not try for days.
    let reply = match (excess.measure, excess.goes_on) {
        (Measure::Octets, None) => replies::MESSAGE_TOO_LARGE,
        (Measure::Recipients, None) => replies::TOO_MANY_RECIPIENTS,
        (Measure::Messages, None) | (_, Some(_)) => replies::OVER_QUOTA,
    };
    Refusal { reply, detail }
}

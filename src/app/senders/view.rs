//! Senders as they are shown: those of the ledger, and what is configured but must be verified first.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::control::senders::SenderView;
use crate::control::view::Time;
use crate::identity::AccountName;
use crate::policy::{Grants, VerifiedSenders};
use crate::submission::Profile;
use crate::verification::{Entry, Ledger, Proof, Question, record_name, record_text, written};

/// Returns all senders, by account. `profiles` are those that are configured, without what has been verified.
#[expect(
    clippy::implicit_hasher,
    reason = "they are the maps of the configuration, and no others"
)]
pub fn views(
    ledger: &Ledger,
    profiles: &HashMap<AccountName, Profile>,
    how: &HashMap<AccountName, VerifiedSenders>,
    now: Timestamp,
) -> Vec<SenderView> {
    let mode = |account| how.get(account).copied();
    let known = ledger.entries().iter();
    let known = known.map(|entry| of_entry(entry, mode(&entry.account), now));
    let waiting = profiles.iter().flat_map(|(account, profile)| {
        let must = mode(account) == Some(VerifiedSenders::Required);
        let grants = match &profile.rules.grants {
            Grants::Only(grants) if must => grants.as_slice(),
            Grants::Anyone | Grants::Only(_) => &[],
        };
        grants
            .iter()
            .filter(|grant| ledger.find(account, grant).is_none())
            .map(|grant| SenderView {
                account: account.to_string(),
                sender: written(grant),
                state: "unverified".to_owned(),
                ..SenderView::default()
            })
    });
    let mut views: Vec<_> = known.chain(waiting).collect();
    views.sort_by(|one, other| (&one.account, &one.sender).cmp(&(&other.account, &other.sender)));
    views
}

/// Returns the word for what proved a sender.
pub(super) const fn word(proof: Proof) -> &'static str {
    match proof {
        Proof::Dns => "dns",
        Proof::Link => "link",
        Proof::Operator => "operator",
    }
}

fn of_entry(entry: &Entry, how: Option<VerifiedSenders>, now: Timestamp) -> SenderView {
    let (until, asked, record) = match &entry.question {
        Question::Link { until, .. } => (Some(*until), Proof::Link, None),
        Question::Operator => (None, Proof::Operator, None),
        Question::Record { token } => (None, Proof::Dns, Some(record_text(token))),
    };
    let is_late = until.is_some_and(|until| now >= until);
    // Accounts that are gone send nothing.
    let may_count = match how {
        Some(VerifiedSenders::Additional | VerifiedSenders::Required) => true,
        Some(VerifiedSenders::Off) | None => false,
    };
    let (state, by, since) = match entry.verified {
        Some(proof) => ("verified", proof.by, proof.at),
        None if is_late => ("expired", asked, entry.since),
        None => ("pending", asked, entry.since),
    };
    SenderView {
        account: entry.account.to_string(),
        sender: written(&entry.subject),
        counts: may_count && entry.verified.is_some(),
        state: state.to_owned(),
        by: Some(word(by).to_owned()),
        since: Some(Time(since)),
        until: until.filter(|_| entry.verified.is_none()).map(Time),
        record_name: record.as_ref().and_then(|_| record_name(&entry.subject)),
        record,
        note: None,
    }
}

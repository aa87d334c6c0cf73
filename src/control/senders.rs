//! What is asked and answered about verified senders.

use serde::{Deserialize, Serialize};

use super::view::Time;

/// What can be asked. Senders are written as [`crate::control`] clients get them: an address, `example.com`, or
/// `*.example.com`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SenderRequest {
    /// Asks for the proof of a sender: sends the link to an address, names the record of a domain.
    Add {
        /// Whose.
        account: String,
        /// As what it wants to send.
        sender: String,
    },
    /// Removes a sender, whether it is verified or not.
    Delete {
        /// Whose; may be left out where only one account has it.
        account: Option<String>,
        /// Which.
        sender: String,
    },
    /// Lists senders.
    List {
        /// Only those of this account.
        account: Option<String>,
    },
    /// Looks for the proof of a domain now, or takes the operator's word.
    Verify {
        /// Whose; may be left out where only one account has it.
        account: Option<String>,
        /// Which.
        sender: String,
        /// What counts.
        evidence: Evidence,
    },
}

/// What counts as a proof.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The operator's word.
    Operator,
    /// The record of a domain.
    Record,
}

/// A sender as it is shown.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SenderView {
    /// Whose.
    pub account: String,
    /// As what it wants to send.
    pub sender: String,
    /// Whether the account may send so.
    pub counts: bool,
    /// `verified`, `pending`, `expired` (its link), or `unverified`: configured, and nobody has asked for a proof.
    pub state: String,
    /// `link`, `dns` or `operator`: what proved it, or will.
    pub by: Option<String>,
    /// Since when it is verified, or waits.
    pub since: Option<Time>,
    /// Until when its link can be used.
    pub until: Option<Time>,
    /// The name of the record that proves a domain.
    pub record_name: Option<String>,
    /// The text of that record.
    pub record: Option<String>,
    /// What happened, where something was to be done.
    pub note: Option<String>,
}

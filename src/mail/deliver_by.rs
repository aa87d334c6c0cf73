//! By when a message must have been delivered (DELIVERBY, RFC 2852).

use crate::clock::Timestamp;

/// What a sender asks for with BY= (RFC 2852 §4): a deadline, and what is to happen when it passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeliverBy {
    /// The deadline, reckoned from the time of MAIL. It may lie before that where the mode is
    /// [`DeliverByMode::Notify`]: relays on the way here have used the time up.
    pub deadline: Timestamp,
    /// What happens when the deadline passes.
    pub mode: DeliverByMode,
    /// Whether each relay is to report that it handed the message on.
    pub trace: DeliverByTrace,
}

/// What happens to a message whose deadline passes before it is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliverByMode {
    /// `N`: its sender is told that it is late, and it is delivered all the same.
    Notify,
    /// `R`: it is not delivered any more, and returned. Only a server that offers DELIVERBY may take it over.
    Return,
}

/// Whether each relay reports to the sender that it handed a message on (RFC 2852 §4, `by-trace`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeliverByTrace {
    /// Not asked for.
    #[default]
    Off,
    /// `T`: a *relayed* report is sent for each recipient, whatever NOTIFY says but NEVER.
    On,
}

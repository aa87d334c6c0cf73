//! When a message is attempted, and how fast it leaves: retry plans, the condition of an upstream, its bandwidth, chance.
//! Pure; time and chance are arguments.

mod bandwidth;
mod chance;
mod condition;
mod retry;

pub use bandwidth::{Bandwidth, Decision, Pacer, Ticket};
pub use chance::Chance;
pub use condition::{Availability, Change, Condition};
pub use retry::{Next, RetryPlan, RetryPlanError};

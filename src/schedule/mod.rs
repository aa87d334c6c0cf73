//! When a message is attempted: retry plans, the condition of an upstream, chance. Pure; time and chance are
//! arguments.

mod chance;
mod condition;
mod retry;

pub use chance::Chance;
pub use condition::{Availability, Change, Condition};
pub use retry::{Next, RetryPlan, RetryPlanError};

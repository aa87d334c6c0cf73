//! When a message is attempted: retry plans, the condition of an upstream, rates, chance. Pure; time and
//! chance are arguments.

mod chance;
mod condition;
mod rate;
mod retry;
mod window;

pub use chance::Chance;
pub use condition::{Availability, Change, Condition};
pub use rate::{Rate, RateError};
pub use retry::{Next, RetryPlan, RetryPlanError};
pub use window::{Counted, Room, Window};

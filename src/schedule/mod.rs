//! When a message is attempted: retry plans and the order of work. Pure; time and chance are arguments.

mod retry;

pub use retry::{Next, RetryPlan, RetryPlanError};

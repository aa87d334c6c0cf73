//! Who is next and when: fairness between flows, what an upstream is given, retry plans, rates, chance. Pure; time and
//! chance are arguments.

mod capacity;
mod chance;
mod concurrency;
mod condition;
mod fair;
mod rate;
mod retry;
mod window;

pub use capacity::{Allowance, Bounds, Capacity, Taken};
pub use chance::Chance;
pub use concurrency::{Concurrency, Load};
pub use condition::{Availability, Change, Condition};
pub use fair::Fair;
pub use rate::{Rate, RateError};
pub use retry::{Next, RetryPlan, RetryPlanError};
pub use window::{Counted, Room, Window};

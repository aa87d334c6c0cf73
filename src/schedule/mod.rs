//! Who is next and when: fairness between flows, what an upstream is given, retry plans, rates, chance. Pure; time and
//! chance are arguments.

mod bandwidth;
mod capacity;
mod chance;
mod concurrency;
mod condition;
mod fair;
mod rate;
mod retry;
mod standstill;
mod window;

pub use bandwidth::{Bandwidth, Decision, Pacer, Ticket};
pub use capacity::{Allowance, Bounds, Capacity, Taken};
pub use chance::Chance;
pub use concurrency::{Concurrency, Load};
pub use condition::{
    Availability, Change, Condition, Moment, Notice, Reason, Report, Trouble, TroubleKind,
};
pub use fair::Fair;
pub use rate::{Rate, RateError};
pub use retry::{Next, RetryPlan, RetryPlanError};
pub use standstill::{Parkings, Span, Standstill};
pub use window::{Counted, Room, Window};

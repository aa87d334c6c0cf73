//! What a person should be told: kinds, and the way from where something happens to whoever tells it.
//!
//! Raising an alert never waits and never fails. What is raised while too many wait is counted and told as a number.

mod alerts;
mod raised;

pub use alerts::Alerts;
pub use raised::{Alert, Kind};

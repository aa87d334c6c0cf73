//! The way to an upstream, shown to people or as JSON: for `posthouse upstream test` and `test-mail`.

mod advice;
mod view;
mod watch;
mod words;

pub(super) use advice::advice;
pub(super) use view::{FailureView, StepView, Time};
pub(super) use watch::{Show, Watch};

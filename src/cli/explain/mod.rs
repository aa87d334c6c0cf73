//! `posthouse explain`: how a message would be judged, and where it would go.

mod command;
mod judged;
mod routed;

pub(super) use command::{Arguments, Decided, run};

//! Alerts of the running server: taken in, stored, and sent.

mod desk;
mod keeper;
mod late;
mod post;
mod watch;

pub(super) use desk::Desk;
pub(super) use keeper::Keeper;
pub(super) use post::Post;

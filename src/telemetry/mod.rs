//! Logging: set-up, a writer that never holds mail up, and error chains as one line.
//!
//! Messages are constant phrases; values are fields, and a field means one thing everywhere: `session`, `peer`,
//! `local_port`, `account`, `reverse_path`, `forward_path`, `queue_id`, `message_id`, `size`, `priority`,
//! `upstream`, `attempt`, `code`, `reply`, `due`, `verb`, `by`, `error`; `alert` names what an operator must hear at once, and
//! `repair` says what to do about it.

mod chain;
mod output;
mod printable;

pub use chain::chain;
pub use output::{Format, Logging, Settings, start};
pub use printable::printable;

//! Taking mail from clients: listeners, connections, and the decisions a session asks for.
//!
//! Knows the spool as a trait, and nothing of the relay.

mod arrival;
mod binding;
mod certificate;
mod connection;
mod counts;
mod decide;
mod directory;
mod fault;
mod handshake;
mod intake;
mod limits;
mod listener;
mod listeners;
mod local;
mod login;
mod mistakes;
mod parts;
mod places;
mod quota;
mod senders;
mod settings;
mod standing;
mod story;
mod stream;
mod terms;
mod token;
mod turns;
mod unauthorized;

pub use binding::{BindError, Binding, Bound, Skipped, bind};
pub use counts::{Counted, Counts};
pub use directory::Directory;
pub use limits::ConnectionLimits;
pub use listeners::Server;
pub use local::{LocalAnswer, LocalMail, UnknownAccount, submit};
pub use parts::ServerParts;
pub use senders::{Judgement, Rewritten, judge};
pub use settings::{ListenerSettings, OnPortInUse, PortSet, PortSetError, Profile};

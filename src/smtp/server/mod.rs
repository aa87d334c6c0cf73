//! The server's side of an SMTP session, without sockets, time or decisions.

mod settings;

pub use settings::{AuthRule, BareNewlines, Limits, Settings, Timeouts, TlsMode};

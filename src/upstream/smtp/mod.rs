//! Upstreams that speak SMTP or SMTPS.

mod settings;

pub use settings::{Login, PlainTextLogin, Settings, Smtputf8, Timeouts, TlsPolicy, Verification};

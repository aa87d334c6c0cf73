//! Upstreams that speak SMTP or SMTPS.
//!
//! `exchange` holds one mail transaction without sockets; `connect` leads from a name to a connection that is logged
//! in, and `probe` goes that way without a message; `pool` keeps connections; `pacing` shares the bandwidth between them; `upstream` puts them together. Replies are judged by
//! [`classify`](super::classify).
//!
//! What is sent as it is: a message with octets above 127 goes to upstreams without 8BITMIME too, as most relays do
//! ("just send 8"), since recoding would break signatures.

mod bearer;
mod censor;
mod connect;
mod connection;
mod exchange;
mod framing;
mod login;
mod pacing;
mod parameter;
mod pool;
mod probe;
mod settings;
mod tls_problem;
mod transcript;
mod upstream;
mod wire;

pub use settings::{
    Credential, Login, PlainTextLogin, Settings, Smtputf8, Timeouts, TlsPolicy, Verification,
};
pub use transcript::{Line, Transcript};
pub use upstream::SmtpUpstream;

//! Upstreams that speak SMTP or SMTPS.
//!
//! `exchange` holds one mail transaction without sockets; `connect` leads from a name to a connection that is logged
//! in, and `probe` goes that way without a message; `pool` keeps connections; `portion` says which recipients one transaction may be for; `pacing` shares the bandwidth between them; `upstream` puts them together. Replies are judged by
//! [`classify`](super::classify).
//!
//! `outgoing` is what a message goes through last, once it is known what the upstream takes: what it cannot take is
//! encoded, and then the message is signed.

mod assurance;
mod bearer;
mod censor;
mod connect;
mod connection;
mod exchange;
mod framing;
mod login;
mod outgoing;
mod pacing;
mod parameter;
mod pool;
mod portion;
mod probe;
mod settings;
mod tls_problem;
mod transcript;
mod upstream;
mod wire;

pub use settings::{
    ClientCertificate, Credential, Dane, Login, MtaSts, PlainTextLogin, Services, Settings,
    Smtputf8, Timeouts, TlsPolicy, Unfit, Verification, Vouching,
};
pub use transcript::{Line, Transcript};
pub use upstream::SmtpUpstream;

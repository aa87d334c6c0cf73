//! The server's side of an SMTP session, without sockets, time or decisions.
//!
//! [`Session`] takes octets and answers, and gives [`Step`]s. Whoever drives it moves octets between it and a
//! connection, keeps its deadlines, and answers its [`Question`]s. The same octets cut in other pieces give the
//! same steps; a transaction is one value that RSET drops whole; what a client sent before STARTTLS is forgotten.

mod dispatch;
mod facts;
mod keyword;
mod offer;
mod question;
mod receive;
mod session;
mod settings;
mod state;

pub use facts::{ShownCertificate, TlsFacts};
pub use keyword::{Keyword, Keywords};
pub use question::{
    AskCommit, AskCredentials, AskMessage, AskRecipient, AskScram, AskSender, Question, Terms,
};
pub use session::{Began, Client, Greeting, Session, Step};
pub use settings::{
    AuthEquals, AuthRule, BareNewlines, CertificateRule, Limits, Settings, Timeouts, TlsMode,
};
pub use state::Transaction;

#[cfg(test)]
mod tests;

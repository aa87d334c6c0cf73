//! Certificates from an authority (ACME, RFC 8555): got, renewed before they end, kept on disk.
//!
//! [`Keeper`] is a task that looks after all certificates of a configuration. It proves that the names are ours by a
//! page ([`Answers::page`], RFC 8555 §8.3), by a certificate ([`serve_tls_alpn`], RFC 8737) or by a program that sets a
//! record in DNS (RFC 8555 §8.4). What is new is put into a file and handed to [`Install`]; who shows certificates to
//! clients is no matter of this module, nor is how they are chosen.
//!
//! In the folder are, for the server's user alone: the account at each authority (its key is stored before the authority
//! hears of it), and for each certificate a file with certificate and key, and one with the order that is under way, so
//! that neither a restart nor a crash begins anew. `plan` decides when something is tried.

mod account;
mod answers;
mod error;
mod file;
mod hook;
mod keeper;
mod order;
mod plan;
mod settings;
mod store;
mod tls_alpn;
mod transport;

pub use answers::Answers;
pub use error::AcmeError;
pub use file::FileError;
pub use hook::HookError;
pub use keeper::{Holding, Install, Keeper, NotInstalled, UnknownName, holdings};
pub use settings::{Binding, Challenge, Hook, KeyKind, LETS_ENCRYPT, Settings};
pub use store::{FOLDER, certificate_file};
pub use tls_alpn::serve_tls_alpn;

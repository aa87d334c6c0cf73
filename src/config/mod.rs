//! Configuration files: their shape, their checks, their diagnostics.
//!
//! [`load()`] reads `posthouse.toml` and `accounts.toml` in two stages: serde gives the shape of the file, then the
//! check builds the settings of each module. No module imports this one. All faults are reported at once, each with
//! its place and a hint.

mod accounts_file;
mod check;
mod checked;
mod day;
mod diagnostic;
mod effective;
mod expiry;
mod load;
mod raw;
mod read;
mod sample;
mod secret;
mod sources;
mod units;

pub use accounts_file::{
    AccountKey, AccountValue, AccountsFile, AccountsFileError, KeyChange, NewAccount,
    NewAppPassword,
};
pub use checked::{
    Checked, Engine, Log, LogFormat, SandboxMode, Server, ShownListener, SpoolLimits, SystemMail,
    Upstream, with_verified,
};
pub use diagnostic::{Diagnostic, Report, Severity};
pub use effective::{Setting, SettingOrigin};
pub use expiry::Expiry;
pub use load::{data_dir, load};
pub use sample::defaults_toml;
pub use sources::{Source, Sources};
pub use units::{ByteSize, Span, UnitError};

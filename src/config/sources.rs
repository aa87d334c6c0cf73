//! Which table of the configuration decides how an account's senders are judged.

use std::fmt;

use crate::identity::TenantName;

/// A table that says something, or would.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Source {
    /// The account's own.
    Account,
    /// `[accounts.defaults]`, or nothing but the program's defaults.
    #[default]
    Defaults,
    /// That of its tenant, or of one above it.
    Tenant(TenantName),
}

impl fmt::Display for Source {
    /// Writes `account`, `accounts.defaults` or `tenant.NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("account"),
            Self::Defaults => f.write_str("accounts.defaults"),
            Self::Tenant(name) => write!(f, "tenant.{name}"),
        }
    }
}

/// The table that decides about each key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sources {
    /// `check_header_from`.
    pub check_header_from: Source,
    /// `plus_addressing`.
    pub plus_addressing: Source,
    /// `on_unauthorized`.
    pub on_unauthorized: Source,
    /// `verified_senders`.
    pub verified_senders: Source,
    /// `default_sender`, which only counts where senders are rewritten.
    pub default_sender: Source,
}

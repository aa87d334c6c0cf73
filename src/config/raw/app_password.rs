//! `[account.NAME.app_password.LABEL]` in `accounts.toml`.

use serde::Deserialize;
use toml::Spanned;

use super::Hidden;
use crate::config::day::Day;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct AppPassword {
    pub(in crate::config) password: Option<Spanned<Hidden>>,
    pub(in crate::config) prefix: Option<Spanned<Hidden>>,
    pub(in crate::config) active: bool,
    pub(in crate::config) created: Option<Day>,
    pub(in crate::config) expires: Option<Spanned<Day>>,
}

impl Default for AppPassword {
    fn default() -> Self {
        Self {
            password: None,
            prefix: None,
            active: true,
            created: None,
            expires: None,
        }
    }
}

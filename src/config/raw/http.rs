//! The shape of `[http]`.

use serde::Deserialize;
use toml::Spanned;

use super::{Autoconfig, List};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Http {
    pub(in crate::config) public: Option<Spanned<Public>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Public {
    pub(in crate::config) address: Spanned<List>,
    pub(in crate::config) ports: Spanned<List>,
    pub(in crate::config) tls: bool,
    pub(in crate::config) url: Option<Spanned<String>>,
    pub(in crate::config) autoconfig: Autoconfig,
    pub(in crate::config) imap: Option<Spanned<String>>,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            address: Spanned::new(0..0, List::of(&["[::]"])),
            ports: Spanned::new(0..0, List::of(&["443"])),
            tls: true,
            url: None,
            autoconfig: Autoconfig::default(),
            imap: None,
        }
    }
}

//! What is known of accounts beyond their passwords: profiles and routes. Exchanged whole at a reload.

use std::collections::HashMap;

use crate::identity::AccountName;
use crate::mail::Domain;
use crate::route::Table;

use super::settings::Profile;

/// Profiles and routes of all accounts.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The name of this host, in `Received:`.
    pub hostname: Domain,
    /// What is done for the mail of each account.
    pub profiles: HashMap<AccountName, Profile>,
    /// Which upstreams the mail of each account takes.
    pub routes: Table,
}

//! Rates, and the limits of accounts and tenants.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::context::Context;
use super::list::entries;
use crate::config::raw;
use crate::config::units::{ByteSize, Number, UnitError};
use crate::identity::TenantName;
use crate::quota::{Limits, OverQuota, Table, TenantLimits};
use crate::schedule::{Rate, RateError};

/// What a rate counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// Things: `"100/m"`.
    Number,
    /// Octets: `"1 GiB/d"`.
    Octets,
}

/// Returns the rates of a list, without those that are wrong; an empty list has none.
pub(super) fn rates(context: &mut Context, list: &raw::Rates, unit: Unit) -> Vec<Rate> {
    let mut rates: Vec<Rate> = Vec::new();
    for (entry, place) in entries(context, &list.0).unwrap_or_default() {
        let rate = match rate(&entry, unit) {
            Ok(rate) => rate,
            Err((message, hint)) => {
                context.error(place, message, hint);
                continue;
            }
        };
        if let Some(other) = rates.iter().find(|other| other.span() == rate.span()) {
            let message = format!("two rates {}: `{other}` and `{rate}`", rate.span_in_words());
            context.error(
                place,
                message,
                "the lower one is enough; take the other out",
            );
            continue;
        }
        rates.push(rate);
    }
    rates
}

/// Reads a rate; on failure gives message and hint.
fn rate(entry: &str, unit: Unit) -> Result<Rate, (String, String)> {
    let hint = match unit {
        Unit::Number => {
            "write how many, a `/` and a length of time, such as \"10/s\", \"100/m\", \"5000/h\", \"20000/d\" or \
             \"30/5m\""
        }
        Unit::Octets => {
            "write a size, a `/` and a length of time, such as \"100 MiB/h\" or \"1 GiB/d\""
        }
    };
    let refused = |why: String| (format!("`{entry}` is not a rate: {why}"), hint.to_owned());
    match unit {
        Unit::Number => Rate::parse(entry).map_err(|error| refused(error.to_string())),
        Unit::Octets => {
            let (size, span) = entry.split_once('/').ok_or_else(|| {
                refused("it is not a size, a `/` and a length of time".to_owned())
            })?;
            let size = ByteSize::<1>::parse(size.trim());
            let size = size.map_err(|error: UnitError| refused(error.to_string()))?;
            let span = Rate::parse_span(span);
            let span = span.map_err(|error: RateError| refused(error.to_string()))?;
            let octets = NonZeroU64::new(size.get()).unwrap_or(NonZeroU64::MIN);
            Ok(Rate::new(octets, span))
        }
    }
}

/// Returns the limits of the tenants, to which those of the accounts are still to be added, and those of accounts that say
/// nothing of them.
pub(in crate::config) fn quotas(
    context: &mut Context,
    tenants: &raw::Named<raw::Tenant>,
    defaults: &raw::AccountDefaults,
) -> (Table, Arc<Limits>) {
    let mut limited = HashMap::new();
    let mut in_file: Vec<_> = tenants.iter().collect();
    in_file.sort_by_key(|(key, _)| key.span().start);
    for (key, tenant) in in_file {
        let tenant = tenant.get_ref();
        let limits = limits(context, &Keys::of_tenant(tenant));
        // A wrong name has been reported with the routes.
        let Ok(name) = TenantName::parse(key.get_ref()) else {
            continue;
        };
        let parent = tenant.parent.as_ref();
        let parent = parent.and_then(|parent| TenantName::parse(parent.get_ref()).ok());
        limited.insert(name, TenantLimits { parent, limits });
    }
    (Table::new(&limited), default_limits(context, defaults))
}

/// The limits of accounts, those that say nothing of them sharing one value.
pub(super) struct AccountLimits<'a> {
    defaults: &'a raw::AccountDefaults,
    shared: Arc<Limits>,
}

impl<'a> AccountLimits<'a> {
    /// Takes the defaults, which have been checked with their own file.
    pub(super) fn new(defaults: &'a raw::AccountDefaults, shared: Arc<Limits>) -> Self {
        Self { defaults, shared }
    }

    /// Returns the limits of an account, each key in the place of that of the defaults, and what is done over them.
    pub(super) fn of(
        &self,
        context: &mut Context,
        account: &raw::Account,
    ) -> (Arc<Limits>, OverQuota) {
        let over = match account.over_quota.unwrap_or(self.defaults.over_quota) {
            raw::OverQuota::Queue => OverQuota::Queue,
            raw::OverQuota::Refuse => OverQuota::Refuse,
        };
        let has_own = account.messages.is_some()
            || account.recipients.is_some()
            || account.size.is_some()
            || account.sessions.is_some();
        if !has_own {
            return (Arc::clone(&self.shared), over);
        }
        let mut own = |list: Option<&raw::Rates>, default: &Vec<Rate>, unit| match list {
            Some(list) => rates(context, list, unit),
            None => default.clone(),
        };
        let limits = Limits {
            messages: own(
                account.messages.as_ref(),
                &self.shared.messages,
                Unit::Number,
            ),
            recipients: own(
                account.recipients.as_ref(),
                &self.shared.recipients,
                Unit::Number,
            ),
            octets: own(account.size.as_ref(), &self.shared.octets, Unit::Octets),
            sessions: match account.sessions {
                Some(number) => sessions(number),
                None => self.shared.sessions,
            },
        };
        (Arc::new(limits), over)
    }
}

/// Returns the limits of accounts that say nothing of them.
fn default_limits(context: &mut Context, defaults: &raw::AccountDefaults) -> Arc<Limits> {
    Arc::new(limits(
        context,
        &Keys {
            messages: &defaults.messages,
            recipients: &defaults.recipients,
            size: &defaults.size,
            sessions: defaults.sessions,
        },
    ))
}

/// The keys of a table that has limits.
struct Keys<'a> {
    messages: &'a raw::Rates,
    recipients: &'a raw::Rates,
    size: &'a raw::Rates,
    sessions: Sessions,
}

/// How many sessions; 0 for any number.
type Sessions = Number<0, 1_000_000>;

impl<'a> Keys<'a> {
    fn of_tenant(tenant: &'a raw::Tenant) -> Self {
        Self {
            messages: &tenant.messages,
            recipients: &tenant.recipients,
            size: &tenant.size,
            sessions: tenant.sessions,
        }
    }
}

fn limits(context: &mut Context, keys: &Keys<'_>) -> Limits {
    Limits {
        messages: rates(context, keys.messages, Unit::Number),
        recipients: rates(context, keys.recipients, Unit::Number),
        octets: rates(context, keys.size, Unit::Octets),
        sessions: sessions(keys.sessions),
    }
}

fn sessions(number: Sessions) -> Option<NonZeroU32> {
    NonZeroU32::new(number.to())
}

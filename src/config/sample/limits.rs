//! The parts of the sample about the limits of accounts and tenants.

use super::{Sample, text};
use crate::config::raw;

/// Describes the limits in `[accounts.defaults]`.
pub(super) fn of_accounts(sample: &mut Sample, defaults: &raw::AccountDefaults) {
    sample.shown(
        "messages",
        "[]",
        "Messages of an account, such as [\"100/m\", \"2000/h\", \"10000/d\"]: at most 100 in any minute, and so on. [] is no limit.",
    );
    sample.shown("recipients", "[]", "Recipients of an account, likewise.");
    sample.shown(
        "size",
        "[]",
        "Octets of an account's messages, such as \"1 GiB/d\".",
    );
    sample.shown(
        "sessions",
        defaults.sessions,
        "Sessions of an account at once; 0 is any number.",
    );
    sample.shown(
        "over_quota",
        text(defaults.over_quota),
        "Over these limits and those of its tenant: \"refuse\" (450 4.7.1), or \"queue\" (accepted, sent when they allow it).",
    );
}

/// Describes the limits in `[tenant.NAME]`.
pub(super) fn of_tenants(sample: &mut Sample) {
    sample.shown(
        "messages",
        "[\"5000/h\"]",
        "What all its accounts, and those of tenants below, may send together; see [accounts.defaults] (example; no limit).",
    );
    sample.shown(
        "recipients",
        "[\"20000/h\"]",
        "Likewise (example; no limit).",
    );
    sample.shown("size", "\"10 GiB/d\"", "Likewise (example; no limit).");
    sample.shown(
        "sessions",
        100,
        "Likewise (example; by default 0, any number).",
    );
}

//! The tables `[auth]` and below.

use super::{Sample, text};
use crate::config::raw;

pub(super) fn auth(sample: &mut Sample, auth: &raw::Auth) {
    let throttle = &auth.throttle;
    sample.table(
        "[auth.throttle]",
        "Who guesses passwords is answered later and later, then refused for a while (454 4.7.0). `posthouse auth blocked`\n\
         lists who is; `posthouse auth release` lets an account or an address try again.",
    );
    bursts(sample, throttle);
    sample.shown(
        "undelayed",
        throttle.undelayed,
        "How many of these are answered at once; each further answer comes a second later than the one before.",
    );
    sample.shown(
        "longest_delay",
        text(throttle.longest_delay),
        "The longest such delay.",
    );
    networks(sample, throttle);
}

fn bursts(sample: &mut Sample, throttle: &raw::Throttle) {
    sample.shown(
        "network_burst",
        throttle.network_burst,
        "Failed logins from one network at once, whatever the names. Accounts that log in from there are left alone.",
    );
    sample.shown(
        "network_per_minute",
        throttle.network_per_minute,
        "And how many more each minute.",
    );
    sample.shown(
        "account_burst",
        throttle.account_burst,
        "Failed logins of one account from anywhere; where it has logged in within a week it is left alone.",
    );
    sample.shown(
        "account_per_minute",
        throttle.account_per_minute,
        "And how many more each minute.",
    );
    sample.shown(
        "both_burst",
        throttle.both_burst,
        "Failed logins of one account from one network.",
    );
    sample.shown(
        "both_per_minute",
        throttle.both_per_minute,
        "And how many more each minute.",
    );
}

fn networks(sample: &mut Sample, throttle: &raw::Throttle) {
    sample.shown(
        "ipv4_prefix",
        throttle.ipv4_prefix,
        "How many bits of an IPv4 address make a network, 8 to 32: 24 is 256 addresses.",
    );
    sample.shown(
        "ipv6_prefix",
        throttle.ipv6_prefix,
        "How many bits of an IPv6 address make a network, 16 to 128.",
    );
    sample.shown(
        "allow",
        "[\"192.0.2.0/28\"]",
        "Clients here are never refused, and their failures hold up nobody else: web mail that logs in for many, say\n\
         (example; none by default).",
    );
}

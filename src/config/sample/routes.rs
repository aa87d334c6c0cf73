//! Routes by recipient.

use super::{Sample, text};

pub(super) fn routes(sample: &mut Sample) {
    sample.shown_table(
        "[[route]]",
        "Recipients whose mail goes another way than the rest, whoever sends it: a gateway to fax machines, an internal\n\
         server (example; any number, none by default). Routes count in the order of the file, before the upstreams of\n\
         accounts, tenants and [relay]. A message to recipients of several routes is split: each part goes its own way.",
    );
    sample.shown(
        "name",
        text("fax machines"),
        "For people; `posthouse explain` shows it (example).",
    );
    sample.shown(
        "recipients",
        "[\"*@fax.example.com\", \"bob@internal.example\", \"*.example.net\"]",
        "Addresses, domains (\"*@example.org\" or \"example.org\": that domain alone), and \"*.example.net\" for its\n\
         subdomains. Letter case does not count (example; must be given).",
    );
    sample.shown(
        "upstream",
        "[\"fax\"]",
        "Upstreams in failover order (example; must be given).",
    );
    sample.shown(
        "accounts",
        "[\"alice\"]",
        "Only for mail of these accounts (example; by default for everybody's).",
    );
    sample.shown(
        "tenants",
        "[\"acme\"]",
        "Only for mail of the accounts of these tenants and of the tenants below them (example; by default for everybody's).",
    );
}

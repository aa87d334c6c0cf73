//! The part of the sample about alerts.

use super::{Sample, list, text};
use crate::config::raw;

/// Describes `[alerts]`.
pub(super) fn alerts(sample: &mut Sample, alerts: &raw::Alerts) {
    sample.table(
        "[alerts]",
        "What people are told by themselves: by mail, or a program over HTTP. Without any address alerts are only logged and\n\
         stored; `posthouse alerts` lists them, `posthouse alerts test` tries the way. Of one kind about one account, upstream or\n\
         tenant, people are told at most once an hour, with how often it happened.",
    );
    sample.shown(
        "kinds",
        list(alerts.kinds.get_ref()),
        "What is told; what is not in this list is only stored.",
    );
    sample.shown(
        "mail",
        "[\"ops@example.com\"]",
        "Who is told everything (example; nobody by default). Tenants and accounts can have an `alert_mail` besides.",
    );
    sample.shown(
        "delivery",
        text(alerts.delivery),
        "\"at once\", or \"digest\": everything of `digest_every` together.",
    );
    sample.shown("digest_every", text(alerts.digest_every), "");
    sample.shown(
        "upstream",
        "[\"main\"]",
        "The upstreams of alert mails in failover order (example; by default those of [relay]). One that an alert is about, or\n\
         that is parked, is passed over where there is another.",
    );
    sample.shown(
        "delivery_time",
        text(alerts.delivery_time),
        "A message that has not been delivered for so long is an alert; \"0s\": none is.",
    );
    sample.shown(
        "keep",
        text(alerts.keep),
        "How long alerts are stored, 10,000 at most: in data_dir/alerts.",
    );
    sample.shown_table(
        "[alerts.webhook]",
        "A program that is told everything by POST, as JSON; docs/operations.md has the format (example; none by default).",
    );
    sample.shown(
        "url",
        text("https://hooks.example.com/posthouse"),
        "https, or http on this machine.",
    );
    sample.shown(
        "secret",
        "{ file = \"secrets/webhook\" }",
        "What requests are signed with: HMAC-SHA256, in X-Posthouse-Signature.",
    );
    sample.shown(
        "ca_file",
        text("hooks-ca.pem"),
        "A PEM file of authorities for its certificate (example; by default those of the system).",
    );
}

/// Describes the keys in `[tenant.NAME]`.
pub(super) fn of_tenants(sample: &mut Sample) {
    sample.shown(
        "alert_mail",
        "[\"it@acme.example\"]",
        "Who is told of alerts about its accounts, and those of tenants below (example; nobody by default).",
    );
    sample.shown(
        "alert_webhook",
        "{ url = \"https://acme.example/hook\", secret = { file = \"secrets/acme-webhook\" } }",
        "A program that is told likewise; see [alerts.webhook] (example; none by default).",
    );
}

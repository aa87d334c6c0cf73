//! The section `[http]` of the sample.

use super::{Sample, list, raw, text};

pub(super) fn public(sample: &mut Sample, public: &raw::Public) {
    sample.shown_table(
        "[http.public]",
        "A small web server that everybody may reach: pages on which people confirm that an address is theirs\n\
         (`posthouse sender add`), and the settings that mail programs ask for. Without this table there is none.",
    );
    sample.shown(
        "address",
        list(public.address.get_ref()),
        "IP addresses. \"[::]\" is every address of the machine, IPv4 too.",
    );
    sample.shown(
        "ports",
        list(public.ports.get_ref()),
        "Ports, bound with those of the listeners.",
    );
    sample.shown(
        "tls",
        public.tls,
        "Whether it speaks TLS, with the certificate of the listeners. With `false` a proxy before it must.",
    );
    sample.shown(
        "url",
        text("https://relay.example.com"),
        "How others reach it; links in mail begin so (example; no default).",
    );
    sample.shown(
        "autoconfig",
        text(public.autoconfig),
        "What mail programs (Thunderbird, Outlook) are told to log in as: \"address\", \"local-part\" (what is before the\n\
         @), or \"off\", which tells them nothing. They look at https://autoconfig.DOMAIN/mail/config-v1.1.xml and\n\
         https://autodiscover.DOMAIN/autodiscover/autodiscover.xml.",
    );
    sample.shown(
        "imap",
        text("imap.example.com:993"),
        "The server that mail is read from, for the same answer: Thunderbird takes no account without one (example; none\n\
         by default). 993 is TLS from the beginning, any other port STARTTLS.",
    );
}

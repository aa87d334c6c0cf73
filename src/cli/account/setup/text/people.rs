//! Programs and devices whose settings people type into forms.

use super::Section;
use crate::cli::account::setup::access::{Access, Security};

const PASSWORD: &str = "the password of the account, or an application password";

/// Writes the fields that every form has, under the names of this one.
fn form(access: &Access, title: &str, names: [&str; 4], more: &[(&str, &str)]) -> Section {
    let [host, port, user, password] = names;
    let number = access.port.to_string();
    let mut fields = vec![(host, access.host.as_str()), (port, number.as_str())];
    fields.extend_from_slice(more);
    if let Some(name) = &access.user {
        fields.extend([(user, name.as_str()), (password, PASSWORD)]);
    }
    Section::form(title, &fields)
}

pub(super) fn outlook(access: &Access) -> Vec<Section> {
    let has_login = if access.user.is_some() {
        "yes: log on using"
    } else {
        "no"
    };
    let encryption = access.security.words();
    let classic = form(
        access,
        "Classic Outlook: File, Account Settings, the account, Change, More Settings",
        [
            "Outgoing mail server (SMTP)",
            "Advanced: outgoing server port",
            "Outgoing Server: user name",
            "Outgoing Server: password",
        ],
        &[
            ("Advanced: encryption method", encryption),
            ("Outgoing Server: requires authentication", has_login),
            (
                "Outgoing Server: Secure Password Authentication (SPA)",
                "no",
            ),
        ],
    );
    let new = form(
        access,
        "New Outlook: Settings, Accounts, the IMAP account, Manage, outgoing (SMTP) server",
        ["SMTP server", "Port", "SMTP user name", "SMTP password"],
        &[("Secure connection type", encryption)],
    );
    let address = Section::form(
        "In both",
        &[("E-mail address of the account", access.sender.as_str())],
    );
    vec![classic, new, address]
}

pub(super) fn thunderbird(access: &Access) -> Vec<Section> {
    let (security, method) = match (access.security, access.user.is_some()) {
        (security, false) => (security.words(), "No authentication"),
        (Security::None, true) => ("None", "Password, transmitted insecurely"),
        (Security::StartTls | Security::Tls, true) => (access.security.words(), "Normal password"),
    };
    let server = form(
        access,
        "Account Settings, Outgoing Server (SMTP), Add",
        [
            "Server name",
            "Port",
            "User name",
            "Password, asked for at the first message",
        ],
        &[
            ("Connection security", security),
            ("Authentication method", method),
        ],
    );
    let identity = Section::form(
        "Account Settings, the account",
        &[
            ("Email address", access.sender.as_str()),
            ("Outgoing Server (SMTP)", "the one that was added"),
        ],
    );
    vec![server, identity]
}

pub(super) fn apple_mail(access: &Access) -> Vec<Section> {
    let uses_tls = match access.security {
        Security::None => "off",
        Security::StartTls | Security::Tls => "on",
    };
    let method = if access.user.is_some() {
        "Password"
    } else {
        "None"
    };
    let mac = form(
        access,
        "macOS: Mail, Settings, Accounts, Server Settings, Outgoing Mail Account, Edit SMTP Server List, +",
        ["Host name", "Port", "User name", "Password"],
        &[
            ("Automatically manage connection settings", "off"),
            ("Use TLS/SSL", uses_tls),
            ("Authentication", method),
        ],
    );
    let phone = form(
        access,
        "iPhone, iPad: Settings, Apps, Mail, Mail Accounts, the account, SMTP, Add Server",
        ["Host Name", "Server Port", "User Name", "Password"],
        &[("Use SSL", uses_tls), ("Authentication", method)],
    );
    vec![mac, phone]
}

pub(super) fn printer(access: &Access) -> Vec<Section> {
    let login = if access.user.is_some() {
        "on (LOGIN or PLAIN, not POP before SMTP)"
    } else {
        "off"
    };
    let form = form(
        access,
        "In the web page of the device, under E-mail, SMTP or Scan to e-mail",
        ["SMTP server", "Port", "User name", "Password"],
        &[
            (
                "Encryption (SSL/TLS, secure connection)",
                access.security.words(),
            ),
            ("Authentication", login),
            (
                "Sender (From, reply address, administrator)",
                access.sender.as_str(),
            ),
        ],
    );
    vec![form]
}

//! Programs of the command line and of servers.

use super::Section;
use crate::cli::account::setup::access::{Access, PASSWORD, RECIPIENT, Security, VARIABLE};
use crate::cli::account::setup::quote::shell;

/// How the password comes into the environment.
fn environment() -> Section {
    let text = format!("read -rs {VARIABLE} && export {VARIABLE}\n");
    Section::new("The password, typed where nobody sees it", "sh", text)
}

fn with_environment(access: &Access, section: Section) -> Vec<Section> {
    let environment = access.user.as_ref().map(|_| environment());
    environment.into_iter().chain([section]).collect()
}

pub(super) fn curl(access: &Access) -> Vec<Section> {
    let (scheme, required) = match access.security {
        Security::None => ("smtp", ""),
        Security::StartTls => ("smtp", " --ssl-reqd"),
        Security::Tls => ("smtps", ""),
    };
    let url = shell(&format!("{scheme}://{}:{}", access.host, access.port));
    let login = access.user.as_ref().map(|user| {
        let name = shell(&format!("{user}:"));
        format!(" --user {name}\"${VARIABLE}\"")
    });
    let authority = access.authority.as_ref();
    let authority = authority.map(|file| format!(" --cacert {}", shell(file)));
    let sender = &access.sender;
    let message = shell(&format!(
        "From: {sender}\\r\\nTo: {RECIPIENT}\\r\\nSubject: Hello from curl\\r\\n\\r\\nIt works.\\r\\n"
    ));
    let text = format!(
        "printf '%b' {message} |\n  curl {url}{required}{}{} \\\n    --mail-from {} --mail-rcpt {RECIPIENT} --upload-file -\n",
        authority.unwrap_or_default(),
        login.unwrap_or_default(),
        shell(sender),
    );
    with_environment(access, Section::new("A message", "sh", text))
}

pub(super) fn swaks(access: &Access) -> Vec<Section> {
    let tls = match access.security {
        Security::None => "",
        Security::StartTls => " --tls --tls-verify",
        Security::Tls => " --tls-on-connect --tls-verify",
    };
    let login = access.user.as_ref().map(|user| {
        let name = shell(user);
        format!(" \\\n  --auth --auth-user {name} --auth-password \"${VARIABLE}\"")
    });
    let authority = access.authority.as_ref();
    let authority = authority.map(|file| format!(" --tls-ca-path {}", shell(file)));
    let text = format!(
        "swaks --server {} --port {}{tls}{}{} \\\n  --from {} --to {RECIPIENT} --header 'Subject: Hello from swaks'\n",
        shell(&access.host),
        access.port,
        authority.unwrap_or_default(),
        login.unwrap_or_default(),
        shell(&access.sender),
    );
    with_environment(
        access,
        Section::new("A message, with the dialogue", "sh", text),
    )
}

pub(super) fn msmtp(access: &Access) -> Vec<Section> {
    let tls = match access.security {
        Security::None => "tls            off\n",
        Security::StartTls => "tls            on\ntls_starttls   on\n",
        Security::Tls => "tls            on\ntls_starttls   off\n",
    };
    let login = access.user.as_ref().map_or_else(
        || "auth           off\n".to_owned(),
        |user| {
            format!(
                "auth           on\nuser           {user}\npasswordeval   \"cat ~/.msmtp-password\"\n"
            )
        },
    );
    let authority = access.authority.as_ref();
    let authority = authority.map(|file| format!("tls_trust_file {file}\n"));
    let text = format!(
        "account        default\nhost           {}\nport           {}\n{tls}{}from           {}\n{login}",
        access.host,
        access.port,
        authority.unwrap_or_default(),
        access.sender,
    );
    let file = Section::new("~/.msmtprc, or /etc/msmtprc", "msmtp", text);
    let text = "(umask 077; cat > ~/.msmtp-password)\n".to_owned();
    let password = access.user.as_ref().map(|_| {
        let title = "The password: type it, Return, Ctrl-D";
        Section::new(title, "sh", text)
    });
    let text =
        format!("printf 'Subject: Hello from msmtp\\n\\nIt works.\\n' | msmtp {RECIPIENT}\n");
    let message = Section::new("A message", "sh", text);
    std::iter::once(file)
        .chain(password)
        .chain([message])
        .collect()
}

pub(super) fn postfix(access: &Access) -> Vec<Section> {
    let next = format!("[{}]:{}", access.host, access.port);
    // Postfix's "secure" demands the name of relayhost in the certificate.
    let tls = match access.security {
        Security::None => "smtp_tls_security_level = none\n",
        Security::StartTls => "smtp_tls_security_level = secure\n",
        Security::Tls => "smtp_tls_security_level = secure\nsmtp_tls_wrappermode = yes\n",
    };
    let authority = match (&access.authority, access.security) {
        (_, Security::None) => String::new(),
        (Some(file), Security::StartTls | Security::Tls) => format!("smtp_tls_CAfile = {file}\n"),
        (None, Security::StartTls | Security::Tls) => {
            "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n".to_owned()
        }
    };
    let mut text = format!("relayhost = {next}\n{tls}{authority}");
    let Some(user) = &access.user else {
        return vec![
            Section::new("/etc/postfix/main.cf", "postfix", text),
            Section::new("As root", "sh", "postfix reload\n".to_owned()),
        ];
    };
    text += "smtp_sasl_auth_enable = yes\n\
             smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd\n\
             smtp_sasl_security_options = noanonymous\n";
    vec![
        Section::new("/etc/postfix/main.cf", "postfix", text),
        Section::new(
            "/etc/postfix/sasl_passwd",
            "postfix",
            format!("{next} {user}:{PASSWORD}\n"),
        ),
        Section::new(
            "As root",
            "sh",
            "chmod 600 /etc/postfix/sasl_passwd\npostfix reload\n".to_owned(),
        ),
    ]
}

use clap::ValueEnum as _;

use super::*;
use crate::cli::account::setup::access::Security;

fn access(security: Security) -> Access {
    Access {
        host: "relay.example.com".to_owned(),
        port: 2587,
        security,
        user: Some("shop".to_owned()),
        sender: "o'brien@shop.example".to_owned(),
        authority: None,
    }
}

fn all(access: &Access) -> Vec<(Client, String)> {
    let clients = Client::value_variants().iter();
    clients
        .map(|client| {
            let sections = sections(*client, access);
            let texts = sections.iter().map(|section| section.text.as_str());
            (*client, texts.collect())
        })
        .collect()
}

#[test]
fn each_client_is_told_server_port_and_user_name() {
    for security in [Security::None, Security::StartTls, Security::Tls] {
        for (client, text) in all(&access(security)) {
            for part in ["relay.example.com", "2587", "shop"] {
                assert!(text.contains(part), "{client:?}: no {part} in {text}");
            }
            assert!(text.ends_with('\n'), "{client:?}");
        }
    }
}

#[test]
fn who_needs_no_login_is_told_of_none() {
    let access = Access {
        user: None,
        ..access(Security::None)
    };
    for (client, text) in all(&access) {
        let words = ["shop\n", "PASSWORD", "login(", "Username", "user name  "];
        for word in words {
            assert!(!text.contains(word), "{client:?}: {word} in {text}");
        }
    }
}

#[test]
fn tls_is_never_left_to_chance() {
    for (client, text) in all(&access(Security::StartTls)) {
        let demand = match client {
            Client::AppleMail => "Use TLS/SSL",
            Client::Curl => "--ssl-reqd",
            Client::Dotnet => "EnableSsl = true",
            Client::Java => "starttls.required=true",
            Client::Magento => "ssl tls",
            Client::Msmtp => "tls_starttls   on",
            Client::Nodemailer => "requireTLS: true",
            Client::Outlook | Client::Printer | Client::Thunderbird => "STARTTLS",
            Client::Phpmailer => "ENCRYPTION_STARTTLS",
            Client::Postfix => "smtp_tls_security_level = secure",
            Client::Python => "starttls(context=context)",
            Client::Salesforce => "Required Verify",
            Client::Swaks => "--tls --tls-verify",
            Client::Wordpress => "'WPMS_SSL', 'tls'",
        };
        assert!(text.contains(demand), "{client:?}: no {demand} in {text}");
    }
}

#[test]
fn an_authority_of_ones_own_is_named_where_programs_take_one() {
    let access = Access {
        authority: Some("/etc/own ca.pem".to_owned()),
        ..access(Security::Tls)
    };
    for (client, text) in all(&access) {
        let takes_one = match client {
            Client::Curl
            | Client::Msmtp
            | Client::Nodemailer
            | Client::Phpmailer
            | Client::Postfix
            | Client::Python
            | Client::Swaks => true,
            Client::AppleMail
            | Client::Dotnet
            | Client::Java
            | Client::Magento
            | Client::Outlook
            | Client::Printer
            | Client::Salesforce
            | Client::Thunderbird
            | Client::Wordpress => false,
        };
        assert_eq!(
            text.contains("/etc/own ca.pem"),
            takes_one,
            "{client:?}: {text}"
        );
    }
}

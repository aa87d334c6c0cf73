//! Shops and sites.

use super::Section;
use crate::cli::account::setup::access::{Access, PASSWORD, Security};
use crate::cli::account::setup::quote::{shell, single};

/// `wpmailsmtp.com/docs/how-to-secure-smtp-settings-by-using-constants` has the names.
pub(super) fn wordpress(access: &Access) -> Vec<Section> {
    let encryption = match access.security {
        Security::None => "",
        Security::StartTls => "tls",
        Security::Tls => "ssl",
    };
    let server = format!(
        "define( 'WPMS_ON', true );\n\
         define( 'WPMS_MAILER', 'smtp' );\n\
         define( 'WPMS_MAIL_FROM', {} );\n\
         define( 'WPMS_MAIL_FROM_FORCE', true ); // forms put addresses of visitors into From\n\
         define( 'WPMS_SET_RETURN_PATH', true );\n\
         define( 'WPMS_SMTP_HOST', {} );\n\
         define( 'WPMS_SMTP_PORT', {} );\n\
         define( 'WPMS_SSL', '{encryption}' );\n\
         define( 'WPMS_SMTP_AUTOTLS', {} );\n\
         define( 'WPMS_SMTP_AUTH', {} );\n",
        single(&access.sender),
        single(&access.host),
        access.port,
        access.security != Security::None,
        access.user.is_some(),
    );
    let login = access.user.as_ref().map(|user| {
        let user = single(user);
        format!("define( 'WPMS_SMTP_USER', {user} );\ndefine( 'WPMS_SMTP_PASS', '{PASSWORD}' );\n")
    });
    let text = server + &login.unwrap_or_default();
    let title = "wp-config.php, above \"That's all, stop editing!\", with the plugin WP Mail SMTP";
    vec![Section::new(title, "php", text)]
}

/// The keys are those of `app/code/Magento/Backend/etc/adminhtml/system.xml` since 2.4.
pub(super) fn magento(access: &Access) -> Vec<Section> {
    let encryption = match access.security {
        Security::None => "none",
        Security::StartTls => "tls",
        Security::Tls => "ssl",
    };
    let (host, sender) = (shell(&access.host), shell(&access.sender));
    let auth = if access.user.is_some() {
        "login"
    } else {
        "none"
    };
    let server = format!(
        "bin/magento config:set system/smtp/disable 0\n\
         bin/magento config:set system/smtp/transport smtp\n\
         bin/magento config:set system/smtp/host {host}\n\
         bin/magento config:set system/smtp/port {}\n\
         bin/magento config:set system/smtp/ssl {encryption}\n\
         bin/magento config:set system/smtp/auth {auth}\n",
        access.port
    );
    let login = access.user.as_ref().map(|user| {
        let user = shell(user);
        format!(
            "bin/magento config:set system/smtp/username {user}\n\
             bin/magento config:set system/smtp/password '{PASSWORD}'\n"
        )
    });
    let identities = ["general", "sales", "support", "custom1", "custom2"].map(|identity| {
        format!("bin/magento config:set trans_email/ident_{identity}/email {sender}\n")
    });
    let text = format!(
        "{server}{}{}bin/magento cache:clean config\n",
        login.unwrap_or_default(),
        identities.concat()
    );
    let title =
        "On the shop's machine (or Stores, Configuration, Advanced, System, Mail Sending Settings)";
    vec![Section::new(title, "sh", text)]
}

pub(super) fn salesforce(access: &Access) -> Vec<Section> {
    let port = access.port.to_string();
    let mut fields = vec![
        ("Host", access.host.as_str()),
        ("Port", port.as_str()),
        ("TLS Setting", "Required Verify"),
    ];
    if let Some(user) = &access.user {
        fields.extend([
            ("Enable SMTP Auth", "yes"),
            ("SMTP Auth Type", "Plain"),
            ("Username", user.as_str()),
            (
                "Password",
                "the password of the account, or an application password",
            ),
        ]);
    }
    let domain = access
        .sender
        .rsplit_once('@')
        .map_or("", |(_, domain)| domain);
    let relay = Section::form("Setup, Email Relays, Create Email Relay", &fields);
    let filter = Section::form(
        "Setup, Email Domain Filters, Create Email Domain Filter",
        &[
            ("From Domain", domain),
            ("To Domain", "*"),
            ("Email Relay", "the one that was created"),
            ("Active", "yes"),
        ],
    );
    vec![relay, filter]
}

//! Real programs submit to posthouse, and posthouse relays to real servers.
//!
//! What a client sends is compared, octet by octet, with what arrives behind the relay. Programs that are missing are
//! skipped with a printed reason; with `POSTHOUSE_PEERS=required` that is a failure. `tests/run` installs them all.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    reason = "tests: a failure is a panic, a skip is printed"
)]

#[path = "../support"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod support {
    pub(crate) mod http_server;
    pub(crate) mod identity_provider;
    pub(crate) mod peer;
    pub(crate) mod postfix;
    pub(crate) mod process;
    pub(crate) mod recorder;
    pub(crate) mod token_server;
}

/// Makes the four tests of a client: each way to TLS with each login mechanism.
macro_rules! submits_in_every_way {
    ($client:expr) => {
        #[test]
        fn starttls_and_plain() {
            crate::stage::submit_through_posthouse(&$client, Security::StartTls, Mechanism::Plain);
        }

        #[test]
        fn starttls_and_login() {
            crate::stage::submit_through_posthouse(&$client, Security::StartTls, Mechanism::Login);
        }

        #[test]
        fn implicit_tls_and_plain() {
            crate::stage::submit_through_posthouse(&$client, Security::Implicit, Mechanism::Plain);
        }

        #[test]
        fn implicit_tls_and_login() {
            crate::stage::submit_through_posthouse(&$client, Security::Implicit, Mechanism::Login);
        }
    };
}

mod account_setup;
mod aiosmtpd;
mod certificates;
mod client_certificates;
mod curl;
mod devices;
mod dkimpy;
mod dotnet;
mod dovecot;
mod fail2ban;
mod gsasl;
mod jakarta_mail;
mod msmtp;
mod nodemailer;
mod pebble;
mod perl;
mod phpmailer;
mod postfix;
mod ruby;
mod setup;
mod smtplib;
mod stage;
mod swaks;
mod symfony;
mod tokens;
mod trial;

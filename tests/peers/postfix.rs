//! Postfix: as the upstream of posthouse, and in its place, which shows that the clients of these tests do what they
//! are taken to do.

use std::net::SocketAddr;
use std::path::Path;

use crate::stage::{
    Client, Mechanism, PASSWORD, Security, Stage, UPSTREAM_LOGIN, USER, check, upstream_at,
};
use crate::support::peer::is_ready;
use crate::support::postfix::{Postfix, Settings};
use crate::{curl, msmtp, nodemailer, phpmailer, smtplib, swaks};

#[test]
fn relays_to_postfix_in_plain_text() {
    relay_to_postfix(None, |postfix| {
        upstream_at(postfix.plain(), "tls = \"disabled\"")
    });
}

#[test]
fn relays_to_postfix_with_starttls() {
    relay_to_postfix(None, |postfix| {
        // By name, so that resolver and host name verification take part.
        upstream_at(
            postfix.plain(),
            "tls = \"required\"\nca_file = \"AUTHORITY\"",
        )
        .replace("127.0.0.1", "localhost")
    });
}

#[test]
fn relays_to_postfix_with_a_sasl_login() {
    relay_to_postfix(Some(UPSTREAM_LOGIN), |postfix| {
        with_login(postfix.plain(), "required")
    });
}

#[test]
fn relays_to_postfix_over_smtps_with_a_sasl_login() {
    relay_to_postfix(Some(UPSTREAM_LOGIN), |postfix| {
        with_login(postfix.implicit(), "implicit")
    });
}

#[test]
fn swaks_submits_to_postfix_too() {
    submit_through_postfix(&swaks::CLIENT);
}

#[test]
fn curl_submits_to_postfix_too() {
    submit_through_postfix(&curl::CLIENT);
}

#[test]
fn msmtp_submits_to_postfix_too() {
    submit_through_postfix(&msmtp::CLIENT);
}

#[test]
fn smtplib_submits_to_postfix_too() {
    submit_through_postfix(&smtplib::CLIENT);
}

#[test]
fn nodemailer_submits_to_postfix_too() {
    submit_through_postfix(&nodemailer::CLIENT);
}

#[test]
fn phpmailer_submits_to_postfix_too() {
    submit_through_postfix(&phpmailer::CLIENT);
}

/// curl, posthouse, Postfix, the recorder.
#[track_caller]
fn relay_to_postfix(login: Option<(&str, &str)>, upstream: impl FnOnce(&Postfix) -> String) {
    if !is_ready(
        Postfix::missing()
            .into_iter()
            .chain((curl::CLIENT.missing)()),
    ) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let postfix = start_postfix(&stage, login);
    let posthouse = stage
        .posthouse(&upstream(&postfix))
        .expect("posthouse starts");
    let address = posthouse.listener("submission").expect("it is bound");
    let sent = stage
        .submit(&curl::CLIENT, address, Security::StartTls, Mechanism::Plain)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let Some(mail) = stage.arrival() else {
        panic!(
            "nothing arrived: {}\n{}",
            posthouse.log_tail(),
            postfix.log_tail()
        );
    };
    check(&sent, &mail);
    posthouse.stop().expect("posthouse stops in good order");
}

/// One client, Postfix, the recorder, in all four ways.
#[track_caller]
fn submit_through_postfix(client: &Client) {
    if !is_ready(Postfix::missing().into_iter().chain((client.missing)())) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let postfix = start_postfix(&stage, Some((USER, PASSWORD)));
    for (address, security) in [
        (postfix.plain(), Security::StartTls),
        (postfix.implicit(), Security::Implicit),
    ] {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let sent = stage
                .submit(client, address, security, mechanism)
                .unwrap_or_else(|error| panic!("{error}\n{}", postfix.log_tail()));
            let Some(mail) = stage.arrival() else {
                panic!("nothing arrived: {}", postfix.log_tail());
            };
            check(&sent, &mail);
        }
    }
}

pub(crate) fn start_postfix(stage: &Stage, login: Option<(&str, &str)>) -> Postfix {
    let certificates = &stage.certificates;
    start_showing(stage, (&certificates.certificate, &certificates.key), login)
}

/// Starts Postfix with another certificate and key than those of the stage.
pub(crate) fn start_showing(
    stage: &Stage,
    certificate: (&Path, &Path),
    login: Option<(&str, &str)>,
) -> Postfix {
    let directory = stage.directory.path().join("postfix");
    std::fs::create_dir(&directory).expect("a directory is made");
    Postfix::start(
        &directory,
        &Settings {
            next_hop: stage.recorder.address(),
            connections: 5,
            certificate: Some(certificate),
            login,
        },
    )
    .expect("Postfix starts")
}

pub(crate) fn with_login(address: SocketAddr, tls: &str) -> String {
    let (user, _) = UPSTREAM_LOGIN;
    upstream_at(
        address,
        &format!(
            "tls = \"{tls}\"\nca_file = \"AUTHORITY\"\nusername = \"{user}\"\n\
             password = {{ file = \"DIRECTORY/upstream.secret\" }}"
        ),
    )
}

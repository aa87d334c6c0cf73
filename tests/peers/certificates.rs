//! What `posthouse upstream test` and `test-mail` say of a Postfix: certificates that are right, expired, its own, pinned;
//! logins that are right and wrong; and what becomes of a message.

use std::path::{Path, PathBuf};
use std::process::Output;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::postfix::{start_postfix, start_showing, with_login};
use crate::stage::{Stage, UPSTREAM_LOGIN, upstream_at};
use crate::support::peer::{is_ready, restrict};
use crate::support::postfix::Postfix;
use crate::support::process::write_file;

/// Exit code, standard output and standard error.
type Said = (Option<i32>, String, String);

fn said(output: Output) -> Said {
    let text = |octets| String::from_utf8(octets).expect("it prints text");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    (status.code(), text(stdout), text(stderr))
}

/// Writes the configuration and runs `upstream test`.
fn test(stage: &Stage, upstream: &str) -> Said {
    stage.configure(upstream).expect("it is written");
    let ended = stage.command(&["upstream", "test", "next"]);
    said(ended.expect("posthouse runs"))
}

/// Makes a certificate for `localhost` that nobody else has issued.
fn self_signed(stage: &Stage, is_expired: bool) -> (PathBuf, PathBuf) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    if is_expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().expect("a key is made");
    let certificate = params.self_signed(&key).expect("it is signed");
    let folder = stage.directory.path();
    let (file, key_file) = (folder.join("own.pem"), folder.join("own.key"));
    write_file(&file, certificate.pem().as_bytes()).expect("it is written");
    write_file(&key_file, key.serialize_pem().as_bytes()).expect("it is written");
    restrict(&key_file).expect("the key is private");
    (file, key_file)
}

fn ready() -> Option<Stage> {
    is_ready(Postfix::missing()).then(|| Stage::new().expect("the stage stands"))
}

#[test]
fn a_right_certificate_and_login_are_told_step_by_step() {
    let Some(stage) = ready() else { return };
    let postfix = start_postfix(&stage, Some(UPSTREAM_LOGIN));
    for (address, tls) in [
        (postfix.plain(), "required"),
        (postfix.implicit(), "implicit"),
    ] {
        let (code, out, err) = test(&stage, &with_login(address, tls));
        assert_eq!(code, Some(0), "{out}{err}");
        for part in [
            "ok\tgreeting\t",
            "postfix.example ESMTP",
            "issued by CN=posthouse test authority",
            "for localhost, 127.0.0.1",
            "uses SIZE (at most 100.0 MiB), PIPELINING, ",
            "PLAIN as relay@upstream.example",
            "ok\tquit\t",
        ] {
            assert!(out.contains(part), "{part}: {out}");
        }
        assert!(!out.contains(UPSTREAM_LOGIN.1), "{out}");
    }
}

#[test]
fn a_wrong_password_needs_a_person() {
    let Some(stage) = ready() else { return };
    let postfix = start_postfix(&stage, Some(UPSTREAM_LOGIN));
    let upstream = with_login(postfix.plain(), "required").replace(
        "{ file = \"DIRECTORY/upstream.secret\" }",
        "{ inline = \"something else\" }",
    );
    let (code, out, err) = test(&stage, &upstream);
    assert_eq!(code, Some(78), "{out}{err}");
    assert!(
        out.contains("failed\tlogin\t") && out.contains("535 5.7.8"),
        "{out}"
    );
    assert!(err.contains("user name or password are wrong"), "{err}");
}

#[test]
fn a_certificate_of_its_own_is_refused_shown_and_can_be_pinned() {
    let Some(stage) = ready() else { return };
    let (certificate, key) = self_signed(&stage, false);
    let postfix = start_showing(&stage, (&certificate, &key), None);
    let strict = upstream_at(
        postfix.plain(),
        "tls = \"required\"\nca_file = \"AUTHORITY\"",
    );
    let (code, out, err) = test(&stage, &strict);
    assert_eq!(code, Some(78), "{out}{err}");
    assert!(err.contains("pin it (fingerprint)"), "{err}");
    let (_, rest) = out
        .split_once("SHA-256 ")
        .expect("the certificate is shown");
    let shown = rest.lines().next().expect("a line");
    let pinned = format!("tls = \"required\"\nfingerprint = \"{shown}\"");
    let (code, out, err) = test(&stage, &upstream_at(postfix.plain(), &pinned));
    assert_eq!(code, Some(0), "{out}{err}");
    let other = format!("tls = \"required\"\nfingerprint = \"{}\"", "0".repeat(64));
    let (code, _, err) = test(&stage, &upstream_at(postfix.plain(), &other));
    assert_eq!(code, Some(78));
    assert!(
        err.contains("another certificate than the one that is pinned"),
        "{err}"
    );
}

#[test]
fn an_expired_certificate_is_told_with_its_end() {
    let Some(stage) = ready() else { return };
    let (certificate, key) = self_signed(&stage, true);
    let postfix = start_showing(&stage, (&certificate, &key), None);
    let trusted = format!("tls = \"required\"\nca_file = {:?}", path(&certificate));
    let (code, out, err) = test(&stage, &upstream_at(postfix.plain(), &trusted));
    assert_eq!(code, Some(78), "{out}{err}");
    assert!(
        out.contains("until 2021-01-01T00:00:00Z: it has EXPIRED"),
        "{out}"
    );
    assert!(
        err.contains("has expired. Whoever runs the upstream must renew it"),
        "{err}"
    );
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn a_test_message_arrives_straight_and_through_the_queue() {
    let Some(stage) = ready() else { return };
    let postfix = start_postfix(&stage, Some(UPSTREAM_LOGIN));
    let posthouse = stage
        .posthouse(&with_login(postfix.plain(), "required"))
        .expect("posthouse starts");
    let to = ["--to", "first@recipient.example"];
    for target in [
        &["--upstream", "next", "--from", "shop@sender.example"][..],
        &["--account", "shop"],
    ] {
        let arguments = [&["test-mail"], target, &to].concat();
        let (code, out, err) = said(stage.command(&arguments).expect("posthouse runs"));
        assert_eq!(code, Some(0), "{out}{err}{}", posthouse.log_tail());
        assert!(out.contains("Relayed in "), "{out}");
        let mail = stage.arrival().expect("it arrives");
        let content = String::from_utf8_lossy(&mail.content).into_owned();
        assert!(content.contains("Subject: Test of posthouse"), "{content}");
        assert_eq!(mail.recipients, ["first@recipient.example"]);
    }
    posthouse.stop().expect("posthouse stops in good order");
}

//! dkimpy verifies what posthouse signs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use crate::curl;
use crate::stage::{Mechanism, Security, Stage, check};
use crate::support::peer::{installed, is_ready, missing_file};
use crate::support::process::write_file;

#[test]
fn verifies_both_keys_and_every_form() {
    if !is_ready(missing().into_iter().chain((curl::CLIENT.missing)())) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let mut upstream = stage.recorder_as_upstream();
    let mut records = Map::new();
    for (selector, kind, forms) in [
        ("s1", "rsa", "relaxed/relaxed"),
        ("s2", "ed25519", "relaxed/relaxed"),
        ("s3", "ed25519", "simple/simple"),
        ("s4", "rsa", "simple/relaxed"),
        ("s5", "ed25519", "relaxed/simple"),
    ] {
        let made = keygen(stage.directory.path(), selector, kind);
        let text = |name: &str| made[name].as_str().expect("keygen says it").to_owned();
        records.insert(text("name"), Value::from(text("value")));
        let table = text("configuration");
        writeln!(upstream, "{table}canonicalization = \"{forms}\"").expect("it is written");
    }
    let posthouse = stage.posthouse(&upstream).expect("posthouse starts");
    let address = posthouse.listener("submission").expect("it is bound");
    let sent = stage
        .submit(&curl::CLIENT, address, Security::StartTls, Mechanism::Plain)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let Some(mut mail) = stage.arrival() else {
        panic!("nothing arrived: {}", posthouse.log_tail());
    };
    verify(stage.directory.path(), &mail.content, &Value::from(records));
    // Behind the signatures it is what was sent.
    let end = mail
        .content
        .windows(9)
        .position(|window| window == b"Received:");
    mail.content.drain(..end.expect("there is a trace"));
    check(&sent, &mail);
    posthouse.stop().expect("posthouse stops in good order");
}

fn missing() -> Option<String> {
    missing_file(&installed("venv/bin/dkimverify"))
}

/// Makes a key; returns what is said of it.
fn keygen(directory: &Path, selector: &str, kind: &str) -> Value {
    let file = directory.join(selector).with_extension("pem");
    let made = Command::new(env!("CARGO_BIN_EXE_posthouse"))
        .args(["dkim", "keygen", "--json", "--domain", "sender.example"])
        .args(["--selector", selector, "--type", kind, "--out"])
        .arg(file)
        .output()
        .expect("posthouse runs");
    assert!(made.status.success(), "{made:?}");
    serde_json::from_slice(&made.stdout).expect("it prints JSON")
}

#[track_caller]
fn verify(directory: &Path, message: &[u8], records: &Value) {
    let (content, names) = (directory.join("signed.eml"), directory.join("records.json"));
    write_file(&content, message).expect("the message is written");
    write_file(&names, records.to_string().as_bytes()).expect("the records are written");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/clients/verify_dkim.py"
    );
    let verified = Command::new(installed("venv/bin/python"))
        .args([Path::new(script), &content, &names])
        .output()
        .expect("python runs");
    assert!(
        verified.status.success(),
        "{verified:?}\n{}",
        String::from_utf8_lossy(message)
    );
}

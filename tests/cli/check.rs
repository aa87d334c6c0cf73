//! `posthouse check`, and what other commands say about a configuration that cannot be used.

use crate::program::{ACCOUNTS, Configured, run};

const WRONG: &str = "\
[server]
hostname = \"relay.example.com\"

[relay]
upstream = [\"main\"]
upstraem = [\"spare\"]
";

fn check(configured: &Configured, more: &[&str]) -> crate::program::Run {
    let file = configured.path("posthouse.toml");
    let arguments = [&["check", file.to_str().unwrap()], more].concat();
    run(&arguments)
}

#[test]
fn a_configuration_without_faults_is_fine() {
    let configured = Configured::new();
    let checked = check(&configured, &[]).exits(0);
    assert!(checked.stdout.ends_with("is fine\n"), "{checked:?}");
}

#[test]
fn the_file_is_named_like_that_of_other_commands_or_alone() {
    let (fine, wrong) = (Configured::new(), Configured::with(WRONG, ACCOUNTS));
    fine.run(&["check"]).exits(0);
    wrong.run(&["check"]).exits(78);
    check(&fine, &["--config", "/nowhere/posthouse.toml"]).exits(0);
}

#[test]
fn every_fault_is_shown_with_its_place_and_a_hint() {
    let configured = Configured::with(WRONG, ACCOUNTS);
    let checked = check(&configured, &[]).exits(78).says("has 2 errors");
    for words in [
        "posthouse.toml:5:13: ",
        "posthouse.toml:6:1: unknown key `upstraem`",
        "hint: did you mean `upstream`?",
    ] {
        assert!(checked.stderr.contains(words), "{words}: {checked:?}");
    }
    assert_eq!(checked.stdout, "");
}

#[test]
fn diagnostics_as_json_have_places_and_hints() {
    let configured = Configured::with(WRONG, ACCOUNTS);
    let json = check(&configured, &["--json"]).exits(78).json();
    assert_eq!(json["errors"], 2);
    let unknown = &json["diagnostics"][1];
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&6.into(), &1.into())
    );
    assert_eq!(unknown["severity"], "error");
    assert_eq!(unknown["message"], "unknown key `upstraem`");
    assert!(unknown["hint"].as_str().unwrap().contains("upstream"));
}

#[test]
fn warnings_do_no_harm() {
    let configured = Configured::with(
        &std::fs::read_to_string(Configured::new().path("posthouse.toml")).unwrap(),
        "",
    );
    let json = check(&configured, &["--json"]).exits(0).json();
    assert_eq!((&json["errors"], &json["warnings"]), (&0.into(), &1.into()));
    assert_eq!(json["diagnostics"][0]["severity"], "warning");
}

#[test]
fn a_secret_that_has_expired_is_warned_of() {
    let with = |day: &str| {
        let text = std::fs::read_to_string(Configured::new().path("posthouse.toml")).unwrap();
        let login = format!(
            "host = \"smtp.example.net\"\nusername = \"a\"\npassword = {{ env = \"PATH\", expires = \"{day}\" }}\n"
        );
        let text = text.replace("host = \"smtp.example.net\"\n", &login);
        check(&Configured::with(&text, ACCOUNTS), &[])
            .exits(0)
            .stdout
    };
    let past = with("2020-02-29");
    assert!(
        past.contains("the secret of upstream main has expired on 2020-02-29"),
        "{past}"
    );
    assert!(past.contains("hint: Have a new one made"), "{past}");
    assert!(past.ends_with("with 1 warning\n"), "{past}");
    assert!(with("2999-12-31").ends_with("is fine\n"));
}

#[test]
fn a_missing_configuration_is_no_input() {
    run(&["check", "/nowhere/posthouse.toml"])
        .exits(66)
        .says("there is no configuration");
    run(&["serve", "--config", "/nowhere/posthouse.toml"])
        .exits(66)
        .says("posthouse try");
}

#[test]
fn serve_refuses_a_wrong_configuration_with_all_its_faults() {
    let configured = Configured::with(WRONG, ACCOUNTS);
    let refused = configured.run(&["serve"]).exits(78).says("has 2 errors");
    assert!(
        refused.stderr.contains("hint: did you mean `upstream`?"),
        "{refused:?}"
    );
}

#[test]
fn the_defaults_are_the_sample() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/posthouse.toml");
    let sample = std::fs::read_to_string(path).unwrap();
    assert_eq!(run(&["check", "--defaults"]).exits(0).stdout, sample);
}

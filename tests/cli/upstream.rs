//! `posthouse upstream test` against a scripted server.

use std::fs;
use std::io::Write as _;

use tempfile::TempDir;

use crate::fake_upstream::{FakeUpstream, ReservedPort, Script, Tls};
use crate::program::{Run, run};

/// A configuration with one upstream.
struct Setup(TempDir);

impl Setup {
    fn new(upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[server]\nhostname = \"relay.example.com\"\ndata_dir = \"data\"\n\n\
             [relay]\nupstream = [\"main\"]\n\n[upstream.main.smtp]\n{upstream}\n\n\
             [accounts]\nfile = \"accounts.toml\"\n"
        );
        let path = folder.path().join("posthouse.toml");
        fs::File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        Self(folder)
    }

    /// At a server, with more keys.
    fn at(server: &FakeUpstream, more: &str) -> Self {
        let port = server.address.port();
        Self::new(&format!("host = \"127.0.0.1\"\nport = {port}\n{more}"))
    }

    fn test(&self, more: &[&str]) -> Run {
        let config = self.0.path().join("posthouse.toml");
        let config = config.to_str().unwrap();
        run(&[&["upstream", "test", "main", "--config", config], more].concat())
    }
}

const LOGIN: &str = "username = \"user\"\npassword = { inline = \"secret\" }\n";

fn with_login() -> Script {
    Script::default().tls(Tls::StartTls).mechanisms("LOGIN")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_upstream_is_told_step_by_step() {
    let server = FakeUpstream::start(with_login()).await;
    let pinned = format!(
        "tls = \"required\"\nfingerprint = \"{}\"\n{LOGIN}",
        server.fingerprint
    );
    let setup = Setup::at(&server, &pinned);
    let tested = setup.test(&[]).exits(0);
    let steps: Vec<_> = tested
        .stdout
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let mut names = steps.clone();
    names.dedup();
    assert_eq!(
        names,
        [
            "resolve", "connect", "greeting", "ehlo", "tls", "ehlo", "login", "quit"
        ]
    );
    for words in [
        "LOGIN as user",
        "TLSv1.3 with ",
        &format!("SHA-256 {}", server.fingerprint),
        "uses SIZE (at most 50.0 MiB), PIPELINING, CHUNKING",
        "Good. No mail was sent.",
    ] {
        assert!(tested.stdout.contains(words), "{words}: {tested:#?}");
    }
    assert!(!tested.stdout.contains("secret"), "{tested:#?}");
    assert!(server.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_says_what_to_do_and_shows_no_secret() {
    let script = with_login().reply("AUTH", "535 5.7.139 Authentication unsuccessful, secret?");
    let server = FakeUpstream::start(script).await;
    let pinned = format!(
        "tls = \"required\"\nfingerprint = \"{}\"\n{LOGIN}",
        server.fingerprint
    );
    let tested = Setup::at(&server, &pinned).test(&["--dialogue"]).exits(78);
    assert!(
        tested.stderr.contains("error: upstream `main`"),
        "{tested:#?}"
    );
    assert!(tested.stderr.contains("upstream.main.graph"), "{tested:#?}");
    assert!(tested.stdout.contains("C: AUTH LOGIN"), "{tested:#?}");
    let all = format!("{}{}", tested.stdout, tested.stderr);
    assert!(
        !all.contains("secret") && !all.contains("c2VjcmV0"),
        "{tested:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_its_own_is_shown_so_that_it_can_be_pinned() {
    let server = FakeUpstream::start(with_login()).await;
    let setup = Setup::at(&server, &format!("tls = \"required\"\n{LOGIN}"));
    let tested = setup.test(&[]).exits(78);
    let pin = format!("SHA-256 {}", server.fingerprint);
    assert!(tested.stdout.contains(&pin), "{tested:#?}");
    assert!(tested.stdout.contains("failed\ttls\t"), "{tested:#?}");
    assert!(tested.stderr.contains("fingerprint"), "{tested:#?}");
}

#[test]
fn an_upstream_that_is_not_there_is_not_available() {
    let port = ReservedPort::new();
    let setup = Setup::new(&format!(
        "host = \"127.0.0.1\"\nport = {}\ntls = \"disabled\"",
        port.address.port()
    ));
    let tested = setup.test(&[]).exits(69);
    assert!(tested.stdout.contains("failed\tconnect\t"), "{tested:#?}");
    assert!(
        tested.stderr.contains("hint: Check `host` and `port`"),
        "{tested:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_get_json() {
    let server = FakeUpstream::start(Script::default()).await;
    let setup = Setup::at(&server, "tls = \"disabled\"");
    let good = setup.test(&["--json"]).exits(0).json();
    assert_eq!(good["outcome"], "good");
    assert_eq!(good["steps"][0]["step"], "resolve");
    assert_eq!(good["steps"][1]["address"], server.address.to_string());
    assert_eq!(good["dialogue"], serde_json::Value::Null);
    server.set_script(Script {
        greeting: "554 5.7.1 not you".to_owned(),
        ..Script::default()
    });
    let bad = setup.test(&["--json", "--dialogue"]).exits(69).json();
    assert_eq!(bad["outcome"], "failed");
    assert_eq!(bad["failure"]["step"], "greeting");
    assert_eq!(bad["failure"]["health"], "unreachable");
    assert_eq!(bad["dialogue"][1], "S: 554 5.7.1 not you");
}

#[test]
fn an_unknown_upstream_is_not_found() {
    let setup = Setup::new("host = \"127.0.0.1\"\ntls = \"disabled\"");
    let config = setup.0.path().join("posthouse.toml");
    let config = config.to_str().unwrap();
    run(&["upstream", "test", "nobody", "--config", config])
        .exits(66)
        .says("there is no upstream `nobody`");
}

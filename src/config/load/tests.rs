use std::io::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::config::checked::Engine;
use crate::config::sources::{Source, Sources};
use crate::identity::{AccountName, Route, TenantName};
use crate::mail::{Mailbox, Priority};
use crate::message::{AddressRule, PriorityHeader};
use crate::policy::{Detail, Grant, Grants, OnUnauthorized, Scope, VerifiedSenders};
use crate::secret::Secret;
use crate::smtp::server::{AuthRule, TlsMode};
use crate::tls::server::Source as CertificateSource;
use crate::upstream::smtp::{
    Credential, Dane, MtaSts, PlainTextLogin, Settings, TlsPolicy, Verification,
};

const POSTHOUSE: &str = r#"
[server]
hostname = "relay.example.com"

[[listener]]
name = "printers"
address = "127.0.0.1; [::1]"
ports = "25;1025-1030"
tls = "off"
auth = "off"

[relay]
upstream = ["main", "spare"]

[upstream.main.smtp]
host = "smtp.example.net"
tls = "implicit"
username = "relay@example.com"
password = { inline = "hunter2" }
retry = { first = "2m", warn_after = "0s" }

[upstream.spare.smtp]
host = "[2001:db8::25]"
bandwidth = "10 Mbit/s"
fingerprint = "AB:ab:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01"

[tenant.provider]
upstream = "spare"

[tenant.acme]
parent = "provider"

[accounts.defaults]
priority = 4
plus_addressing = true
"#;

const ACCOUNTS: &str = r#"
[account.alice]
networks = ["192.0.2.0/28", "2001:db8::1"]
tenant = "acme"
max_priority = 2
authorized_domains = " example.com ; *.Example.NET;"
authorized_senders = ['"a,b;c"@example.org']
note = "web shop"

[account.bob]
networks = "198.51.100.7"
active = false
plus_addressing = false
priority = 1
priority_header = "strip"
strict_addresses = false
check_header_from = false
on_unauthorized = "alert"
"#;

fn put(folder: &Path, name: &str, text: &str) {
    let mut file = File::create(folder.join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn load_texts(posthouse: &str, accounts: &str) -> Result<Checked, Report> {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "posthouse.toml", posthouse);
    put(folder.path(), "accounts.toml", accounts);
    load(&folder.path().join("posthouse.toml"))
}

fn checked() -> Checked {
    load_texts(POSTHOUSE, ACCOUNTS).unwrap()
}

fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

fn upstream(name: &str) -> UpstreamName {
    UpstreamName::parse(name).unwrap()
}

#[test]
fn a_listener_has_what_is_written_and_the_rest_by_default() {
    let listeners = checked().listeners;
    let [printers] = &*listeners else {
        panic!("{listeners:?}")
    };
    assert_eq!(
        printers.addresses,
        ["127.0.0.1", "::1"].map(|a| a.parse::<IpAddr>().unwrap())
    );
    assert_eq!(printers.ports.to_string(), "25, 1025-1030");
    assert_eq!(printers.session.tls, TlsMode::Off);
    assert_eq!(printers.session.auth, AuthRule::Off);
    assert_eq!(printers.session.limits, server::Limits::default());
    assert_eq!(printers.session.timeouts, server::Timeouts::default());
}

fn smtp(upstream: &Upstream) -> &Settings {
    match &upstream.engine {
        Engine::Smtp(settings) => settings,
        Engine::Graph(_) | Engine::Maildir(_) => panic!("{upstream:?}"),
    }
}

#[test]
fn the_bandwidth_of_an_upstream_is_limited_where_it_is_set() {
    let checked = checked();
    let of = |name| smtp(&checked.upstreams[&upstream(name)]).bandwidth;
    assert_eq!(of("main"), None);
    assert_eq!(of("spare").unwrap().octets(), 1_250_000);
}

#[test]
fn an_upstream_has_its_login_and_its_own_retry_plan() {
    let checked = checked();
    let main = &checked.upstreams[&upstream("main")];
    let settings = smtp(main);
    let login = settings.login.as_ref().unwrap();
    assert_eq!((settings.tls, settings.port), (TlsPolicy::Implicit, 465));
    let password = Credential::Password(Secret::new("hunter2".to_owned()));
    assert_eq!(login.credential, password);
    assert_eq!(login.over_plain_text, PlainTextLogin::Forbidden);
    assert_eq!(main.retry.first().as_secs(), 120);
    assert_eq!(main.retry.lifetime(), checked.retry.lifetime());
    assert_eq!(main.retry.warn_after(), None);
    assert_eq!(
        checked.upstreams[&upstream("spare")].retry.warn_after(),
        checked.retry.warn_after()
    );
    assert_eq!(settings.helo.as_ascii(), "relay.example.com");
}

#[test]
fn an_upstream_may_be_an_address_with_a_pinned_certificate() {
    let checked = checked();
    let spare = smtp(&checked.upstreams[&upstream("spare")]);
    assert_eq!((&*spare.host, spare.port), ("2001:db8::25", 587));
    let Verification::Fingerprint(digest) = &spare.verification else {
        panic!("{:?}", spare.verification)
    };
    assert_eq!((digest[0], digest[1], digest[31]), (0xab, 0xab, 1));
}

#[test]
fn domains_are_asked_by_default_where_mx_records_name_the_servers() {
    let vouching = |more: &str| {
        let text = format!(
            "[server]\nhostname = \"relay.example\"\n[relay]\nupstream = [\"main\"]\n\
             [upstream.main.smtp]\nhost = \"a.example\"\n{more}\n[accounts]\nfile = \"accounts.toml\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posthouse.toml");
        let mut file = File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let checked = load(&path).unwrap();
        let vouching = smtp(&checked.upstreams[&upstream("main")]).vouching;
        (vouching.dane, vouching.mta_sts)
    };
    for (more, expected) in [
        ("", (Dane::Off, MtaSts::Off)),
        ("mx = true", (Dane::WherePossible, MtaSts::On)),
        ("mx = true\ndane = true", (Dane::On, MtaSts::On)),
        (
            "mx = true\ndane = false\nmta_sts = false",
            (Dane::Off, MtaSts::Off),
        ),
        ("dane = true", (Dane::On, MtaSts::Off)),
        ("mx = true\ntls = \"disabled\"", (Dane::Off, MtaSts::Off)),
        ("mx = true\nverify = false", (Dane::Off, MtaSts::Off)),
    ] {
        assert_eq!(vouching(more), expected, "{more}");
    }
}

#[test]
fn both_forms_of_a_list_give_its_entries() {
    let checked = checked();
    let domain = |text| Domain::parse(text).unwrap();
    let expected = Grants::Only(vec![
        Grant::Domain(domain("example.com")),
        Grant::Subdomains(domain("example.net")),
        Grant::Mailbox(Mailbox::parse("\"a,b;c\"@example.org").unwrap()),
    ]);
    assert_eq!(checked.profiles[&account("alice")].rules.grants, expected);
}

#[test]
fn an_account_takes_the_defaults_it_does_not_override() {
    let checked = checked();
    let (alice, bob) = (
        &checked.profiles[&account("alice")],
        &checked.profiles[&account("bob")],
    );
    assert_eq!(
        (alice.priority, bob.priority),
        (Priority::Low, Priority::VeryHigh)
    );
    assert_eq!(
        (alice.max_priority, bob.max_priority),
        (Some(Priority::High), None)
    );
    assert_eq!(
        (alice.rules.detail, bob.rules.detail),
        (Detail::Ignored, Detail::Significant)
    );
    assert_eq!(alice.rules.on_unauthorized, OnUnauthorized::Reject);
    assert_eq!(bob.rules.on_unauthorized, OnUnauthorized::Alert);
    assert_eq!(
        (alice.rules.scope, bob.rules.scope),
        (Scope::EnvelopeAndHeader, Scope::Envelope)
    );
    assert_eq!(bob.rules.grants, Grants::Anyone);
    assert_eq!(bob.priority_header, PriorityHeader::Strip);
    assert_eq!(bob.address_rule, AddressRule::Senders);
}

#[test]
fn what_an_account_does_not_say_of_senders_its_tenants_say_and_then_the_defaults() {
    let posthouse = POSTHOUSE
        .replace(
            "[tenant.provider]",
            "[tenant.provider]\non_unauthorized = \"hold\"\ncheck_header_from = false\nverified_senders = \"required\"",
        )
        .replace(
            "[tenant.acme]",
            "[tenant.acme]\ncheck_header_from = true\ndefault_sender = \"a@example.com\"",
        );
    let own = "on_unauthorized = \"rewrite\"\nverified_senders = \"off\"";
    let own = ACCOUNTS.replace("max_priority = 2", own);
    let inherited = load_texts(&posthouse, ACCOUNTS).unwrap();
    let of_tenant = |name: &str| Source::Tenant(TenantName::parse(name).unwrap());
    let alice = &inherited.profiles[&account("alice")].rules;
    assert_eq!(alice.on_unauthorized, OnUnauthorized::Hold);
    assert_eq!(alice.scope, Scope::EnvelopeAndHeader);
    assert_eq!(alice.detail, Detail::Ignored);
    let expected = Sources {
        check_header_from: of_tenant("acme"),
        plus_addressing: Source::Defaults,
        on_unauthorized: of_tenant("provider"),
        verified_senders: of_tenant("provider"),
        default_sender: of_tenant("acme"),
    };
    assert_eq!(inherited.sources[&account("alice")], expected);
    let verified = |checked: &Checked| checked.verified_senders[&account("alice")];
    assert_eq!(verified(&inherited), VerifiedSenders::Required);
    let own = load_texts(&posthouse, &own).unwrap();
    let sender = Mailbox::parse("a@example.com").unwrap();
    let rules = &own.profiles[&account("alice")].rules;
    assert_eq!(rules.on_unauthorized, OnUnauthorized::Rewrite(sender));
    let sources = &own.sources[&account("alice")];
    assert_eq!(sources.on_unauthorized, Source::Account);
    assert_eq!(sources.verified_senders, Source::Account);
    assert_eq!(verified(&own), VerifiedSenders::Off);
    assert_eq!(sources.default_sender, of_tenant("acme"));
}

#[test]
fn the_default_sender_of_a_tenant_must_be_one_that_the_account_may_use() {
    let posthouse = POSTHOUSE.replace(
        "[tenant.acme]",
        "[tenant.acme]\non_unauthorized = \"rewrite\"\ndefault_sender = \"a@other.example\"",
    );
    let report = load_texts(&posthouse, ACCOUNTS).unwrap_err().to_string();
    let expected = "account `alice` may not send as its default_sender a@other.example";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn a_host_name_with_a_line_break_is_refused() {
    for hostname in [
        r"relay.example.com\r\nX: y",
        r"relay\u0000.example.com",
        r"a\u2028b.example",
    ] {
        let posthouse = POSTHOUSE.replacen("relay.example.com", hostname, 1);
        let report = load_texts(&posthouse, ACCOUNTS).unwrap_err().to_string();
        assert!(report.contains("posthouse.toml:"), "{report}");
    }
}

/// What cannot be read is refused; what can be is exactly what it says.
#[test]
fn no_list_of_senders_becomes_anyone() {
    let with = |list: &str| {
        let accounts =
            format!("[account.alice]\nnetworks = \"192.0.2.1\"\nauthorized_domains = {list}\n");
        load_texts(POSTHOUSE, &accounts)
    };
    for list in [
        "\"a.example,b.example\"",
        "\"*\"",
        "\"@\"",
        "\"a.example.\"",
        "\"a@a.example\"",
        "\"a..example\"",
        "\"*.example\"",
        "[\"a.example\", \"\\u0000\"]",
        "[\"\u{fffd}\"]",
    ] {
        assert!(with(list).is_err(), "{list}");
    }
    for (list, count) in [
        ("\" a.example ; b.example;\"", 2),
        ("\"b\u{fc}cher.example\"", 1),
        ("\"xn--bcher-kva.example\"", 1),
    ] {
        let checked = with(list).unwrap();
        let Grants::Only(grants) = &checked.profiles[&account("alice")].rules.grants else {
            panic!("{list}: anyone");
        };
        assert_eq!(grants.len(), count, "{list}");
    }
}

#[test]
fn an_account_is_known_by_its_network_and_routed_by_its_tenant() {
    let checked = checked();
    let identity = checked
        .accounts
        .of_network("192.0.2.3".parse().unwrap())
        .unwrap();
    let route = |name| {
        checked
            .routes
            .configured_route(&account(name))
            .as_ref()
            .map(Route::to_string)
    };
    assert_eq!(identity.account, account("alice"));
    assert_eq!(route("alice").as_deref(), Some("spare"));
    assert_eq!(route("bob").as_deref(), Some("main,spare"));
    assert_eq!(checked.notes[&account("alice")], "web shop");
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    put(
        folder.path(),
        "posthouse.toml",
        "[server]\nhostname = \"relay.example.com\"\n",
    );
    let checked = load(&folder.path().join("posthouse.toml")).unwrap();
    assert_eq!(checked.server.data_dir, folder.path().join("data"));
    assert_eq!(checked.spool.directory, folder.path().join("data/spool"));
    assert_eq!(checked.accounts_file, folder.path().join("accounts.toml"));
    let directory = folder.path().join("data/tls");
    let name = "relay.example.com".to_owned();
    let source = CertificateSource::SelfSigned { directory, name };
    assert_eq!(checked.tls, source.into());
    assert_eq!(
        checked.system_mail.sender.to_string(),
        "mailer-daemon@relay.example.com"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let report = load(Path::new("/no/such/posthouse.toml")).unwrap_err();
    assert_eq!(
        report.to_string(),
        "/no/such/posthouse.toml: cannot read the file: No such file or directory (os error 2)"
    );
}

#[test]
fn a_list_that_cannot_be_read_never_lets_an_account_send_as_anyone() {
    for list in [
        "5",
        "true",
        "{}",
        "[5]",
        "[[\"example.com\"]]",
        "\"a,b\"",
        "\";\"",
        "\";;\"",
        "[\"\"]",
    ] {
        let accounts =
            format!("[account.alice]\nnetworks = \"192.0.2.1\"\nauthorized_domains = {list}\n");
        assert!(load_texts(POSTHOUSE, &accounts).is_err(), "{list}");
    }
}

#[test]
fn faults_of_both_files_are_reported_together() {
    let posthouse = POSTHOUSE.replace("hostname = \"relay", "hostname = \"-relay");
    let accounts = ACCOUNTS.replace("max_priority = 2", "max_priority = 9");
    let report = load_texts(&posthouse, &accounts).unwrap_err();
    let files: Vec<_> = report
        .diagnostics()
        .iter()
        .filter(|diagnostic| diagnostic.severity() == Severity::Error)
        .map(|diagnostic| diagnostic.path().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["accounts.toml", "posthouse.toml"]);
}

#[test]
fn the_debug_form_of_a_configuration_shows_no_password() {
    assert!(!format!("{:?}", checked()).contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A line is put in, cut out or exchanged anywhere; whatever it is, there is an answer, and it can be shown.
    #[test]
    fn no_file_makes_the_check_fall_over(
        line in 0_usize..60,
        text in "[ -~äß\t\"'=\\[\\]{}#.,;]{0,40}",
    ) {
        let mut lines: Vec<_> = POSTHOUSE.lines().collect();
        let at = line.min(lines.len() - 1);
        lines[at] = &text;
        match load_texts(&lines.join("\n"), &text) {
            Ok(checked) => prop_assert!(checked.warnings.iter().all(|w| !w.to_string().is_empty())),
            Err(report) => prop_assert!(!report.to_string().is_empty()),
        }
    }
}

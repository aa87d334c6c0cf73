//! The configuration files of this repository: the samples work, and every mistake is explained as recorded.
//!
//! `tests/data/config/bad/NAME.toml` is refused with the text of `NAME.txt`; `warned/NAME.toml` is accepted with it.
//! `POSTHOUSE_BLESS=1 cargo test --test config_files` writes the texts anew; read the difference before you commit it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so with a panic"
)]

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use posthouse::config::{self, Checked, Report};

#[test]
fn every_mistake_is_refused_with_the_recorded_text() {
    compare("bad", |loaded| match loaded {
        Ok(_) => "accepted".to_owned(),
        Err(report) => report.to_string(),
    });
}

#[test]
fn everything_dangerous_is_accepted_with_the_recorded_warning() {
    compare("warned", |loaded| match loaded {
        Ok(checked) => {
            let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
            warnings.join("\n\n")
        }
        Err(report) => format!("refused\n{report}"),
    });
}

#[test]
fn no_text_shows_a_password() {
    for case in cases("bad").chain(cases("warned")) {
        let text = fs::read_to_string(case.with_extension("txt")).unwrap();
        assert!(!text.contains("hunter2"), "{}", case.display());
    }
}

#[test]
fn every_file_of_the_config_folder_can_be_used() {
    for name in ["posthouse.toml", "minimal.toml"] {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(root().join("config").join(name)).unwrap();
        put(&folder.path().join(name), &text, 0o600);
        let loaded = config::load(&folder.path().join(name));
        assert!(loaded.is_ok(), "{name}: {}", loaded.unwrap_err());
    }
    let files = fs::read_dir(root().join("config")).unwrap();
    let others: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|is| is == "toml"))
        .filter(|name| !["posthouse.toml", "minimal.toml", "accounts.toml"].contains(&&**name))
        .collect();
    assert!(others.is_empty(), "{others:?} is not tested");
}

#[test]
fn the_sample_is_what_check_defaults_prints() {
    let path = root().join("config/posthouse.toml");
    if std::env::var_os("POSTHOUSE_BLESS").is_some() {
        put(&path, &config::defaults_toml(), 0o644);
    }
    assert_eq!(fs::read_to_string(path).unwrap(), config::defaults_toml());
}

#[test]
fn no_table_of_the_sample_takes_an_unknown_key() {
    let sample = config::defaults_toml();
    let lines: Vec<_> = sample.lines().collect();
    let mut tables = 0;
    for (index, line) in lines.iter().enumerate() {
        let header = line.strip_prefix('#').unwrap_or(line);
        if !header.starts_with('[') {
            continue;
        }
        tables += 1;
        let mut wrong: Vec<_> = lines.clone();
        wrong.splice(index..=index, [header, "no_such_key = 1"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posthouse.toml");
        put(&path, &wrong.join("\n"), 0o600);
        let report = config::load(&path).expect_err(header);
        let found = report.diagnostics().iter().any(|diagnostic| {
            diagnostic.message() == "unknown key `no_such_key`"
                && diagnostic.position() == Some((index + 2, 1))
        });
        assert!(found, "{header}: {report}");
    }
    assert!(tables > 10);
}

#[test]
fn the_sample_opens_the_listeners_of_the_product() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthouse.toml");
    put(&path, &config::defaults_toml(), 0o600);
    let written = config::load(&path).unwrap().listeners;
    put(&path, "[server]\nhostname = \"relay.example.com\"\n", 0o600);
    let default = config::load(&path).unwrap().listeners;
    let ports = |listeners: &[posthouse::submission::ListenerSettings]| {
        let ports = listeners.iter().map(|listener| listener.ports.to_string());
        ports.collect::<Vec<_>>()
    };
    assert_eq!(ports(&written), ["25, 587, 1025-5000", "465"]);
    assert_eq!(ports(&written), ports(&default));
}

/// Loads every case in a folder of its own and compares what `shown` makes of it.
fn compare(kind: &str, shown: impl Fn(&Result<Checked, Report>) -> String) {
    let folder = prepare(kind);
    let is_blessed = std::env::var_os("POSTHOUSE_BLESS").is_some();
    let mut differences = Vec::new();
    for case in cases(kind) {
        let loaded = config::load(&folder.path().join(case.file_name().unwrap()));
        let prefix = format!("{}/", folder.path().display());
        let text = shown(&loaded).replace(&prefix, "") + "\n";
        let recorded = case.with_extension("txt");
        if is_blessed {
            put(&recorded, &text, 0o644);
        } else if fs::read_to_string(&recorded).unwrap_or_default() != text {
            differences.push(format!("=== {}\n{text}", case.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn cases(kind: &str) -> impl Iterator<Item = PathBuf> {
    let folder = root().join("tests/data/config").join(kind);
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".toml") && !name.ends_with(".accounts.toml")
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases.into_iter()
}

/// Copies the cases to where their modes are known, and makes the certificates and secrets they name.
fn prepare(kind: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(root().join("tests/data/config").join(kind)).unwrap() {
        let from = entry.unwrap().path();
        let name = from.file_name().unwrap().to_string_lossy();
        let mode = match &*name {
            "writable_by_others.accounts.toml" => 0o660,
            "writable_by_others.toml" => 0o622,
            name if name.contains("readable_by_others") => 0o644,
            _ => 0o600,
        };
        put(
            &folder.path().join(&*name),
            &fs::read_to_string(&from).unwrap(),
            mode,
        );
    }
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    put(&files.join("exposed"), "hunter2", 0o644);
    let nobody = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    put(&files.join("nobody.pem"), nobody, 0o644);
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    for name in ["one", "two"] {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        put(
            &files.join(name).with_extension("pem"),
            &made.cert.pem(),
            0o644,
        );
        let key = made.signing_key.serialize_pem();
        put(&files.join(name).with_extension("key"), &key, 0o600);
    }
    expired(&files.join("expired"));
    authority(&files.join("client-ca.pem"));
    folder
}

/// Makes the certificate of an authority.
fn authority(file: &Path) {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    put(file, &params.self_signed(&key).unwrap().pem(), 0o644);
}

/// Makes a certificate that has expired, and its key, which others can read.
fn expired(name: &Path) {
    let mut params = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    put(&name.with_extension("pem"), &certificate.pem(), 0o644);
    put(&name.with_extension("key"), &key.serialize_pem(), 0o644);
}

fn put(path: &Path, text: &str, mode: u32) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

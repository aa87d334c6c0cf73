use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};

use crate::config::{self, Checked, Diagnostic, Report};
use crate::tls::server::Source;

/// Loads a configuration in a folder with the certificate `one.pem` for these names and its key `one.key`, and a key
/// `other.key`.
fn loaded(names: &[&str], tables: &str) -> Result<Checked, Report> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    put("one.pem", &certificate.pem());
    put("one.key", &key.serialize_pem());
    put("other.key", &KeyPair::generate().unwrap().serialize_pem());
    put(
        "posthouse.toml",
        &format!("[server]\nhostname = \"relay.example.com\"\n{tables}"),
    );
    config::load(&folder.path().join("posthouse.toml"))
}

const FILES: &str = "certificate = \"one.pem\"\nkey = \"one.key\"\n";

const ACME: &str = "[tls.acme]\nagree_to_terms = true\n";

#[test]
fn a_name_that_the_certificate_is_not_for_is_warned_of_at_its_place() {
    let names = "[[tls.name]]\nnames = [\"a.customer.example\", \"b.other.example\"]\n";
    let checked = loaded(&["*.customer.example"], &format!("{names}{FILES}")).unwrap();
    let warning = checked
        .warnings
        .iter()
        .find(|warning| warning.message() == "the certificate is not for `b.other.example`")
        .unwrap();
    assert_eq!(warning.position(), Some((4, 32)));
    let about_a = |message: &str| message.contains("a.customer.example");
    assert!(
        !checked
            .warnings
            .iter()
            .any(|warning| about_a(warning.message()))
    );
    let expiry = checked
        .expiries
        .iter()
        .find(|expiry| expiry.what.contains("a.customer"));
    assert_eq!(
        expiry.unwrap().what,
        "the certificate of a.customer.example"
    );
}

#[test]
fn the_key_of_another_certificate_is_refused_at_its_place() {
    let table =
        "[[tls.name]]\nnames = [\"a.example\"]\ncertificate = \"one.pem\"\nkey = \"other.key\"\n";
    let report = loaded(&["a.example"], table).unwrap_err();
    let mut faults = report.diagnostics().iter();
    let is_it = |fault: &&Diagnostic| {
        fault
            .message()
            .contains("does not belong to the certificate")
    };
    let fault = faults.find(is_it).unwrap_or_else(|| panic!("{report}"));
    assert_eq!(fault.position(), Some((6, 7)));
}

#[test]
fn by_default_the_hostname_gets_a_certificate() {
    let checked = loaded(&["x.example"], ACME).unwrap();
    let acme = checked.acme.unwrap();
    assert_eq!(acme.certificates, [["relay.example.com"]]);
    let Source::Issued { file, names } = checked.tls.certificate else {
        panic!("{:?}", checked.tls)
    };
    assert_eq!(names, ["relay.example.com"]);
    assert!(file.starts_with(acme.folder));
}

#[test]
fn beside_files_names_alone_get_certificates() {
    let name = "[[tls.name]]\nnames = [\"b.example\", \"a.example\"]\nacme = true\n";
    let checked = loaded(&["x.example"], &format!("[tls]\n{FILES}{ACME}{name}")).unwrap();
    assert!(matches!(checked.tls.certificate, Source::Files { .. }));
    assert_eq!(
        checked.acme.unwrap().certificates,
        [["b.example", "a.example"]]
    );
    let unused = loaded(&["x.example"], &format!("[tls]\n{FILES}{ACME}")).unwrap();
    let mut warnings = unused.warnings.iter().map(Diagnostic::message);
    assert!(warnings.any(|message| message.starts_with("no certificate is got")));
}

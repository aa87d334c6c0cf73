//! What the tests with real programs share: which are installed, certificates, messages, and the comparison of what was
//! sent with what arrived.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::process::{wait_for, write_file};

/// Says whether the test can be run here. Where it cannot, the reason is printed; with `POSTHOUSE_PEERS=required` it
/// is a failure.
///
/// # Panics
///
/// Something is missing and everything is required.
pub(crate) fn is_ready(missing: impl IntoIterator<Item = String>) -> bool {
    let missing: Vec<String> = missing.into_iter().collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join("; ");
    let required = std::env::var("POSTHOUSE_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "POSTHOUSE_PEERS=required, but: {missing}");
    eprintln!("SKIPPED: {missing}");
    false
}

/// Says that a program is not installed, if so.
pub(crate) fn missing_program(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    (!found).then(|| format!("{name} is not installed"))
}

/// Says that a file of a library is not there, if so.
pub(crate) fn missing_file(path: &Path) -> Option<String> {
    (!path.exists()).then(|| format!("{} is not there (tests/run installs it)", path.display()))
}

/// Where tests/run puts what comes from npm and `PyPI`.
pub(crate) fn installed(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/peers")
        .join(below)
}

/// PEM files: an authority of this test, and a server's certificate and key that it has issued for `localhost`.
pub(crate) struct Certificates {
    /// The authority.
    pub(crate) authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
    /// The server's key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them below `directory`.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(crate) fn make(directory: &Path) -> io::Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(rcgen::DnType::CommonName, "posthouse test authority");
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = CertifiedIssuer::self_signed(authority, key).map_err(io::Error::other)?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let server = server
            .signed_by(&key, &authority)
            .map_err(io::Error::other)?;
        let files = Self {
            authority: directory.join("authority.pem"),
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
        };
        write_file(&files.authority, authority.pem().as_bytes())?;
        write_file(&files.certificate, server.pem().as_bytes())?;
        write_file(&files.key, key.serialize_pem().as_bytes())?;
        restrict(&files.key)?;
        Ok(files)
    }
}

/// Makes a file readable by its owner only.
///
/// # Errors
///
/// The system refused.
pub(crate) fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// Runs a client to its end.
///
/// # Errors
///
/// It cannot be started, fails, or takes longer than a minute; the message holds its output.
pub(crate) fn run_client(command: &mut Command, directory: &Path) -> io::Result<()> {
    let log = directory.join("client.log");
    let output = std::fs::File::create(&log)?;
    let mut child = command.stdout(output.try_clone()?).stderr(output).spawn()?;
    let status = wait_for(Duration::from_mins(1), || child.try_wait())?;
    let text = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(io::Error::other(format!(
            "{command:?}: {status}\n{}",
            text()
        ))),
        None => {
            child.kill()?;
            child.wait()?;
            Err(io::Error::other(format!("{command:?}: no end\n{}", text())))
        }
    }
}

/// Checks that `arrived` is `sent`, octet by octet, but for what a relay does: it puts `Received:` in front, removes
/// `Bcc:`, and adds `Date:` and `Message-ID:` where there was none.
///
/// # Panics
///
/// It is not.
#[track_caller]
pub(crate) fn assert_relayed(sent: &[u8], arrived: &[u8]) {
    let (sent_fields, sent_body) = split(sent);
    let (arrived_fields, arrived_body) = split(arrived);
    let traces = arrived_fields
        .iter()
        .take_while(|field| is_named(field, "Received"))
        .count();
    assert!(traces > 0, "no Received: in front: {}", text(arrived));
    let may_be_added = |field: &&[u8]| {
        ["Date", "Message-ID"].iter().any(|name| {
            is_named(field, name) && !sent_fields.iter().any(|sent| is_named(sent, name))
        })
    };
    let expected: Vec<String> = sent_fields
        .iter()
        .filter(|field| !is_named(field, "Bcc"))
        .map(|field| text(field))
        .collect();
    let got: Vec<String> = arrived_fields
        .iter()
        .skip(traces)
        .filter(|field| !may_be_added(field))
        .map(|field| text(field))
        .collect();
    assert_eq!(got, expected, "the header fields differ");
    for name in ["Date", "Message-ID", "From"] {
        let count = arrived_fields.iter().filter(|field| is_named(field, name));
        assert_eq!(count.count(), 1, "number of {name}: {}", text(arrived));
    }
    assert_same(sent_body, arrived_body);
}

/// Compares two bodies and shows the place where they part.
#[track_caller]
fn assert_same(sent: &[u8], arrived: &[u8]) {
    let parting = sent.iter().zip(arrived).take_while(|(a, b)| a == b).count();
    let around = |octets: &[u8]| {
        let start = parting.saturating_sub(60);
        text(&octets[start..octets.len().min(parting + 60)])
    };
    assert!(
        sent == arrived,
        "the bodies part at octet {parting}: sent {} octets {:?}, arrived {} octets {:?}",
        sent.len(),
        around(sent),
        arrived.len(),
        around(arrived)
    );
}

/// Returns the content that a client wrote between DATA and the final dot, from all octets it wrote.
///
/// # Panics
///
/// There is none.
#[track_caller]
pub(crate) fn content_of_dialogue(written: &[u8]) -> Vec<u8> {
    let start = memchr::memmem::find(written, b"\r\nDATA\r\n");
    let start = start.or_else(|| memchr::memmem::find(written, b"\r\ndata\r\n"));
    let start = start.expect("the client said DATA") + 8;
    let rest = &written[start..];
    let end = memchr::memmem::find(rest, b"\r\n.\r\n").expect("the client ended its data") + 2;
    let mut content = Vec::with_capacity(end);
    for line in rest[..end].split_inclusive(|&octet| octet == b'\n') {
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    content
}

/// Splits a message into header fields, each with its folded lines, and the body with the empty line before it.
fn split(message: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |end| end + 2);
    let (header, body) = message.split_at(end);
    let mut fields = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < header.len() {
        let next = memchr::memchr(b'\n', &header[at..]).map_or(header.len(), |end| at + end + 1);
        if !matches!(header.get(next), Some(b' ' | b'\t')) {
            fields.push(&header[start..next]);
            start = next;
        }
        at = next;
    }
    (fields, body)
}

fn is_named(field: &[u8], name: &str) -> bool {
    let colon = field.get(name.len()) == Some(&b':');
    colon && field[..name.len()].eq_ignore_ascii_case(name.as_bytes())
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

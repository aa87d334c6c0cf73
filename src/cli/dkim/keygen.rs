//! `posthouse dkim keygen`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::dkim::{Algorithm, Key, KeyError, KeyRecord, Selector};
use crate::mail::Domain;

/// Make a key, and show what goes into DNS and into the configuration
///
/// The private key is written to a new file that only you can read; a file that is there is never written over. Nothing
/// else is changed: put the record into DNS, check it with `posthouse dkim check`, and let the server sign by the
/// configuration that is shown. Receivers that do not know Ed25519 pass such signatures over, so make an RSA key too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse dkim keygen --domain example.com --selector 2026a
  posthouse dkim keygen --domain example.com --selector 2026e --type ed25519 --out /etc/posthouse/secrets/2026e.pem")]
pub(super) struct Arguments {
    /// The domain whose mail is signed: that of From:
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    domain: Domain,
    /// The name of the key, such as 2026a: its record in DNS is SELECTOR._domainkey.DOMAIN
    #[arg(long, value_name = "SELECTOR", value_parser = Selector::parse)]
    selector: Selector,
    /// The kind of key
    #[arg(long = "type", value_name = "TYPE", default_value = "rsa")]
    kind: Kind,
    /// Where the private key is written [default: SELECTOR.DOMAIN.pem, in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// 2048 bits; understood by all receivers
    Rsa,
    /// Short; not yet understood by all
    Ed25519,
}

fn domain(text: &str) -> Result<Domain, String> {
    match Domain::parse(text) {
        Ok(domain) if !text.starts_with('[') => Ok(domain),
        Ok(_) => Err("an address has no DKIM key, only a domain".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Debug, Serialize)]
struct View<'a> {
    file: String,
    name: String,
    value: &'a str,
    strings: Vec<&'a str>,
    configuration: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let Arguments {
        domain, selector, ..
    } = arguments;
    let file = arguments.out.clone().unwrap_or_else(|| {
        let name = format!("{selector}.{}.pem", domain.as_ascii());
        PathBuf::from(name)
    });
    let file = std::path::absolute(&file)
        .map_err(|error| Failure::file(Code::CannotCreate, "create", &file, &error))?;
    let key = Key::generate(match arguments.kind {
        Kind::Rsa => Algorithm::Rsa,
        Kind::Ed25519 => Algorithm::Ed25519,
    });
    let failed = |error: KeyError| Failure::of(Code::Unavailable, &error);
    let key = key.map_err(failed)?;
    write(&file, &key.to_pem().map_err(failed)?)?;
    let record = KeyRecord::of(&key);
    let view = View {
        file: file.display().to_string(),
        name: format!("{selector}._domainkey.{}", domain.as_ascii()),
        value: record.as_str(),
        strings: record.strings(),
        configuration: configuration(domain, selector, &file),
    };
    if arguments.json {
        return output.json(&view);
    }
    show(&view, output)
}

fn show(view: &View<'_>, output: &mut Output) -> Result<(), Failure> {
    output.field("key", &view.file)?;
    output.line("")?;
    output.styled(Style::Bold, "1. A TXT record for DNS")?;
    output.field("name", &view.name)?;
    output.field("value", view.value)?;
    output.line("")?;
    output.line("In a zone file:")?;
    let strings: Vec<_> = view
        .strings
        .iter()
        .map(|text| format!("\"{text}\""))
        .collect();
    output.line(format_args!(
        "{}. IN TXT ( {} )",
        view.name,
        strings.join(" ")
    ))?;
    output.line("")?;
    output.styled(
        Style::Bold,
        "2. For the configuration, once `posthouse dkim check` finds the record",
    )?;
    output.text(&view.configuration)
}

/// Returns the table that makes the server sign with the key.
fn configuration(domain: &Domain, selector: &Selector, file: &Path) -> String {
    let name = format!("{}-{selector}", domain.as_ascii()).replace('.', "-");
    let text = |text: &str| toml_edit::Value::from(text).to_string();
    format!(
        "[dkim.{name}]\ndomain = {}\nselector = {}\nkey = {}\n",
        text(domain.as_ascii()),
        text(selector.as_str()),
        text(&file.to_string_lossy()),
    )
}

/// Writes a file that is not there yet, for its owner alone, and sees to it that it stays.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = created.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            let message = format!("{} is there already", path.display());
            Failure::new(Code::CannotCreate, message)
                .with_hint("name another file with --out, or take that one away")
        } else {
            Failure::file(Code::CannotCreate, "create", path, &error)
        }
    })?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
    written.map_err(|error| Failure::file(Code::Io, "write", path, &error))
}

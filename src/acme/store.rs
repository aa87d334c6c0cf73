//! What is kept on disk.
//!
//! * `account-DIGEST.json`: the account at one authority: `{ "posthouse": "acme account", "version": 1, "directory",
//!   "key" (PKCS #8 in base64url), "id" (absent until the authority has answered), "contact" }`.
//! * `NAME-DIGEST.pem`: a certificate: the line `posthouse certificate 1`, the line `directory URL`, then key and chain in
//!   PEM, which programs read that skip what stands before `-----BEGIN`.
//! * `NAME-DIGEST.json`: what is under way for it: `{ "posthouse": "acme order", "version": 1, "directory", "orders"
//!   (times in ms), "failures", "last_error", "tried", "not_before" (ms), "order": { "url", "key" (PEM) } }`.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::file::{self, FileError, VERSION};
use super::plan::Validity;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::tls::client::PeerCertificate;
use crate::tls::server;

/// The name of the folder in the data directory.
pub const FOLDER: &str = "acme";

/// Returns the file that a certificate for these names is kept in. Their order does not count.
pub fn certificate_file(folder: &Path, names: &[String]) -> PathBuf {
    folder.join(format!("{}.pem", stem(names)))
}

/// Returns the file that says what is under way for it.
pub(super) fn record_file(folder: &Path, names: &[String]) -> PathBuf {
    folder.join(format!("{}.json", stem(names)))
}

/// A name that people recognize, and what tells it from others that begin with the same name.
fn stem(names: &[String]) -> String {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let first = names.first().map_or("none", String::as_str);
    format!("{}-{}", first.replace('*', "_"), short(&sorted.join(",")))
}

fn short(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let first = digest.as_ref().iter().take(4);
    let number = first.fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
    format!("{number:08x}")
}

/// An account at an authority.
#[derive(Clone, Debug)]
pub(super) struct StoredAccount {
    /// The key, in PKCS #8.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// The address that the authority gave it; `None` where it has not answered yet.
    pub(super) id: Option<String>,
    /// What the authority has been told.
    pub(super) contact: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct AccountText {
    posthouse: String,
    version: u64,
    directory: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default)]
    contact: Vec<String>,
}

const ACCOUNT: &str = "acme account";
const ORDER: &str = "acme order";
const CERTIFICATE: &str = "posthouse certificate ";

fn account_file(folder: &Path, directory: &Url) -> PathBuf {
    folder.join(format!("account-{}.json", short(directory.as_str())))
}

impl StoredAccount {
    /// Reads the account at an authority; `None` where there is none. An account that cannot be read is an error, not a
    /// reason to make another.
    pub(super) fn read(folder: &Path, directory: &Url) -> Result<Option<Self>, FileError> {
        let path = account_file(folder, directory);
        let Some(text) = file::read(&path)? else {
            return Ok(None);
        };
        let text: AccountText = parse(&path, &text, ACCOUNT)?;
        let key = Zeroizing::new(text.key);
        let key = BASE64_URL_SAFE_NO_PAD.decode(&*key);
        let key = key.map_err(|_| FileError::Damaged { path })?;
        Ok(Some(Self {
            key: Zeroizing::new(key),
            id: text.id,
            contact: text.contact,
        }))
    }

    pub(super) fn write(&self, folder: &Path, directory: &Url) -> Result<(), FileError> {
        let text = AccountText {
            posthouse: ACCOUNT.to_owned(),
            version: VERSION,
            directory: directory.to_string(),
            key: BASE64_URL_SAFE_NO_PAD.encode(&*self.key),
            id: self.id.clone(),
            contact: self.contact.clone(),
        };
        write(&account_file(folder, directory), &text)
    }
}

/// What is under way for a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// When orders were placed.
    pub(super) orders: Vec<Timestamp>,
    /// How often in a row it has failed.
    pub(super) failures: u32,
    /// Why it has failed last; for people.
    pub(super) last_error: Option<String>,
    /// When something was tried last.
    pub(super) tried: Option<Timestamp>,
    /// Before that nothing is tried.
    pub(super) not_before: Option<Timestamp>,
    /// The order that is under way.
    pub(super) order: Option<OpenOrder>,
}

/// An order that is not done.
#[derive(Clone, Debug)]
pub(super) struct OpenOrder {
    /// Its address at the authority.
    pub(super) url: String,
    /// The key of the certificate to be, in PEM.
    pub(super) key: Secret,
}

#[derive(Deserialize, Serialize)]
struct RecordText {
    posthouse: String,
    version: u64,
    directory: String,
    #[serde(default)]
    orders: Vec<u64>,
    #[serde(default)]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderText>,
}

#[derive(Deserialize, Serialize)]
struct OrderText {
    url: String,
    key: String,
}

impl Record {
    /// Reads what is under way; empty where there is nothing, or it belongs to another authority.
    pub(super) fn read(path: &Path, directory: &Url) -> Result<Self, FileError> {
        let Some(text) = file::read(path)? else {
            return Ok(Self::default());
        };
        let text: RecordText = parse(path, &text, ORDER)?;
        if text.directory != directory.as_str() {
            return Ok(Self::default());
        }
        let time = Timestamp::from_unix_millis;
        Ok(Self {
            orders: text.orders.into_iter().map(time).collect(),
            failures: text.failures,
            last_error: text.last_error,
            tried: text.tried.map(time),
            not_before: text.not_before.map(time),
            order: text.order.map(|order| OpenOrder {
                url: order.url,
                key: Secret::new(order.key),
            }),
        })
    }

    pub(super) fn write(&self, path: &Path, directory: &Url) -> Result<(), FileError> {
        let text = RecordText {
            posthouse: ORDER.to_owned(),
            version: VERSION,
            directory: directory.to_string(),
            orders: self.orders.iter().map(|at| at.unix_millis()).collect(),
            failures: self.failures,
            last_error: self.last_error.clone(),
            tried: self.tried.map(Timestamp::unix_millis),
            not_before: self.not_before.map(Timestamp::unix_millis),
            order: self.order.as_ref().map(|order| OrderText {
                url: order.url.clone(),
                key: order.key.expose().to_owned(),
            }),
        };
        write(path, &text)
    }
}

/// A certificate that is kept.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// What it says of itself.
    pub(super) own: PeerCertificate,
    /// Whether it comes from the authority that is configured.
    pub(super) is_of_directory: bool,
}

impl Held {
    /// Reads what is kept of a certificate; `None` where there is none, or none that can be used.
    pub(super) fn read(path: &Path, directory: &Url) -> Result<Option<Self>, FileError> {
        let Some(text) = file::read(path)? else {
            return Ok(None);
        };
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix(CERTIFICATE));
        match version.map(str::parse) {
            Some(Ok(VERSION)) => {}
            Some(Ok(found)) => {
                return Err(FileError::Version {
                    path: path.to_owned(),
                    found,
                });
            }
            Some(Err(_)) | None => return Ok(None),
        }
        let of = lines
            .next()
            .and_then(|line| line.strip_prefix("directory "));
        let is_usable = server::check_files(path, path).is_ok();
        let own = is_usable.then(|| server::read_own(path)).flatten();
        Ok(own.map(|own| Self {
            own,
            is_of_directory: of == Some(directory.as_str()),
        }))
    }

    pub(super) const fn validity(&self) -> Validity {
        Validity {
            begins: self.own.not_before,
            ends: self.own.not_after,
        }
    }
}

/// Keeps a certificate: key and chain in PEM.
pub(super) fn keep_certificate(
    path: &Path,
    directory: &Url,
    key: &Secret,
    chain: &str,
) -> Result<(), FileError> {
    let text = format!(
        "{CERTIFICATE}{VERSION}\ndirectory {directory}\n{}{chain}",
        key.expose()
    );
    file::write(path, &Zeroizing::new(text))
}

fn write(path: &Path, text: &impl Serialize) -> Result<(), FileError> {
    let text = serde_json::to_string(text).map_err(|error| FileError::Io {
        path: path.to_owned(),
        source: error.into(),
    })?;
    file::write(path, &Zeroizing::new(text))
}

/// Which file it is, before the rest of it is looked at.
#[derive(Deserialize)]
struct Head {
    posthouse: String,
    version: u64,
}

fn parse<T: for<'de> Deserialize<'de>>(
    path: &Path,
    text: &str,
    kind: &str,
) -> Result<T, FileError> {
    let damaged = |_| FileError::Damaged {
        path: path.to_owned(),
    };
    let head: Head = serde_json::from_str(text).map_err(damaged)?;
    if head.posthouse == kind && head.version > VERSION {
        return Err(FileError::Version {
            path: path.to_owned(),
            found: head.version,
        });
    }
    if head.posthouse != kind {
        return Err(FileError::Damaged {
            path: path.to_owned(),
        });
    }
    serde_json::from_str(text).map_err(damaged)
}

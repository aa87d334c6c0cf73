//! The file that keeps a refresh token.
//!
//! JSON, written whole and atomically, readable by its owner alone:
//!
//! ```json
//! { "posthouse": "refresh token", "version": 1, "client_id": "…", "origin": "login", "refresh_token": "…" }
//! ```
//!
//! `origin` is `login`, or the SHA-256 in hexadecimal of the configured token that the kept one descends from: a token
//! that is configured anew begins anew. A version that is not known is an error, not a token.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::settings::RefreshToken;
use crate::durable::{self, Replacement};
use crate::secret::Secret;

/// Why a refresh token is not read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged, or none of ours.
    #[error("the file {path} is not understood")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the file.
    #[error("others can read the file {path} (mode {mode:03o})")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("the file {path} cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A newer posthouse has written the file.
    #[error("the file {path} has version {found}; this posthouse knows versions up to {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// The version that is written.
const VERSION: u32 = 1;

/// What tells the file from others.
const KIND: &str = "refresh token";

/// The largest file that is read, in octets.
const MAX_FILE: u64 = 64 << 10;

/// A refresh token that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The token.
    pub token: Secret,
    /// The program it was given to.
    pub client_id: String,
    /// Where it comes from.
    origin: String,
}

impl Stored {
    /// Makes one that a person gave by `posthouse upstream login`.
    pub fn by_login(token: Secret, client_id: &str) -> Self {
        Self {
            token,
            client_id: client_id.to_owned(),
            origin: LOGIN.to_owned(),
        }
    }

    /// Makes one that takes the place of another of the same grant.
    pub(super) fn successor(token: Secret, grant: &RefreshToken) -> Self {
        let origin = grant.configured.as_ref().map(fingerprint);
        Self {
            token,
            client_id: grant.client_id.clone(),
            origin: origin.unwrap_or_else(|| LOGIN.to_owned()),
        }
    }
}

const LOGIN: &str = "login";

/// Returns the refresh token to use: the kept one, but the configured one where the kept one does not descend from it.
pub(super) fn newest<'a>(
    grant: &'a RefreshToken,
    stored: Option<&'a Stored>,
) -> Option<&'a Secret> {
    let own = stored.filter(|stored| stored.client_id == grant.client_id);
    match &grant.configured {
        None => own.map(|stored| &stored.token),
        Some(configured) => {
            let heir = own.filter(|stored| stored.origin == fingerprint(configured));
            Some(heir.map_or(configured, |stored| &stored.token))
        }
    }
}

fn fingerprint(secret: &Secret) -> String {
    fingerprint_of(secret.expose())
}

fn fingerprint_of(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let mut text = String::with_capacity(64);
    for octet in digest.as_ref() {
        // Writing into memory does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// What changes when a file is written anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    inode: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            modified: metadata.modified().ok(),
        }
    }
}

#[derive(Deserialize)]
struct Body {
    posthouse: String,
    version: u32,
    client_id: String,
    origin: String,
    refresh_token: Secret,
}

#[derive(Deserialize)]
struct Head {
    posthouse: String,
    version: u32,
}

/// The folder of the files, below the data directory.
pub const FOLDER: &str = "tokens";

/// Returns the file in a folder that keeps the refresh token of an upstream, whatever its name.
pub fn token_file(folder: &Path, upstream: &str) -> PathBuf {
    let mut name = String::with_capacity(upstream.len() + EXTENSION.len());
    for octet in upstream.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(octet.into()),
            // Writing into memory does not fail.
            _ => drop(write!(name, "%{octet:02X}")),
        }
    }
    if name.len() > LONGEST_NAME {
        name = fingerprint_of(upstream);
    }
    folder.join(name + EXTENSION)
}

/// What stands behind the name.
const EXTENSION: &str = ".json";

/// File systems take 255 octets, and something stands behind the name.
const LONGEST_NAME: usize = 200;

/// The file of one refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store(PathBuf);

impl Store {
    /// Names the file; it need not exist.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the file; `None` where there is none. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<Option<Stored>, StoreError> {
        let file = match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|source| self.unusable(source))?,
        };
        let metadata = file.metadata().map_err(|source| self.unusable(source))?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o007 != 0 {
            let path = self.0.clone();
            return Err(StoreError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(String::new());
        let read = file.take(MAX_FILE).read_to_string(&mut text);
        read.map_err(|source| self.unusable(source))?;
        self.parse(&text).map(Some)
    }

    /// Replaces the file, durably. Makes its folder where it is missing. Blocks on the disk.
    ///
    /// A file that root writes belongs to whom its folder does, so that the server can read it.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old file is then still there.
    pub fn save(&self, stored: &Stored) -> Result<(), StoreError> {
        self.try_save(stored)
            .map_err(|source| self.unusable(source))
    }

    fn parse(&self, text: &str) -> Result<Stored, StoreError> {
        let damaged = || StoreError::Damaged {
            path: self.0.clone(),
        };
        let head: Head = serde_json::from_str(text).map_err(|_| damaged())?;
        if head.posthouse == KIND && head.version > VERSION {
            return Err(StoreError::Version {
                path: self.0.clone(),
                found: head.version,
            });
        }
        let body: Body = serde_json::from_str(text).map_err(|_| damaged())?;
        if body.posthouse != KIND || body.version == 0 || body.refresh_token.expose().is_empty() {
            return Err(damaged());
        }
        Ok(Stored {
            token: body.refresh_token,
            client_id: body.client_id,
            origin: body.origin,
        })
    }

    fn try_save(&self, stored: &Stored) -> io::Result<()> {
        let folder = durable::folder_of(&self.0);
        if !folder.is_dir() {
            durable::make_folder_of(&self.0)?;
            own_as(&File::open(folder)?, durable::folder_of(folder))?;
        }
        let text = Zeroizing::new(format!(
            "{:#}\n",
            json!({
                "posthouse": KIND,
                "version": VERSION,
                "client_id": stored.client_id,
                "origin": stored.origin,
                "refresh_token": stored.token.expose(),
            })
        ));
        let mut file = Replacement::begin(&self.0)?;
        own_as(file.file(), folder)?;
        file.write_all(text.as_bytes())?;
        file.finish().map(drop)
    }

    fn unusable(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            path: self.0.clone(),
            source,
        }
    }
}

/// Gives a file that root has made to the owner of a folder.
fn own_as(file: &File, folder: &Path) -> io::Result<()> {
    let (own, wanted) = (file.metadata()?, fs::metadata(folder)?);
    if own.uid() == 0 && wanted.uid() != 0 {
        fchown(file, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::oauth::Authentication;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn grant(configured: Option<&str>) -> RefreshToken {
        RefreshToken {
            client_id: "app".to_owned(),
            authentication: Authentication::None,
            scope: None,
            configured: configured.map(secret),
            file: PathBuf::new(),
            login: None,
        }
    }

    fn in_folder() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("tokens/office.json"));
        (folder, store)
    }

    #[test]
    fn what_is_saved_can_be_read_by_its_owner_alone() {
        let (folder, store) = in_folder();
        assert_eq!(store.load().unwrap(), None);
        for text in ["one", "two"] {
            let stored = Stored::by_login(secret(text), "app");
            store.save(&stored).unwrap();
            assert_eq!(store.load().unwrap(), Some(stored));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(store.path()), 0o600);
        assert_eq!(mode(store.path().parent().unwrap()), 0o700);
        let files = fs::read_dir(folder.path().join("tokens")).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_damaged_newer_or_exposed_is_no_token() {
        let (_folder, store) = in_folder();
        store.save(&Stored::by_login(secret("x"), "app")).unwrap();
        let text = fs::read_to_string(store.path()).unwrap();
        let replace = |text: &str| {
            let mut file = File::create(store.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        replace(&text.replace("\"version\": 1", "\"version\": 2"));
        assert!(matches!(
            store.load(),
            Err(StoreError::Version { found: 2, .. })
        ));
        for damaged in [
            "",
            "{}",
            text.get(..text.len() / 2).unwrap(),
            &text.replace("\"x\"", "\"\""),
        ] {
            replace(damaged);
            assert!(
                matches!(store.load(), Err(StoreError::Damaged { .. })),
                "{damaged}"
            );
        }
        replace(&text);
        fs::set_permissions(store.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Exposed { .. })));
    }

    #[test]
    fn every_upstream_has_a_file_of_its_own() {
        let file = |name: &str| token_file(Path::new("tokens"), name);
        assert_eq!(file("office"), Path::new("tokens/office.json"));
        assert_eq!(file("../a"), Path::new("tokens/%2E%2E%2Fa.json"));
        let long = file(&"x".repeat(255));
        assert_eq!(long.file_name().unwrap().len(), 64 + ".json".len());
        assert_ne!(long, file(&"y".repeat(255)));
    }

    #[test]
    fn a_token_configured_anew_begins_anew() {
        let first = grant(Some("one"));
        let stored = Stored::successor(secret("rotated"), &first);
        let newest = |grant: &RefreshToken| newest(grant, Some(&stored)).cloned();
        assert_eq!(newest(&first), Some(secret("rotated")));
        assert_eq!(newest(&grant(Some("two"))), Some(secret("two")));
    }

    #[test]
    fn a_token_of_another_program_is_not_used() {
        let stored = Stored::by_login(secret("x"), "other");
        assert_eq!(newest(&grant(None), Some(&stored)), None);
        assert_eq!(newest(&grant(None), None), None);
        let own = Stored::by_login(secret("x"), "app");
        assert_eq!(newest(&grant(None), Some(&own)), Some(&secret("x")));
    }
}

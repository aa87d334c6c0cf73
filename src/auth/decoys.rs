//! What SCRAM shows of names that nobody can log in with.
//!
//! The first answer of SCRAM has the salt of the account. A name that is nobody's gets one too, made of the name and a
//! secret. It must stay the same: a salt that is another one after a restart, or at another server of the same accounts,
//! would tell that the name is nobody's. So the secret is kept in a file:
//!
//! ```text
//! posthouse scram-decoys 1
//! mrPl3jkyxeSxqP0vuKPdnvyTGxd0Khpe3uhdvzJlzhk=
//! ```

use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::scram::ScramVerifier;
use crate::durable;
use crate::identity::folded;

/// The file in the data directory.
pub const DECOYS_FILE: &str = "scram-decoys";

/// The first line of the file.
const HEAD: &str = "posthouse scram-decoys 1\n";

/// The secret that these verifiers are made of.
pub struct Decoys(hmac::Key);

impl Decoys {
    /// Makes a secret that is forgotten with the process.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn random() -> Result<Self, getrandom::Error> {
        secret().map(|secret| Self::of(&*secret))
    }

    /// Reads the secret of a file, which is made, readable by its owner alone, where there is none. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read or written, or is none of ours.
    pub fn kept_in(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = secret().map_err(io::Error::other)?;
                let text = Zeroizing::new(format!("{HEAD}{}\n", STANDARD.encode(*secret)));
                durable::replace(path, text.as_bytes())?;
                return Ok(Self::of(&*secret));
            }
            Err(error) => return Err(error),
        };
        let secret = text.strip_prefix(HEAD).and_then(|secret| {
            let octets = Zeroizing::new(STANDARD.decode(secret.trim_end()).ok()?);
            (octets.len() == LENGTH).then_some(octets)
        });
        let secret = secret.ok_or_else(|| io::Error::other("it is no secret of ours"))?;
        Ok(Self::of(&secret))
    }

    fn of(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Returns what is shown of a name, in any letter case: a verifier that nobody has the password of.
    pub(super) fn verifier(&self, name: &str, iterations: Option<u32>) -> ScramVerifier {
        ScramVerifier::decoy(&folded(name), &self.0, iterations)
    }

    /// Returns a number that a name keeps, in any letter case, and nobody else can compute; see
    /// [`Costs`](super::costs::Costs).
    pub(super) fn chance(&self, name: &str) -> u64 {
        let signed = hmac::sign(&self.0, format!("cost of {}", folded(name)).as_bytes());
        let octets = signed.as_ref().first_chunk();
        octets.copied().map_or(0, u64::from_be_bytes)
    }
}

/// Octets of the secret.
const LENGTH: usize = 32;

fn secret() -> Result<Zeroizing<[u8; LENGTH]>, getrandom::Error> {
    let mut secret = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn salt(decoys: &Decoys, name: &str) -> Vec<u8> {
        decoys.verifier(name, None).salt().to_vec()
    }

    #[test]
    fn a_name_that_is_nobodys_has_the_same_salt_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DECOYS_FILE);
        let (before, after) = (
            Decoys::kept_in(&path).unwrap(),
            Decoys::kept_in(&path).unwrap(),
        );
        assert_eq!(salt(&before, "nobody"), salt(&after, "Nobody"));
        assert_ne!(salt(&before, "nobody"), salt(&before, "nobody2"));
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let other = Decoys::random().unwrap();
        assert_ne!(salt(&before, "nobody"), salt(&other, "nobody"));
    }

    #[test]
    fn a_foreign_or_damaged_file_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DECOYS_FILE);
        for text in ["", "something else\n", HEAD, &format!("{HEAD}c2hvcnQ=\n")] {
            durable::replace(&path, text.as_bytes()).unwrap();
            assert!(Decoys::kept_in(&path).is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}

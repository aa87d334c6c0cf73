//! Password hashes: argon2id as a PHC string, and passwords that are made for people.

use std::fmt;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::secret::Secret;

/// The largest memory a hash may ask for, in KiB. A hash in a file must not be able to exhaust the machine.
const MAX_MEMORY: u32 = 256 * 1024;

/// The most passes a hash may ask for.
const MAX_PASSES: u32 = 16;

/// The most lanes a hash may ask for.
const MAX_LANES: u32 = 16;

/// The letters of generated passwords: 32, so that each carries five bits; none that is mistaken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnopqrstuvwxyz23456789";

/// Why a text is not a password hash, or a password could not be hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// Not argon2id, or not its version 19.
    #[error("the hash is not argon2id version 19")]
    Algorithm,
    /// The password is empty or has a NUL.
    #[error("a password is not empty and has no NUL")]
    Content,
    /// Not of the form of a PHC string.
    #[error("this is no argon2id hash")]
    Form,
    /// There is not enough memory to compute it.
    #[error("there is not enough memory to compute the hash")]
    Memory,
    /// Parameters outside of what is accepted.
    #[error("the parameters of the hash are out of range")]
    Parameters,
}

/// A checked argon2id hash (RFC 9106) in the form of a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
///
/// Equal when the strings are. `Debug` does not show it.
#[derive(Clone, Eq)]
pub struct PasswordHash {
    phc: Arc<str>,
    params: Params,
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

impl PasswordHash {
    /// Parses a PHC string.
    ///
    /// # Errors
    /// [`PasswordError::Form`], [`PasswordError::Algorithm`], or [`PasswordError::Parameters`] where it asks for
    /// more than 256 MiB, 16 passes or 16 lanes, or its digest is shorter than 16 or longer than 64 octets.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let parsed = argon2::PasswordHash::new(text).map_err(|_| PasswordError::Form)?;
        if parsed.algorithm != argon2::ARGON2ID_IDENT || parsed.version != Some(0x13) {
            return Err(PasswordError::Algorithm);
        }
        let (Some(salt), Some(digest)) = (&parsed.salt, &parsed.hash) else {
            return Err(PasswordError::Form);
        };
        let params = Params::try_from(&parsed).map_err(|_| PasswordError::Parameters)?;
        let is_bounded = params.m_cost() <= MAX_MEMORY
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES
            && (16..=64).contains(&digest.len());
        if !is_bounded || !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(PasswordError::Parameters);
        }
        Ok(Self {
            phc: text.into(),
            params,
            salt: AsRef::<[u8]>::as_ref(salt).into(),
            digest: digest.as_bytes().into(),
        })
    }

    /// Returns the PHC string, for the accounts file.
    pub fn as_str(&self) -> &str {
        &self.phc
    }

    /// Returns a hash that no known password has, and that costs as much to check as `self`.
    pub(super) fn decoy(&self) -> Self {
        Self {
            phc: Arc::from("$decoy"),
            params: self.params.clone(),
            salt: Box::from([0x5a; 16]),
            digest: vec![0; self.digest.len()].into(),
        }
    }

    /// Returns what the cost of checking depends on.
    pub(super) fn cost(&self) -> (u32, u32, u32) {
        (
            self.params.m_cost(),
            self.params.t_cost(),
            self.params.p_cost(),
        )
    }

    /// Returns whether `password` has this hash, in 12 to 30 ms of CPU for the default parameters.
    ///
    /// `memory` grows to what the hash needs and can be used again.
    ///
    /// # Errors
    /// [`PasswordError::Memory`]: nothing is known about the password.
    pub(super) fn matches(
        &self,
        password: &Secret,
        memory: &mut Vec<Block>,
    ) -> Result<bool, PasswordError> {
        let mut digest = vec![0; self.digest.len()];
        compute(&self.params, password, &self.salt, &mut digest, memory)?;
        Ok(
            aws_lc_rs::constant_time::verify_slices_are_equal(&digest, &self.digest).is_ok()
                && !password.expose().is_empty(),
        )
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.phc == other.phc
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Hashes a password with argon2id: 19 MiB, two passes, one lane. Takes 12 to 30 ms of CPU.
///
/// `salt` must be fresh from the system's random generator.
///
/// # Errors
/// [`PasswordError::Content`] for an empty password or one with a NUL; [`PasswordError::Memory`].
pub fn hash_password(password: &Secret, salt: [u8; 16]) -> Result<PasswordHash, PasswordError> {
    if password.expose().is_empty() || password.expose().contains('\0') {
        return Err(PasswordError::Content);
    }
    let params = Params::DEFAULT;
    let mut digest = [0; Params::DEFAULT_OUTPUT_LEN];
    compute(&params, password, &salt, &mut digest, &mut Vec::new())?;
    PasswordHash::parse(&format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        params.m_cost(),
        params.t_cost(),
        params.p_cost(),
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(digest),
    ))
}

/// Makes a password of groups of five letters and digits: four groups, with 100 bits of chance, for 20 octets.
///
/// `chance` must be fresh from the system's random generator.
pub fn generate_password<const N: usize>(chance: [u8; N]) -> Secret {
    let mut password = String::with_capacity(N + N / 5);
    for (index, octet) in chance.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            password.push('-');
        }
        let letter = LETTERS.get(usize::from(octet % 32)).copied();
        password.extend(letter.map(char::from));
    }
    Secret::new(password)
}

fn compute(
    params: &Params,
    password: &Secret,
    salt: &[u8],
    digest: &mut [u8],
    memory: &mut Vec<Block>,
) -> Result<(), PasswordError> {
    let missing = params.block_count().saturating_sub(memory.len());
    memory
        .try_reserve_exact(missing)
        .map_err(|_| PasswordError::Memory)?;
    memory.resize(memory.len() + missing, Block::new());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.expose().as_bytes(), salt, digest, memory)
        .map_err(|_| PasswordError::Parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_hash_accepts_its_password_and_no_other() {
        let hash = hash_password(&secret("correct horse"), [7; 16]).unwrap();
        let mut memory = Vec::new();
        assert_eq!(
            hash.matches(&secret("correct horse"), &mut memory),
            Ok(true)
        );
        assert_eq!(
            hash.matches(&secret("correct horse "), &mut memory),
            Ok(false)
        );
        assert_eq!(hash.matches(&secret(""), &mut memory), Ok(false));
    }

    #[test]
    fn a_hash_is_written_with_its_parameters() {
        let hash = hash_password(&secret("x"), [7; 16]).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(PasswordHash::parse(hash.as_str()), Ok(hash));
    }

    #[test]
    fn a_hash_of_another_program_is_accepted() {
        // Made by argon2-cffi 25.1.
        let hash = PasswordHash::parse(
            "$argon2id$v=19$m=4096,t=3,p=2$c29tZXNhbHRzb21lc2FsdA$j7GNeatzD+7sLhwL19DDTL1CJ+RiY3qk",
        )
        .unwrap();
        assert_eq!(
            hash.matches(&secret("correct horse battery staple"), &mut Vec::new()),
            Ok(true)
        );
    }

    #[test]
    fn what_is_no_argon2id_hash_is_refused() {
        let digest = STANDARD_NO_PAD.encode([1; 32]);
        let salt = STANDARD_NO_PAD.encode([2; 16]);
        let of = |head: &str| PasswordHash::parse(&format!("{head}${salt}${digest}"));
        assert_eq!(
            PasswordHash::parse("hunter2"),
            Err(PasswordError::Form),
            "a password in plain text"
        );
        assert_eq!(
            of("$argon2i$v=19$m=19456,t=2,p=1"),
            Err(PasswordError::Algorithm)
        );
        assert_eq!(
            of("$argon2id$v=16$m=19456,t=2,p=1"),
            Err(PasswordError::Algorithm)
        );
        assert_eq!(
            of("$argon2id$v=19$m=4000000,t=2,p=1"),
            Err(PasswordError::Parameters)
        );
        assert!(of("$argon2id$v=19$m=19456,t=2,p=1").is_ok());
        // One with so short a salt cannot be computed: every login would hear 454.
        let salt = STANDARD_NO_PAD.encode([2; 7]);
        assert_eq!(
            PasswordHash::parse(&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${digest}")),
            Err(PasswordError::Form)
        );
    }

    #[test]
    fn a_hash_does_not_print() {
        let hash = hash_password(&secret("x"), [7; 16]).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(***)");
    }

    #[test]
    fn a_generated_password_has_four_groups_of_unambiguous_letters() {
        let password =
            generate_password::<20>(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        assert_eq!(password.expose(), "abcde-fghjk-mnopq-rstuv");
    }

    #[test]
    fn every_letter_of_a_generated_password_is_equally_likely() {
        let distinct: std::collections::BTreeSet<_> = LETTERS.iter().collect();
        assert_eq!(distinct.len(), 32);
    }

    #[test]
    fn an_empty_password_cannot_be_set() {
        assert_eq!(
            hash_password(&secret(""), [0; 16]),
            Err(PasswordError::Content)
        );
        assert_eq!(
            hash_password(&secret("a\0b"), [0; 16]),
            Err(PasswordError::Content)
        );
    }
}

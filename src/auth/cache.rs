//! Successful checks, remembered for a short time.
//!
//! Kept are keyed digests of name, hash and password together, under a key that never leaves the process: reading
//! the memory gives no password, and a changed hash makes the old entries unreachable.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::password::PasswordHash;
use crate::secret::Secret;

/// Stands for a name, a hash and a password.
pub(super) type Digest = [u8; 32];

/// A bounded set of digests with an end.
pub(super) struct Cache {
    key: hmac::Key,
    lifetime: Duration,
    /// Entries of one generation; there are two.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Instant>,
    old: HashMap<Digest, Instant>,
}

impl Cache {
    /// Makes an empty cache for up to `entries` successes, each valid for `lifetime`.
    pub(super) fn new(key: &[u8; 32], entries: usize, lifetime: Duration) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            lifetime,
            capacity: entries.div_ceil(2),
            generations: Mutex::default(),
        }
    }

    /// Returns the digest of a login. No part can run over into the next: none holds a NUL.
    pub(super) fn digest(&self, name: &str, hash: &PasswordHash, password: &Secret) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name, hash.as_str(), password.expose()] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let mut digest = Digest::default();
        for (octet, signed) in digest.iter_mut().zip(context.sign().as_ref()) {
            *octet = *signed;
        }
        digest
    }

    /// Returns whether the login succeeded within the lifetime before `now`.
    pub(super) fn has(&self, digest: &Digest, now: Instant) -> bool {
        let generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since = generations
            .young
            .get(digest)
            .or_else(|| generations.old.get(digest));
        since.is_some_and(|since| now.saturating_duration_since(*since) < self.lifetime)
    }

    /// Remembers a success. The eldest half is forgotten when there are too many.
    pub(super) fn insert(&self, digest: Digest, now: Instant) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(digest, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hash_password;
    use crate::clock::{Clock, SystemClock};

    const LIFETIME: Duration = Duration::from_mins(5);

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn cache(entries: usize) -> (Cache, Instant) {
        (
            Cache::new(&[9; 32], entries, LIFETIME),
            SystemClock.instant(),
        )
    }

    #[test]
    fn a_success_is_remembered_until_its_end() {
        let (cache, now) = cache(8);
        cache.insert([1; 32], now);
        assert!(cache.has(
            &[1; 32],
            now + LIFETIME.saturating_sub(Duration::from_secs(1))
        ));
        assert!(!cache.has(&[1; 32], now + LIFETIME));
        assert!(!cache.has(&[2; 32], now));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let (cache, now) = cache(8);
        for number in 0..100 {
            cache.insert([number; 32], now);
        }
        let kept = (0..100).filter(|n| cache.has(&[*n; 32], now)).count();
        assert!((4..=8).contains(&kept), "{kept}");
        assert!(cache.has(&[99; 32], now));
    }

    #[test]
    fn name_hash_and_password_all_count() {
        let (cache, _) = cache(8);
        let (one, two) = (
            hash_password(&secret("x"), [1; 16]).unwrap(),
            hash_password(&secret("x"), [2; 16]).unwrap(),
        );
        let digest = cache.digest("a", &one, &secret("x"));
        assert_eq!(digest, cache.digest("a", &one, &secret("x")));
        assert_ne!(digest, cache.digest("b", &one, &secret("x")));
        assert_ne!(digest, cache.digest("a", &two, &secret("x")));
        assert_ne!(digest, cache.digest("a", &one, &secret("y")));
    }

    #[test]
    fn another_process_makes_other_digests() {
        let hash = hash_password(&secret("x"), [1; 16]).unwrap();
        let digest = |key| Cache::new(&[key; 32], 1, LIFETIME).digest("a", &hash, &secret("x"));
        assert_ne!(digest(1), digest(2));
    }
}

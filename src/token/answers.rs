//! Answers about opaque tokens, kept for a short time under the digest of the token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};

use super::claims::Bearer;
use super::refusal::Refusal;

/// Stands for a token. Tokens have too much chance in them for one to be found by its digest.
pub(super) type Digest = [u8; 32];

/// What is known of a token.
pub(super) type Known = Result<Bearer, Refusal>;

/// Answers in one generation; there are two.
const CAPACITY: usize = 5_000;

/// A bounded memory of answers.
#[derive(Default)]
pub(super) struct Answers(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, (Known, Instant)>,
    old: HashMap<Digest, (Known, Instant)>,
}

impl Answers {
    /// Returns the digest of a token.
    pub(super) fn digest(token: &str) -> Digest {
        let mut octets = Digest::default();
        for (octet, own) in octets
            .iter_mut()
            .zip(digest(&SHA256, token.as_bytes()).as_ref())
        {
            *octet = *own;
        }
        octets
    }

    /// Returns what is known of a token at `now`.
    pub(super) fn get(&self, digest: &Digest, now: Instant) -> Option<Known> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(digest);
        let (known, until) = found.or_else(|| generations.old.get(digest))?;
        (now < *until).then(|| known.clone())
    }

    /// Keeps an answer until `until`. The eldest half is forgotten when there are too many.
    pub(super) fn put(&self, digest: Digest, known: Known, until: Instant) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= CAPACITY {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(digest, (known, until));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn an_answer_is_kept_until_its_end() {
        let (answers, now) = (Answers::default(), SystemClock.instant());
        let one = Answers::digest("one");
        answers.put(one, Err(Refusal::Inactive), now + Duration::from_secs(9));
        assert_eq!(answers.get(&one, now), Some(Err(Refusal::Inactive)));
        assert_eq!(answers.get(&one, now + Duration::from_secs(9)), None);
        assert_eq!(answers.get(&Answers::digest("two"), now), None);
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        let (answers, now) = (Answers::default(), SystemClock.instant());
        let end = now + Duration::from_secs(9);
        for number in 0..3 * CAPACITY {
            let digest = Answers::digest(&number.to_string());
            answers.put(digest, Err(Refusal::Inactive), end);
        }
        let generations = answers.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * CAPACITY);
    }
}

//! The keys of one issuer: fetched when they are needed, kept, and fetched again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use url::Url;

use super::keys::KeySet;
use super::settings::KeySource;
use crate::clock::Clock;
use crate::http::{Answer, Client, HttpError, Request};

/// How long keys count whose lifetime is not told, and between which bounds it is taken.
const LIFETIME: Duration = Duration::from_hours(1);
const SHORTEST: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(24);

/// How long keys are used after their lifetime, while the issuer does not answer.
const STALE: Duration = Duration::from_hours(24);

/// How long nobody asks again after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How long nobody asks again after a success, however many tokens name keys that are not there.
const AFTER_SUCCESS: Duration = Duration::from_secs(30);

/// How long an answer may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyringError {
    /// An answer that is not understood.
    #[error("the issuer's keys are not understood")]
    Content,
    /// No answer.
    #[error("the issuer does not answer")]
    Http(#[source] HttpError),
    /// The metadata is of another issuer (`OpenID` Connect Discovery 1.0 §4.3).
    #[error("the metadata names another issuer")]
    Issuer,
    /// It failed a moment ago.
    #[error("the issuer's keys could not be fetched a moment ago")]
    Pause,
    /// An answer that is a failure.
    #[error("the issuer answers with status {0}")]
    Status(u16),
}

/// The keys of one issuer.
pub(super) struct Keyring {
    name: String,
    issuer: String,
    source: KeySource,
    client: Client,
    clock: Arc<dyn Clock>,
    /// One asks at a time.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// When somebody asked last, and whether that failed.
    asked: Option<(Instant, bool)>,
}

struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
    lifetime: Duration,
}

/// What the keys that are kept are good for.
enum Standing {
    /// They count.
    Good(Arc<KeySet>),
    /// They count; others should be fetched.
    Ageing(Arc<KeySet>),
    /// There are none that count.
    Missing,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Keyring {
    /// Makes one without keys. Asks nobody.
    pub(super) fn new(
        (name, issuer): (&str, &str),
        source: KeySource,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            source,
            client,
            clock,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Returns the keys: those that are kept, or new ones. Where the issuer does not answer, those that are kept count
    /// for a day more.
    ///
    /// # Errors
    /// [`KeyringError`] where there are none. Cancel safe.
    pub(super) async fn keys(&self) -> Result<Arc<KeySet>, KeyringError> {
        match self.standing() {
            Standing::Good(keys) => Ok(keys),
            Standing::Ageing(keys) => {
                // Somebody else who is at it is not waited for.
                let Ok(_turn) = self.turn.try_lock() else {
                    return Ok(keys);
                };
                Ok(self.ask().await.unwrap_or(keys))
            }
            Standing::Missing => {
                let _turn = self.turn.lock().await;
                match self.standing() {
                    Standing::Good(keys) | Standing::Ageing(keys) => Ok(keys),
                    Standing::Missing => self.ask().await,
                }
            }
        }
    }

    /// Returns other keys than `known`, in which one was missing; `None` where there are none since the issuer was asked
    /// a moment ago.
    ///
    /// # Errors
    /// [`KeyringError`]. Cancel safe.
    pub(super) async fn others(
        &self,
        known: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, KeyringError> {
        let _turn = self.turn.lock().await;
        if let Standing::Good(keys) | Standing::Ageing(keys) = self.standing()
            && !Arc::ptr_eq(&keys, known)
        {
            return Ok(Some(keys));
        }
        if matches!(self.pause(), Some(HasFailed::No)) {
            return Ok(None);
        }
        self.ask().await.map(Some)
    }

    fn standing(&self) -> Standing {
        let now = self.clock.instant();
        let state = self.state();
        let Some(kept) = &state.kept else {
            return Standing::Missing;
        };
        let age = now.saturating_duration_since(kept.since);
        if age >= kept.lifetime + STALE {
            Standing::Missing
        } else if age >= kept.lifetime * 3 / 4 && pause(&state, now).is_none() {
            Standing::Ageing(Arc::clone(&kept.keys))
        } else {
            Standing::Good(Arc::clone(&kept.keys))
        }
    }

    fn pause(&self) -> Option<HasFailed> {
        pause(&self.state(), self.clock.instant())
    }

    /// Asks the issuer, unless it failed a moment ago. The caller has the turn.
    async fn ask(&self) -> Result<Arc<KeySet>, KeyringError> {
        if matches!(self.pause(), Some(HasFailed::Yes)) {
            return Err(KeyringError::Pause);
        }
        let fetched = self.fetch().await;
        let now = self.clock.instant();
        let mut state = self.state();
        state.asked = Some((now, fetched.is_err()));
        match fetched {
            Ok((keys, lifetime)) => {
                let keys = Arc::new(keys);
                state.kept = Some(Kept {
                    keys: Arc::clone(&keys),
                    since: now,
                    lifetime,
                });
                Ok(keys)
            }
            Err(error) => {
                let text = crate::telemetry::chain(&error);
                tracing::warn!(
                    issuer = self.name,
                    error = text,
                    "keys of tokens not fetched"
                );
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<(KeySet, Duration), KeyringError> {
        let url = match &self.source {
            KeySource::Fixed(url) => url.clone(),
            KeySource::Discovered(url) => self.discover(url).await?,
        };
        let answer = self.get(url).await?;
        let keys = KeySet::parse(&answer.body).ok_or(KeyringError::Content)?;
        Ok((keys, lifetime(answer.header("cache-control"))))
    }

    async fn discover(&self, url: &Url) -> Result<Url, KeyringError> {
        let answer = self.get(url.clone()).await?;
        let metadata: Metadata =
            serde_json::from_slice(&answer.body).map_err(|_| KeyringError::Content)?;
        if metadata.issuer != self.issuer {
            return Err(KeyringError::Issuer);
        }
        Url::parse(&metadata.jwks_uri).map_err(|_| KeyringError::Content)
    }

    async fn get(&self, url: Url) -> Result<Answer, KeyringError> {
        let answer = self.client.send(Request::get(url), LIMIT).await;
        let answer = answer.map_err(KeyringError::Http)?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(KeyringError::Status(answer.status))
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the last question failed, after which nobody asks for a while.
#[derive(Clone, Copy)]
enum HasFailed {
    No,
    Yes,
}

/// Returns what came of the last question, while nobody asks again.
fn pause(state: &State, now: Instant) -> Option<HasFailed> {
    let (at, has_failed) = state.asked?;
    let (pause, outcome) = if has_failed {
        (AFTER_FAILURE, HasFailed::Yes)
    } else {
        (AFTER_SUCCESS, HasFailed::No)
    };
    (now.saturating_duration_since(at) < pause).then_some(outcome)
}

/// Returns how long keys count, from `Cache-Control` (RFC 9111 §5.2.2.1).
fn lifetime(cache_control: Option<&str>) -> Duration {
    let mut directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let seconds = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("max-age");
        is_it.then(|| value.trim().trim_matches('"').parse().ok())?
    });
    seconds
        .map_or(LIFETIME, Duration::from_secs)
        .clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_of_keys_is_that_of_the_answer_within_bounds() {
        let rows = [
            (None, 3600),
            (Some("no-cache"), 3600),
            (Some("public, max-age=7200, must-revalidate"), 7200),
            (Some("Max-Age = \"7200\""), 7200),
            (Some("max-age=0"), 300),
            (Some("max-age=31536000"), 86_400),
            (Some("max-age=soon"), 3600),
        ];
        for (text, seconds) in rows {
            assert_eq!(lifetime(text), Duration::from_secs(seconds), "{text:?}");
        }
    }
}

//! Tokens that are kept, and asked for when they are needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::OwnedMutexGuard;
use tokio_util::task::TaskTracker;

use super::answer::{self, Granted};
use super::request::{self, Moment};
use super::settings::{Grant, RefreshToken, Settings};
use super::store::{self, Stamp, Store, Stored};
use super::{AccessToken, TokenError, TokenSource};
use crate::clock::Clock;
use crate::http::{Answer, Client, HttpError, Request};
use crate::secret::Secret;
use crate::telemetry::{chain, printable};

/// The token of one grant, asked for at its token endpoint and kept.
///
/// It is renewed by whoever needs it in the last sixth of its life, while others go on with the one that is kept. How
/// early exactly differs from token to token, so that many programs do not ask at once.
///
/// A request that has begun goes to its end, even if nobody waits any more: it may have replaced a refresh token, and
/// what replaces it must be stored.
pub struct Tokens {
    inner: Arc<Inner>,
    tasks: TaskTracker,
}

struct Inner {
    settings: Settings,
    client: Client,
    clock: Arc<dyn Clock>,
    /// Held by the one request that is made.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    failed: Option<Failed>,
    /// Failures since the last success.
    failures: u32,
    /// A refresh token that could not be stored.
    unsaved: Option<Secret>,
}

struct Kept {
    token: AccessToken,
    since: Instant,
    renew: Instant,
    end: Instant,
}

/// A failure that is remembered.
struct Failed {
    error: TokenError,
    until: Instant,
    /// The file of the refresh token as it was then.
    stamp: Option<Stamp>,
}

/// What is known without a request.
enum Known {
    /// It has a while to live.
    Fresh(AccessToken),
    /// It is good yet, and should be renewed.
    Ageing(AccessToken),
    Failed(TokenError, Option<Stamp>),
    Nothing,
}

/// For a request and its answer.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The longest time before its end that a token is renewed, without the spread.
const LONGEST_MARGIN: Duration = Duration::from_mins(10);

/// A token is not used in the last minute of its life: it must still be good when the server looks at it.
const LAST: Duration = Duration::from_mins(1);

/// A token younger than this that is refused is refused for another reason than its age.
const YOUNG: Duration = Duration::from_mins(1);

/// How long the first failure is remembered; twice as long each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// How long a failure is remembered at most, unless the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(15);

impl Tokens {
    /// Makes a source. Asks for nothing yet.
    pub fn new(settings: Settings, client: Client, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            settings,
            client,
            clock,
            turn: Arc::default(),
            state: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            tasks: TaskTracker::new(),
        }
    }

    /// Asks for a token while holding the turn.
    async fn renew(&self, turn: OwnedMutexGuard<()>) -> Result<AccessToken, TokenError> {
        let inner = Arc::clone(&self.inner);
        let asking = self.tasks.spawn(async move {
            let renewed = inner.renew().await;
            drop(turn);
            renewed
        });
        let ended = asking.await;
        ended.unwrap_or_else(|_| Err(TokenError::temporary("the request for a token ended early")))
    }
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        match self.inner.known_now().await {
            Known::Fresh(token) => return Ok(token),
            Known::Failed(error, _) => return Err(error),
            Known::Ageing(token) => {
                let Ok(turn) = Arc::clone(&self.inner.turn).try_lock_owned() else {
                    return Ok(token);
                };
                // Somebody may have renewed it a moment ago.
                if let Known::Fresh(token) = self.inner.known() {
                    return Ok(token);
                }
                return Ok(self.renew(turn).await.unwrap_or(token));
            }
            Known::Nothing => {}
        }
        let turn = Arc::clone(&self.inner.turn).lock_owned().await;
        match self.inner.known_now().await {
            Known::Fresh(token) | Known::Ageing(token) => Ok(token),
            Known::Failed(error, _) => Err(error),
            Known::Nothing => self.renew(turn).await,
        }
    }

    fn reject(&self, token: &AccessToken) {
        let now = self.inner.clock.instant();
        let mut state = self.inner.state();
        let is_stale = |kept: &Kept| {
            kept.token == *token && now.saturating_duration_since(kept.since) >= YOUNG
        };
        if state.kept.as_ref().is_some_and(is_stale) {
            state.kept = None;
        }
    }

    fn kept(&self) -> Option<AccessToken> {
        let state = self.inner.state();
        state.kept.as_ref().map(|kept| kept.token.clone())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known, without touching the disk.
    fn known(&self) -> Known {
        let now = self.clock.instant();
        let state = self.state();
        let failed = state.failed.as_ref().filter(|failed| now < failed.until);
        match (&state.kept, failed) {
            (Some(kept), None) if now >= kept.renew && now < kept.end => {
                Known::Ageing(kept.token.clone())
            }
            (Some(kept), _) if now < kept.end => Known::Fresh(kept.token.clone()),
            (_, Some(failed)) => Known::Failed(failed.error.clone(), failed.stamp),
            (_, None) => Known::Nothing,
        }
    }

    /// Returns what is known. A failure is forgotten when somebody has logged in since.
    async fn known_now(&self) -> Known {
        let known = self.known();
        if let (Known::Failed(_, stamp), Grant::RefreshToken(grant)) =
            (&known, &self.settings.grant)
            && *stamp != stamp_of(grant).await
        {
            return Known::Nothing;
        }
        known
    }

    /// Asks for a token, and remembers what comes of it.
    async fn renew(&self) -> Result<AccessToken, TokenError> {
        let stamp = match &self.settings.grant {
            Grant::RefreshToken(grant) => stamp_of(grant).await,
            Grant::ClientCredentials(_) | Grant::ServiceAccount { .. } => None,
        };
        let asked = self.ask().await;
        let host = self.settings.token_url.host_str().unwrap_or_default();
        match asked {
            Ok(granted) => {
                tracing::debug!(
                    host,
                    lifetime = granted.lifetime.as_secs(),
                    "access token received"
                );
                let token = granted.token.clone();
                self.keep(granted);
                Ok(token)
            }
            Err(error) => {
                tracing::debug!(host, error = %error, "no access token");
                self.remember(error.clone(), stamp);
                Err(error)
            }
        }
    }

    fn keep(&self, granted: Granted) {
        let now = self.clock.instant();
        let (renew, end) = life(&granted);
        let mut state = self.state();
        state.failed = None;
        state.failures = 0;
        state.kept = Some(Kept {
            token: granted.token,
            since: now,
            renew: now + renew,
            end: now + end,
        });
    }

    fn remember(&self, error: TokenError, stamp: Option<Stamp>) {
        let now = self.clock.instant();
        let mut state = self.state();
        let own = FIRST_PAUSE * 2_u32.saturating_pow(state.failures.min(10));
        let asked = match &error {
            TokenError::Temporary { pause, .. } => pause.unwrap_or_default(),
            TokenError::Unusable(_) => Duration::ZERO,
        };
        let pause = own.min(LONGEST_PAUSE).max(asked.min(LONGEST_ASKED));
        state.failures = state.failures.saturating_add(1);
        state.failed = Some(Failed {
            error,
            until: now + pause,
            stamp,
        });
    }

    async fn ask(&self) -> Result<Granted, TokenError> {
        let refresh = match &self.settings.grant {
            Grant::RefreshToken(grant) => Some((grant, self.refresh_token(grant).await?)),
            Grant::ClientCredentials(_) | Grant::ServiceAccount { .. } => None,
        };
        let moment = Moment::new(self.clock.now())?;
        let token = refresh.as_ref().map(|(_, token)| token);
        let request = request::access_token(&self.settings, token, &moment)
            .map_err(|error| TokenError::Unusable(error.to_string().into()))?;
        let answer = post(&self.client, request).await?;
        let granted = answer::access_token(&answer, answer.retry_after(self.clock.now()))?;
        if let (Some((grant, old)), Some(new)) = (refresh, &granted.refresh)
            && old != *new
        {
            self.replace_refresh_token(grant, new.clone()).await;
        }
        Ok(granted)
    }

    /// Returns the newest refresh token.
    async fn refresh_token(&self, grant: &RefreshToken) -> Result<Secret, TokenError> {
        let unsaved = self.state().unsaved.clone();
        if let Some(token) = unsaved {
            self.replace_refresh_token(grant, token.clone()).await;
            return Ok(token);
        }
        let store = Store::new(&grant.file);
        let loaded = tokio::task::spawn_blocking(move || store.load()).await;
        let loaded = loaded.map_err(|_| TokenError::temporary("the stored token was not read"))?;
        let stored = loaded.map_err(|error| TokenError::Unusable(printable(&chain(&error))))?;
        let newest = store::newest(grant, stored.as_ref()).cloned();
        newest.ok_or_else(|| {
            TokenError::Unusable(
                "nobody has given the permission yet, or for another `client_id`: run `posthouse upstream login`"
                    .into(),
            )
        })
    }

    /// Stores a refresh token; keeps it in memory until that succeeds.
    async fn replace_refresh_token(&self, grant: &RefreshToken, token: Secret) {
        let stored = Stored::successor(token.clone(), grant);
        let store = Store::new(&grant.file);
        let saved = tokio::task::spawn_blocking(move || store.save(&stored)).await;
        let problem = match saved {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &problem {
            tracing::error!(error, "refresh token not stored; a restart would lose it");
        }
        self.state().unsaved = problem.map(|_| token);
    }
}

async fn stamp_of(grant: &RefreshToken) -> Option<Stamp> {
    let metadata = tokio::fs::metadata(&grant.file).await;
    metadata.ok().as_ref().map(Stamp::of)
}

/// Posts a request; a second time where a kept connection broke under it. To ask twice for a token does no harm.
async fn post(client: &Client, request: Request) -> Result<Answer, TokenError> {
    let sent = match client.send(request.clone(), LIMIT).await {
        Err(HttpError::Broken { .. }) => client.send(request, LIMIT).await,
        sent => sent,
    };
    sent.map_err(TokenError::from)
}

/// Returns after what time a token is renewed, and after what time it is not used any more.
fn life(granted: &Granted) -> (Duration, Duration) {
    let whole = granted.lifetime;
    let end = whole.saturating_sub(LAST.min(whole / 10));
    let margin = LONGEST_MARGIN.min(whole / 6);
    let spread = margin / 2;
    let chance = digest(&SHA256, granted.token.expose().as_bytes());
    let chance = chance.as_ref().first().copied().unwrap_or_default();
    let early = margin + spread * u32::from(chance) / u32::from(u8::MAX);
    let renew = whole.saturating_sub(early);
    (renew.min(end), end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(text: &str, lifetime: Duration) -> Granted {
        Granted {
            token: AccessToken::new(Secret::new(text.to_owned())),
            lifetime,
            refresh: None,
        }
    }

    #[test]
    fn tokens_are_renewed_at_different_times() {
        let hour = Duration::from_hours(1);
        let renewals: Vec<_> = (0..100)
            .map(|number| life(&granted(&format!("token {number}"), hour)).0)
            .collect();
        let (first, last) = (
            renewals.iter().min().unwrap(),
            renewals.iter().max().unwrap(),
        );
        assert!(*first >= Duration::from_mins(45) && *last <= Duration::from_mins(50));
        assert!(
            *last - *first >= Duration::from_mins(4),
            "{first:?} {last:?}"
        );
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_before_its_end_and_ends_before_its_death(
            text: String,
            lifetime: u32,
        ) {
            let lifetime = Duration::from_secs(lifetime.into());
            let (renew, end) = life(&granted(&text, lifetime));
            prop_assert!(renew <= end && end <= lifetime);
            prop_assert!(end >= lifetime / 10 * 9 || lifetime - end == LAST);
        }
    }
}

//! The other way to the same server: SMTP, logged in as the mailbox. For what Graph does not take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::mail::Mailbox;
use crate::tls::client::ClientTlsError;
use crate::upstream::Upstream as _;
use crate::upstream::smtp::SmtpUpstream;

/// Makes the upstream that logs in as a mailbox.
type Make = dyn Fn(&Mailbox) -> Result<SmtpUpstream, ClientTlsError> + Send + Sync;

/// SMTP upstreams by mailbox: each logs in as one, so each has connections of its own.
pub struct Submission {
    make: Box<Make>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    upstream: Arc<SmtpUpstream>,
    since: Instant,
}

/// How long an upstream is kept that nobody uses.
const KEEP: Duration = Duration::from_mins(5);

impl Submission {
    /// Makes one; `make` gives the upstream that logs in as a mailbox.
    pub fn new(
        make: impl Fn(&Mailbox) -> Result<SmtpUpstream, ClientTlsError> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            make: Box::new(make),
            clock,
            known: Mutex::default(),
        }
    }

    /// Returns the upstream for a mailbox.
    ///
    /// # Errors
    /// As [`SmtpUpstream::new`].
    pub(super) fn of(&self, mailbox: &Mailbox) -> Result<Arc<SmtpUpstream>, ClientTlsError> {
        let (key, since) = (mailbox.to_string().to_lowercase(), self.clock.instant());
        let mut all = self.known();
        if let Some(known) = all.get_mut(&key) {
            known.since = since;
            return Ok(Arc::clone(&known.upstream));
        }
        let upstream = Arc::new((self.make)(mailbox)?);
        let known = Known {
            upstream: Arc::clone(&upstream),
            since,
        };
        all.insert(key, known);
        Ok(upstream)
    }

    /// Closes connections that have been idle for long, and forgets mailboxes that nobody uses.
    pub(super) async fn tidy(&self, now: Instant) {
        let upstreams: Vec<Arc<SmtpUpstream>> = {
            let mut all = self.known();
            all.retain(|_, known| {
                let is_busy = Arc::strong_count(&known.upstream) > 1;
                is_busy || now.saturating_duration_since(known.since) < KEEP
            });
            all.values()
                .map(|known| Arc::clone(&known.upstream))
                .collect()
        };
        for upstream in upstreams {
            upstream.tidy(now).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

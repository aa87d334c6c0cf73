//! Takes in what is raised, stores it, and has it told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::alert::{self, Alert, AlertFile, Fate, Round, Tried};
use crate::clock::{Clock, Timestamp};
use crate::spool::embedded::EmbeddedSpool;
use crate::spool::{Spool as _, SpoolAdmin as _, SpoolError};
use crate::telemetry;

use super::desk::Desk;
use super::late::{Late, Span};
use super::post::Post;
use super::watch::Watch;

/// How long alerts are gathered, so that those that come together are written and told together.
const GATHER: Duration = Duration::from_millis(200);

/// How many are taken in at once.
const BATCH: usize = 4096;

/// How often it is looked whether something is over a limit.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked for late messages.
const LATE_EVERY: Duration = Duration::from_secs(10);

/// Errands at once.
const AT_ONCE: usize = 8;

/// How long errands may go on after the stop; the next process runs the others again.
const GRACE: Duration = Duration::from_secs(2);

/// How long is waited after a write that failed: the next one is of everything.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// What looking for late messages has found, and for which.
type Looked = (Late, Span, Result<Vec<Alert>, SpoolError>);

/// The task that keeps the alerts.
pub(in crate::app) struct Keeper {
    desk: Arc<Desk>,
    raised: mpsc::Receiver<Alert>,
    post: Arc<Post>,
    spool: Arc<EmbeddedSpool>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    /// `None` while it is being written.
    file: Option<AlertFile>,
    is_failing: bool,
    /// Before that nothing is written, since the last write has failed.
    next_write: Instant,
    errands: JoinSet<Tried>,
    /// Which errand each task runs.
    tasks: HashMap<Id, u64>,
    watch: Watch,
    next_look: Instant,
    /// `None` while it looks.
    late: Option<Late>,
    next_late: Instant,
    looking: JoinSet<Looked>,
}

impl Keeper {
    pub(in crate::app) fn new(
        desk: Arc<Desk>,
        raised: mpsc::Receiver<Alert>,
        post: Arc<Post>,
        spool: Arc<EmbeddedSpool>,
        data_dir: &Path,
    ) -> Self {
        let clock = Arc::clone(&post.clock);
        let now = clock.instant();
        Self {
            desk,
            raised,
            post,
            spool,
            clock,
            path: data_dir.join(alert::FILE),
            file: None,
            is_failing: false,
            next_write: now,
            errands: JoinSet::new(),
            tasks: HashMap::new(),
            watch: Watch::default(),
            next_look: now,
            late: Some(Late::default()),
            next_late: now + LOOK_EVERY,
            looking: JoinSet::new(),
        }
    }

    /// Keeps alerts until it is stopped. What is on its way then is sent by the next process.
    ///
    /// After a panic it can be run again: what it was about is raised or written another time, or was one alert.
    pub(in crate::app) async fn run(&mut self, stop: CancellationToken) {
        if self.looking.is_empty() {
            self.late.get_or_insert_default();
        }
        self.open_anew();
        while !stop.is_cancelled() {
            self.look().await;
            self.step().await;
            let until = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(alert) = self.raised.recv() => self.gather(alert).await,
                Some(ended) = self.errands.join_next_with_id() => self.note_ended(ended),
                Some(ended) = self.looking.join_next() => self.note_late(ended),
                () = self.desk.changed.notified() => {}
                () = sleep_until(until.into()) => {}
            }
        }
        self.end().await;
    }

    /// Stores what has been raised, and lets errands end that run.
    async fn end(&mut self) {
        self.raised.close();
        while let Ok(alert) = self.raised.try_recv() {
            self.note(alert);
        }
        self.looking.shutdown().await;
        let deadline = self.clock.instant() + GRACE;
        while !self.errands.is_empty() {
            let left = deadline.saturating_duration_since(self.clock.instant());
            match timeout(left, self.errands.join_next_with_id()).await {
                Ok(Some(ended)) => self.note_ended(ended),
                Ok(None) | Err(_) => break,
            }
        }
        self.errands.shutdown().await;
        self.next_write = self.clock.instant();
        self.write().await;
    }

    /// Takes in an alert and those that come just behind it.
    async fn gather(&mut self, first: Alert) {
        self.note(first);
        sleep(GATHER).await;
        for _ in 0..BATCH {
            let Ok(alert) = self.raised.try_recv() else {
                break;
            };
            self.note(alert);
        }
    }

    fn note(&self, alert: Alert) {
        self.desk.note(alert, self.clock.now());
    }

    /// Looks whether there is something to tell that nobody raises.
    async fn look(&mut self) {
        let now = self.clock.instant();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_EVERY;
        let spool = Arc::clone(&self.spool);
        let queue = self.watch.queue(|priority| spool.pressure(priority));
        if let Some(alert) = &queue {
            tracing::warn!(alert = %alert.kind, text = &*alert.text, "the queue is over a limit");
        }
        let damage = self.watch.damage(spool.stats().await.damaged);
        let lost = Watch::lost(self.desk.alerts.take_lost());
        if let Some(alert) = &lost {
            tracing::warn!(alert = %alert.kind, text = &*alert.text, "alerts were only counted");
        }
        for alert in queue.into_iter().chain(damage).chain(lost) {
            self.note(alert);
        }
        self.begin_late(now);
    }

    /// Looks for late messages, beside the rest: the queue may be long.
    fn begin_late(&mut self, now: Instant) {
        let Some(allowed) = self.desk.settings().late_after else {
            return;
        };
        if now < self.next_late {
            return;
        }
        let Some(mut late) = self.late.take() else {
            return;
        };
        self.next_late = now + LATE_EVERY.min(allowed.max(LOOK_EVERY));
        let now = self.clock.now();
        let known = self.desk.ledger().late_until();
        let span = Span {
            // What lies ahead was noted before the clock was set back: better told twice than never.
            from: if known <= now {
                known
            } else {
                Timestamp::default()
            },
            until: now.before(allowed),
            allowed,
        };
        let spool = Arc::clone(&self.spool);
        self.looking.spawn(async move {
            let found = late.look(&*spool, span).await;
            (late, span, found)
        });
    }

    fn note_late(&mut self, ended: Result<Looked, JoinError>) {
        let (late, span, found) = match ended {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "looking for late messages broke off");
                self.late = Some(Late::default());
                return;
            }
        };
        self.late = Some(late);
        match found {
            Ok(alerts) => {
                for alert in alerts {
                    let account = alert.account.as_ref().map(ToString::to_string);
                    tracing::warn!(alert = %alert.kind, account, text = &*alert.text, "messages are late");
                    self.note(alert);
                }
                if span.until > span.from {
                    self.desk.ledger().note_late_until(span.until);
                }
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(error, "cannot look for late messages");
            }
        }
    }

    fn note_ended(&mut self, ended: Result<(Id, Tried), JoinError>) {
        let (task, tried) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "sending alerts broke off; it is tried again");
            (error.id(), Tried::Failed)
        });
        let Some(errand) = self.tasks.remove(&task) else {
            return;
        };
        let fate = self.desk.ledger().tried(errand, tried, self.clock.now());
        match fate {
            Fate::Again(_) | Fate::Ended => {}
            Fate::GivenUp => tracing::error!(
                errand,
                "alerts could not be sent; `posthouse alerts` has them"
            ),
        }
    }

    /// Makes errands of what is due, writes what is new, then runs them: what is on its way is stored before.
    async fn step(&mut self) {
        while let Some(ended) = self.errands.try_join_next_with_id() {
            self.note_ended(ended);
        }
        let (settings, now) = (self.desk.settings(), self.clock.now());
        let Round { dropped, .. } = self.desk.ledger().round(&settings, now);
        if dropped > 0 {
            tracing::error!(
                dropped,
                "too many alerts are on their way; the oldest are only stored"
            );
        }
        self.write().await;
        let errands = self.desk.ledger().take_errands(AT_ONCE, now);
        for errand in errands {
            let (post, settings) = (Arc::clone(&self.post), Arc::clone(&settings));
            let id = errand.id;
            let running = self
                .errands
                .spawn(async move { post.run(&errand, &settings).await });
            self.tasks.insert(running.id(), id);
        }
    }

    /// Writes what is new. What cannot be written now is written another time; alerts are sent all the same.
    async fn write(&mut self) {
        if self.clock.instant() < self.next_write {
            return;
        }
        let Some(mut file) = self.file.take() else {
            return;
        };
        let is_whole = file.wants_all();
        let lines = {
            let mut ledger = self.desk.ledger();
            let changes = ledger.take_changes();
            if is_whole { ledger.whole() } else { changes }
        };
        if lines.is_empty() && !is_whole {
            self.file = Some(file);
            return;
        }
        let written = tokio::task::spawn_blocking(move || {
            let written = if is_whole {
                file.rewrite(&lines)
            } else {
                file.append(&lines)
            };
            (file, written)
        });
        match written.await {
            Ok((file, written)) => {
                if let Err(error) = &written
                    && !self.is_failing
                {
                    tracing::error!(%error, "alerts cannot be stored; they are sent all the same");
                }
                self.is_failing = written.is_err();
                if self.is_failing {
                    self.next_write = self.clock.instant() + WRITE_AGAIN;
                }
                self.file = Some(file);
            }
            Err(error) => {
                tracing::error!(%error, "storing alerts broke off; all are written anew");
                self.open_anew();
            }
        }
    }

    /// Sees to it that the file is written whole, where nobody has it any more.
    fn open_anew(&mut self) {
        self.file
            .get_or_insert_with(|| AlertFile::new(self.path.clone()));
    }

    fn wake(&self) -> Instant {
        let (settings, now) = (self.desk.settings(), self.clock.now());
        let ledger = self.desk.ledger();
        let round = ledger.next_round(&settings, now);
        let errand = ledger
            .next_errand(now)
            .filter(|_| self.errands.len() < AT_ONCE);
        let next = round.into_iter().chain(errand).min();
        let next = next.map(|next| self.clock.instant() + next.since(now));
        next.map_or(self.next_look, |next| next.min(self.next_look))
    }
}

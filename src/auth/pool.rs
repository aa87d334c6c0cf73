//! Threads that check passwords, away from the runtime.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argon2::Block;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::password::{PasswordError, PasswordHash};
use crate::panics::contain;
use crate::secret::Secret;

/// How long an idle thread keeps its memory (19 MiB with the default parameters).
const KEEP_MEMORY: Duration = Duration::from_secs(5);

/// The priority of the threads (nice(2)): a flood of passwords gets a tenth of what other work gets on a busy processor.
const NICE: i32 = 10;

/// Why a password was not checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// There is not enough memory, or the pool has ended.
    Failed,
    /// As many checks wait as may.
    Full,
}

/// Whose check comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// That of an account from where it has logged in before.
    First,
    /// Anybody else's: a flood of guesses waits by itself.
    Last,
}

/// A fixed number of threads behind a queue of fixed length.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How a password is compared with a hash, in memory that can be used again.
pub(super) type Compare =
    fn(&PasswordHash, &Secret, &mut Vec<Block>) -> Result<bool, PasswordError>;

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    longest: usize,
    compare: Compare,
}

#[derive(Debug, Default)]
struct Queue {
    first: VecDeque<Job>,
    last: VecDeque<Job>,
    is_closed: bool,
}

impl Queue {
    /// Puts a job where it belongs. Where as many wait as may, one that is to come first takes the place of the latest that is
    /// to come last.
    fn push(&mut self, job: Job, turn: Turn, longest: usize) -> Result<(), Refused> {
        let is_full = self.first.len() + self.last.len() >= longest;
        match turn {
            Turn::First => {
                if is_full {
                    self.last.pop_back().ok_or(Refused::Full)?;
                }
                self.first.push_back(job);
            }
            Turn::Last if is_full => return Err(Refused::Full),
            Turn::Last => self.last.push_back(job),
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Job> {
        self.first.pop_front().or_else(|| self.last.pop_front())
    }
}

#[derive(Debug)]
struct Job {
    hash: PasswordHash,
    password: Secret,
    answer: oneshot::Sender<Result<bool, PasswordError>>,
}

impl Pool {
    /// Starts the threads. `longest` is how many checks may wait.
    ///
    /// # Errors
    /// The operating system starts no more threads.
    pub(super) fn start(threads: usize, longest: usize) -> io::Result<Self> {
        Self::start_with(threads, longest, PasswordHash::matches)
    }

    /// As [`Pool::start`], with another way to compare.
    pub(super) fn start_with(threads: usize, longest: usize, compare: Compare) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            longest,
            compare,
        });
        let mut pool = Self {
            shared,
            threads: Vec::with_capacity(threads),
        };
        for _ in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new()
                .name("password".to_owned())
                .spawn(move || shared.work())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Checks a password. When the call is dropped while it waits, the check is not made.
    pub(super) async fn check(
        &self,
        hash: PasswordHash,
        password: Secret,
        turn: Turn,
    ) -> Result<bool, Refused> {
        let (answer, verdict) = oneshot::channel();
        let job = Job {
            hash,
            password,
            answer,
        };
        self.shared.push(job, turn)?;
        match verdict.await {
            Ok(Ok(is_right)) => Ok(is_right),
            Ok(Err(_)) | Err(_) => Err(Refused::Failed),
        }
    }
}

impl Drop for Pool {
    /// Ends the threads; waits for the checks that run, drops those that wait.
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.is_closed = true;
            queue.first.clear();
            queue.last.clear();
        }
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job, turn: Turn) -> Result<(), Refused> {
        let mut queue = self.lock();
        if queue.is_closed {
            return Err(Refused::Failed);
        }
        queue.push(job, turn, self.longest)?;
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    fn work(&self) {
        // Mail of clients that are in comes before those who want in. A system that refuses it checks all the same.
        let _as_before = setpriority_process(Some(gettid()), NICE);
        let mut memory = Vec::new();
        while let Some(job) = self.next(&mut memory) {
            if job.answer.is_closed() {
                // The session has gone away; nobody wants the answer.
                continue;
            }
            let compared = contain(|| (self.compare)(&job.hash, &job.password, &mut memory));
            if let Ok(verdict) = compared {
                let _heard = job.answer.send(verdict);
            } else {
                // Whoever waits learns it from the answer that is dropped. The thread goes on, or soon there were none.
                memory = Vec::new();
            }
        }
    }

    /// Waits for a job; gives the memory back when there is none for a while.
    fn next(&self, memory: &mut Vec<Block>) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            queue = if memory.is_empty() {
                self.work
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                let (queue, waited) = self
                    .work
                    .wait_timeout(queue, KEEP_MEMORY)
                    .unwrap_or_else(PoisonError::into_inner);
                if waited.timed_out() {
                    *memory = Vec::new();
                }
                queue
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hash_password;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_pool_tells_right_from_wrong() {
        let pool = Pool::start(1, 4).unwrap();
        let hash = hash_password(&secret("right"), [1; 16]).unwrap();
        let right = pool.check(hash.clone(), secret("right"), Turn::Last);
        assert_eq!(right.await, Ok(true));
        let wrong = pool.check(hash, secret("wrong"), Turn::First);
        assert_eq!(wrong.await, Ok(false));
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let pool = Pool::start_with(1, 4, |hash, password, memory| {
            assert!(password.expose() != "odd", "as a test wants it");
            hash.matches(password, memory)
        });
        let pool = pool.unwrap();
        let hash = hash_password(&secret("right"), [1; 16]).unwrap();
        for _ in 0..2 {
            let odd = pool.check(hash.clone(), secret("odd"), Turn::First).await;
            assert_eq!(odd, Err(Refused::Failed));
            assert_eq!(
                pool.check(hash.clone(), secret("right"), Turn::First).await,
                Ok(true)
            );
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let pool = Pool::start(0, 1).unwrap();
        let hash = hash_password(&secret("right"), [1; 16]).unwrap();
        let waiting = pool.check(hash.clone(), secret("right"), Turn::First);
        tokio::pin!(waiting);
        assert!(futures_poll(&mut waiting).await.is_none());
        for turn in [Turn::First, Turn::Last] {
            let refused = pool.check(hash.clone(), secret("right"), turn).await;
            assert_eq!(refused, Err(Refused::Full));
        }
    }

    /// A job, told apart by its password, and where its answer comes.
    fn job(password: &str) -> (Job, oneshot::Receiver<Result<bool, PasswordError>>) {
        let (answer, verdict) = oneshot::channel();
        let job = Job {
            hash: hash_password(&secret("right"), [1; 16]).unwrap(),
            password: secret(password),
            answer,
        };
        (job, verdict)
    }

    #[test]
    fn who_is_known_overtakes_a_flood_and_takes_the_place_of_its_latest_where_none_is_left() {
        let mut queue = Queue::default();
        let (one, mut first_guess) = job("guess 1");
        let (two, mut second_guess) = job("guess 2");
        queue.push(one, Turn::Last, 2).unwrap();
        queue.push(two, Turn::Last, 2).unwrap();
        assert_eq!(
            queue.push(job("guess 3").0, Turn::Last, 2),
            Err(Refused::Full)
        );
        queue.push(job("known").0, Turn::First, 2).unwrap();
        let closed = oneshot::error::TryRecvError::Closed;
        assert_eq!(second_guess.try_recv().unwrap_err(), closed);
        let empty = oneshot::error::TryRecvError::Empty;
        assert_eq!(first_guess.try_recv().unwrap_err(), empty);
        let order = std::iter::from_fn(|| queue.pop());
        let order: Vec<_> = order.map(|job| job.password.expose().to_owned()).collect();
        assert_eq!(order, ["known", "guess 1"]);
    }

    #[tokio::test]
    async fn a_pool_that_ends_answers_those_who_wait() {
        let pool = Pool::start(0, 1).unwrap();
        let (job, verdict) = job("right");
        pool.shared.push(job, Turn::Last).unwrap();
        drop(pool);
        assert!(verdict.await.is_err());
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            let polled = std::pin::Pin::new(&mut *future).poll(context);
            std::task::Poll::Ready(match polled {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}

//! Durable messages per second through the embedded spool: commit, claim, read, settle, 4 KiB each.
//!
//! `cargo bench --bench spool [-- SECONDS]` prints for 1, 20 and 200 submitters the rate and the CPU time for each
//! message, all threads of the process together. Every message that is committed must be settled, or the run has no
//! rate. The disk is that of the target directory.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use posthouse::clock::{Clock, SystemClock};
use posthouse::identity::{AccountName, Route, UpstreamName};
use posthouse::mail::{Envelope, ForwardPath, Mailbox, Priority, Recipient, Response, ReversePath};
use posthouse::spool::embedded::{EmbeddedSpool, Settings};
use posthouse::spool::{Claim, Fate, Lease, Message, Settlement, Spool, SpoolAdmin, Wanted};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The octets of a message.
const SIZE: usize = 4096;

/// How many settlements wait at once beside the submitters, at least.
const RELAYS: usize = 20;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok());
    let span = Duration::from_secs(seconds.unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    for submitters in [1, 20, 200] {
        let report = runtime.block_on(run(submitters, span))?;
        say(&report);
    }
    Ok(())
}

struct Measured {
    submitters: usize,
    messages: u64,
    elapsed: Duration,
    cpu: Duration,
}

#[expect(clippy::print_stdout, reason = "the program's purpose")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn say(measured: &Measured) {
    let messages = measured.messages as f64;
    println!(
        "{:>3} submitters: {:>7.0} messages/s, {:>5.1} us of CPU each",
        measured.submitters,
        messages / measured.elapsed.as_secs_f64(),
        measured.cpu.as_secs_f64() * 1e6 / messages,
    );
}

async fn run(submitters: usize, span: Duration) -> Outcome<Measured> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let settings = Settings {
        min_free: 0,
        ..Settings::new(directory.path())
    };
    let spool = Arc::new(EmbeddedSpool::open(settings, Arc::new(SystemClock))?);
    let template = template()?;
    let stop = Arc::new(AtomicBool::new(false));
    let committed = Arc::new(AtomicU64::new(0));
    let (begin, cpu) = (SystemClock.instant(), cpu_time()?);
    let mut tasks = JoinSet::new();
    for _ in 0..submitters {
        let (spool, template) = (Arc::clone(&spool), template.clone());
        let (stop, committed) = (Arc::clone(&stop), Arc::clone(&committed));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                submit(&spool, &template).await?;
                committed.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Ok(())
        });
    }
    let mut dispatcher = JoinSet::from_iter([dispatch(
        Arc::clone(&spool),
        template.route.clone(),
        submitters.max(RELAYS),
    )]);
    let drained = async {
        tokio::time::sleep(span).await;
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        while spool.stats().await.messages > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Outcome::Ok(())
    };
    tokio::select! {
        drained = drained => drained?,
        Some(ended) = dispatcher.join_next() => ended??,
    }
    let (elapsed, cpu) = (
        SystemClock.instant().duration_since(begin),
        cpu_time()?.saturating_sub(cpu),
    );
    dispatcher.shutdown().await;
    spool.close().await;
    Ok(Measured {
        submitters,
        messages: committed.load(Ordering::Relaxed),
        elapsed,
        cpu,
    })
}

async fn submit(spool: &EmbeddedSpool, template: &Message) -> Outcome<()> {
    let mut draft = spool.draft().await?;
    draft.write(Bytes::from(vec![b'x'; SIZE])).await?;
    let now = SystemClock.now();
    let message = Message {
        accepted: now,
        due: now,
        ..template.clone()
    };
    spool.commit(draft, message).await?;
    Ok(())
}

/// Claims and settles as a relay does: one who claims, many who settle.
async fn dispatch(spool: Arc<EmbeddedSpool>, route: Route, relays: usize) -> Outcome<()> {
    let slots = Arc::new(Semaphore::new(relays));
    let upstream = route.upstreams().first().ok_or("no upstream")?.clone();
    let mut attempts = JoinSet::new();
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let now = SystemClock.now();
        let claim = Claim {
            routes: std::slice::from_ref(&route),
            wanted: Wanted::Next {
                upstream: &upstream,
                lowest: Priority::VeryLow,
                ageing: None,
            },
            at_most: (1 + slots.available_permits()).min(50),
            recipients: usize::MAX,
            now,
            until: now.after(Duration::from_mins(1)),
        };
        let leases = spool.claim(claim).await?;
        drop(slot);
        if leases.is_empty() {
            spool.changed().await;
        }
        for lease in leases {
            let (slot, spool) = (
                Arc::clone(&slots).acquire_owned().await?,
                Arc::clone(&spool),
            );
            attempts.spawn(async move {
                let settled = settle(&spool, lease).await;
                drop(slot);
                settled
            });
        }
        while let Some(ended) = attempts.try_join_next() {
            ended??;
        }
    }
}

async fn settle(spool: &EmbeddedSpool, lease: Lease) -> Outcome<()> {
    let mut body = spool.body(lease.id).await?;
    let mut size = 0;
    while let Some(piece) = body.next().await? {
        size += piece.len() as u64;
    }
    if size != lease.size {
        return Err("a message came back with another size".into());
    }
    let fate = Fate::Relayed(Response {
        code: 250,
        status: None,
        text: "ok".into(),
    });
    let fates = lease.pending.iter().map(|index| (*index, fate.clone()));
    let settlement = Settlement {
        fates: fates.collect(),
        lease,
        warned: posthouse::spool::Warned::default(),
        untold: Vec::new(),
        counts: true,
        reports: Vec::new(),
    };
    spool.settle(settlement).await?;
    Ok(())
}

fn template() -> Outcome<Message> {
    let upstream = UpstreamName::parse("main")?;
    let now = SystemClock.now();
    Ok(Message {
        envelope: Envelope {
            recipients: vec![Recipient::new(ForwardPath::from(Mailbox::parse(
                "recipient@example.net",
            )?))],
            ..Envelope::new(ReversePath::Mailbox(Mailbox::parse("sender@example.com")?))
        },
        account: Some(AccountName::parse("bench")?),
        tenant: None,
        route: Route::new(vec![upstream]).ok_or("a route has an upstream")?,
        priority: Priority::Normal,
        accepted: now,
        due: now,
        peer: None,
        message_id: None,
        held: None,
    })
}

/// Returns the CPU time of this process so far, to 10 ms.
fn cpu_time() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no process name")?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut next = || -> Outcome<u64> { Ok(times.next().ok_or("too few fields")?.parse()?) };
    Ok(Duration::from_millis(10 * (next()? + next()?)))
}

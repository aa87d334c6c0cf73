//! What operators cost: noting events in the journal, and looking through a long queue.
//!
//! `cargo bench --bench operators [-- MESSAGES]` prints the time that noting an event takes whoever notes it, and, for a
//! queue of so many small messages (100,000 unless told), the time of a list of the first 100, of searches through the
//! whole queue and of a hold of every message. The disk is that of the target directory.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use posthouse::clock::{Clock, SystemClock};
use posthouse::identity::{AccountName, Route, UpstreamName};
use posthouse::journal::{
    Accepted, Event, Journal, PriorityNote, RecipientFate, RecipientNote,
    Settings as JournalSettings,
};
use posthouse::mail::{Envelope, ForwardPath, Mailbox, Priority, QueueId, Recipient, ReversePath};
use posthouse::route::{Pattern, Rule, Rules, Scope, Sending, Table};
use posthouse::spool::embedded::{EmbeddedSpool, Settings};
use posthouse::spool::{Change, Message, Selection, Spool, SpoolAdmin};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many events are noted.
const EVENTS: u32 = 200_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let messages = std::env::args().find_map(|argument| argument.parse().ok());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    journal(folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(queue(folder.path(), messages.unwrap_or(100_000)))
}

#[expect(clippy::print_stdout, reason = "the program's purpose")]
fn say(what: impl Display, took: Duration) {
    println!("{what:<44} {took:>12.1?}");
}

fn accepted() -> Event {
    let text = |text: &str| text.to_owned();
    Event::Accepted(Box::new(Accepted {
        session: 7,
        peer: [192, 0, 2, 1].into(),
        tls: None,
        account: text("alice"),
        tenant: None,
        proof: text("password"),
        app_password: None,
        reverse_path: text("<alice@example.com>"),
        recipients: vec![text("bob@example.net")],
        recipients_left_out: 0,
        size: 4096,
        message_id: Some(text("<06F2QHJ2C0000@relay.example.com>")),
        allowed: vec![text("MAIL FROM alice@example.com: granted by example.com"); 2],
        unauthorized: None,
        is_held: false,
        rewritten: Vec::new(),
        siblings: Vec::new(),
        priority: PriorityNote::new(Priority::Normal, Priority::Normal, None),
        route: vec![text("main")],
        due: None,
    }))
}

fn attempt() -> Event {
    Event::Attempt(posthouse::journal::Attempt {
        number: 1,
        upstream: "main".to_owned(),
        address: Some(([192, 0, 2, 9], 587).into()),
        channel: posthouse::journal::Channel::Plain,
        tls: None,
        duration_ms: 21,
        recipients: vec![RecipientNote {
            address: "bob@example.net".to_owned(),
            fate: RecipientFate::Relayed,
            text: "250 2.0.0 ok: queued as 4Xb7".to_owned(),
            due: None,
        }],
        recipients_left_out: 0,
    })
}

fn journal(folder: &std::path::Path) -> Outcome<()> {
    let settings = JournalSettings {
        directory: folder.join("journal"),
        keep: Duration::from_hours(1),
        max_size: 1 << 30,
    };
    let journal = Journal::open(settings, Arc::new(SystemClock))?;
    for (name, event) in [
        ("accepted", accepted as fn() -> Event),
        ("attempt", attempt),
    ] {
        let begin = SystemClock.instant();
        for number in 0..u64::from(EVENTS) {
            journal.record(QueueId::from_number(number), event);
        }
        let took = SystemClock.instant() - begin;
        say(format_args!("journal: noting `{name}`"), took / EVENTS);
        journal.flush();
    }
    let begin = SystemClock.instant();
    let found = journal.find(QueueId::from_number(4711))?;
    say(
        format_args!("journal: finding {} events", found.records.len()),
        SystemClock.instant() - begin,
    );
    Ok(())
}

fn message() -> Outcome<Message> {
    let now = SystemClock.now();
    let recipient = ForwardPath::from(Mailbox::parse("bob@example.net")?);
    let main = UpstreamName::parse("main")?;
    Ok(Message {
        envelope: Envelope {
            reverse_path: ReversePath::Mailbox(Mailbox::parse("alice@example.com")?),
            recipients: vec![Recipient::new(recipient)],
            ..Envelope::new(ReversePath::Null)
        },
        account: Some(AccountName::parse("alice")?),
        tenant: None,
        route: Route::new(vec![main]).ok_or("no route")?,
        priority: Priority::Low,
        accepted: now,
        due: now,
        peer: None,
        message_id: None,
        held: None,
    })
}

/// Commits so many messages, many side by side.
async fn fill(spool: &Arc<EmbeddedSpool>, messages: usize) -> Outcome<()> {
    let slots = Arc::new(Semaphore::new(200));
    let mut tasks = JoinSet::new();
    for _ in 0..messages {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let spool = Arc::clone(spool);
        tasks.spawn(async move {
            let mut draft = spool.draft().await?;
            draft
                .write(Bytes::from_static(b"Subject: x\r\n\r\n"))
                .await?;
            spool.commit(draft, message()?).await?;
            drop(slot);
            Outcome::Ok(())
        });
        while let Some(ended) = tasks.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Returns the ids of all messages of a selection.
async fn ids(spool: &EmbeddedSpool, selection: &Selection) -> Vec<QueueId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = spool.ids(after, 20_000, selection).await;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Gives all messages the routes of a configuration in which recipients decide, and then of one in which they do not.
async fn reroute_all(spool: &EmbeddedSpool, messages: usize) -> Outcome<()> {
    let route = |name: &str| -> Outcome<Route> {
        Route::new(vec![UpstreamName::parse(name)?]).ok_or_else(|| "no upstream".into())
    };
    let mut by_account = Table::new(Sending::Enabled, Some(route("main")?), &HashMap::new());
    by_account.add_account(AccountName::parse("alice")?, None, None);
    let mut rules = Rules::default();
    for number in 1..=1000 {
        rules.push(Rule {
            number,
            name: None,
            patterns: vec![Pattern::parse(&format!("*.d{number}.example"))?],
            scope: Scope::Everyone,
            route: route("other")?,
        });
    }
    let by_recipient = by_account.clone().with_rules(rules);
    for (name, table) in [
        ("by recipients, 1,000 routes", &by_recipient),
        ("by account", &by_account),
    ] {
        let begin = SystemClock.instant();
        posthouse::app::reroute(spool, table).await?;
        let took = SystemClock.instant() - begin;
        say(format_args!("queue of {messages}: reroute {name}"), took);
    }
    Ok(())
}

async fn queue(folder: &std::path::Path, messages: usize) -> Outcome<()> {
    let settings = Settings {
        // Envelopes are read from the disk, as most are in a long queue.
        memory_budget: 1 << 20,
        ..Settings::new(folder.join("spool"))
    };
    let spool = EmbeddedSpool::open(settings, Arc::new(SystemClock))?;
    let spool = Arc::new(spool);
    fill(&spool, messages).await?;
    let everything = Selection::default();
    let begin = SystemClock.instant();
    let page = spool.select(None, 100, &everything).await?;
    let took = SystemClock.instant() - begin;
    say(
        format_args!("queue of {messages}: list {}", page.items.len()),
        took,
    );
    let urgent = Selection {
        priorities: Some(Priority::VeryHigh..=Priority::High),
        ..everything.clone()
    };
    let other = Selection {
        account: Some("bob".into()),
        ..everything.clone()
    };
    for (name, selection) in [
        ("by priority", &urgent),
        ("by account", &other),
        ("all ids", &everything),
    ] {
        let begin = SystemClock.instant();
        let found = ids(&spool, selection).await.len();
        let took = SystemClock.instant() - begin;
        say(
            format_args!("queue of {messages}: {name}, {found} found"),
            took,
        );
    }
    let begin = SystemClock.instant();
    let census = spool.census().await;
    let took = SystemClock.instant() - begin;
    say(
        format_args!("queue of {messages}: sums of {}", census.pending.messages),
        took,
    );
    reroute_all(&spool, messages).await?;
    let begin = SystemClock.instant();
    for portion in ids(&spool, &everything).await.chunks(1000) {
        for changed in spool.change(portion, &Change::Hold).await {
            changed?;
        }
    }
    let took = SystemClock.instant() - begin;
    say(format_args!("queue of {messages}: hold all"), took);
    spool.close().await;
    Ok(())
}

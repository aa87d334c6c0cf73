use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::body::InMemory;
use crate::clock::Timestamp;
use crate::mail::{
    Channel, Envelope, ForwardPath, Mailbox, Outcome, Recipient, RecipientIndex, ReversePath, Via,
};
use crate::smtp::extension::Extensions;
use crate::upstream::smtp::connection::{Connection, Message, Transfer};
use crate::upstream::smtp::settings::Timeouts;
use crate::upstream::smtp::transcript::Observer;
use crate::upstream::smtp::wire::Wire;

/// The clock of the paused runtime.
struct Paused;

#[expect(clippy::disallowed_methods, reason = "it is the clock")]
impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

const MIB: usize = 1 << 20;

fn pacing(octets: u64, longest_pause: Duration) -> Arc<Pacing> {
    let bandwidth = Bandwidth::new(octets).unwrap();
    Arc::new(Pacing::new(bandwidth, longest_pause, Arc::new(Paused)))
}

/// A message on its own connection, and the peer that takes it.
struct Rig {
    pacing: Arc<Pacing>,
    timeouts: Timeouts,
    began: Instant,
}

/// What a peer saw of the content: when so many octets of it had come in all.
type Arrivals = watch::Sender<Vec<(Duration, usize)>>;

impl Rig {
    fn new(octets: u64, data: Duration) -> Self {
        let timeouts = Timeouts {
            data,
            ..Timeouts::default()
        };
        Self {
            pacing: pacing(octets, timeouts.longest_pause()),
            timeouts,
            began: Paused.instant(),
        }
    }

    /// Sends a message over a new connection; returns what its peer took for the message.
    async fn send(&self, priority: Priority, message: &[u8], arrivals: &Arrivals) -> Vec<u8> {
        let (near, far) = duplex(4096);
        let extensions = Extensions::parse(&["fake.example", "PIPELINING", "CHUNKING"]);
        let now = Paused.instant();
        let mut connection = Connection::new(
            Wire::new(Box::new(near), via(), Observer::default()),
            extensions,
            self.timeouts.clone(),
            Some(Arc::clone(&self.pacing)),
            now,
        );
        let envelope = envelope();
        let transfer = Transfer {
            envelope: &envelope,
            envelope_sender: None,
            recipients: &[RecipientIndex(0)],
            priority,
            now: Timestamp::from_unix_millis(1_800_000_000_000),
        };
        let body = Box::new(InMemory::new(Bytes::copy_from_slice(message)));
        let mut message = Message::load(body).await.unwrap();
        let (ended, taken) = tokio::join!(
            connection.transact(transfer, &mut message),
            self.serve(far, arrivals)
        );
        assert!(
            matches!(ended.outcomes[0].1, Outcome::Relayed(..)),
            "{ended:?}"
        );
        taken
    }

    /// Takes one message.
    async fn serve(&self, stream: DuplexStream, arrivals: &Arrivals) -> Vec<u8> {
        let mut stream = BufReader::with_capacity(512, stream);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let content = match line.split([' ', '\r']).next().unwrap() {
                "BDAT" => {
                    let size = line.split(' ').nth(1).unwrap().parse().unwrap();
                    self.read(&mut stream, arrivals, |content| content.len() >= size)
                        .await
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await.unwrap();
                    let content = self
                        .read(&mut stream, arrivals, |content| {
                            content.ends_with(b"\r\n.\r\n")
                        })
                        .await;
                    content.strip_suffix(b".\r\n").unwrap().to_vec()
                }
                _ => {
                    stream.write_all(b"250 ok\r\n").await.unwrap();
                    continue;
                }
            };
            stream.write_all(b"250 taken\r\n").await.unwrap();
            return content;
        }
    }

    async fn read(
        &self,
        stream: &mut BufReader<DuplexStream>,
        arrivals: &Arrivals,
        is_whole: impl Fn(&[u8]) -> bool,
    ) -> Vec<u8> {
        let mut content = Vec::new();
        while !is_whole(&content) {
            assert!(stream.read_buf(&mut content).await.unwrap() > 0);
            let at = Paused.instant() - self.began;
            arrivals.send_modify(|seen| seen.push((at, content.len())));
        }
        content
    }
}

fn envelope() -> Envelope {
    let mailbox = |text| Mailbox::parse(text).unwrap();
    Envelope {
        recipients: vec![Recipient::new(ForwardPath::from(mailbox("r@example.net")))],
        ..Envelope::new(ReversePath::Mailbox(mailbox("s@example.com")))
    }
}

fn arrivals() -> Arrivals {
    watch::Sender::new(Vec::new())
}

/// Waits until so many octets of a message have come.
async fn wait_for(arrivals: &Arrivals, octets: usize) {
    let is_there = |seen: &Vec<(Duration, usize)>| seen.last().is_some_and(|last| last.1 >= octets);
    arrivals.subscribe().wait_for(is_there).await.unwrap();
}

fn message(octets: usize) -> Vec<u8> {
    b"a line of 32 octets, line end in\r\n".repeat(octets / 34)
}

#[tokio::test(start_paused = true)]
async fn an_urgent_message_overtakes_a_long_one_in_its_middle() {
    let rig = Rig::new(MIB as u64, Duration::from_mins(3));
    let (bulk, urgent) = (message(5 * MIB), message(MIB));
    let (of_bulk, of_urgent) = (arrivals(), arrivals());
    let later = async {
        wait_for(&of_bulk, MIB).await;
        rig.send(Priority::VeryHigh, &urgent, &of_urgent).await
    };
    let (bulk_taken, urgent_taken) = tokio::join!(rig.send(Priority::Low, &bulk, &of_bulk), later);
    assert!(bulk_taken == bulk && urgent_taken == urgent);

    let (of_bulk, of_urgent) = (of_bulk.borrow(), of_urgent.borrow());
    let (begin, end) = (of_urgent[0].0, of_urgent.last().unwrap().0);
    assert!(
        end < begin + Duration::from_millis(1010),
        "{begin:?} {end:?}"
    );
    let between = |&&(at, _): &&(Duration, usize)| at > begin && at < end;
    assert_eq!(of_bulk.iter().filter(between).count(), 0);
    let all = of_bulk.last().unwrap().0;
    assert!(
        all > Duration::from_millis(5900) && all < Duration::from_millis(6100),
        "{all:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_small_urgent_message_waits_for_one_piece_at_most() {
    for size in [1000, 60_000] {
        let rig = Rig::new(1_250_000, Duration::from_mins(3));
        let (bulk, urgent) = (message(5 * MIB), message(size));
        let (of_bulk, of_urgent) = (arrivals(), arrivals());
        let later = async {
            wait_for(&of_bulk, MIB).await;
            let begin = Paused.instant() - rig.began;
            rig.send(Priority::VeryHigh, &urgent, &of_urgent).await;
            begin
        };
        let (_, begin) = tokio::join!(rig.send(Priority::Low, &bulk, &of_bulk), later);
        let waited = of_urgent.borrow()[0].0.saturating_sub(begin);
        assert!(waited <= Duration::from_millis(21), "{size}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pause_is_longer_than_half_the_time_that_the_peer_waits() {
    let data = Duration::from_secs(4);
    let rig = Rig::new(MIB as u64, data);
    let (of_bulk, of_urgent) = (arrivals(), arrivals());
    let later = async {
        wait_for(&of_bulk, MIB / 2).await;
        rig.send(Priority::High, &message(10 * MIB), &of_urgent)
            .await
    };
    let bulk = message(MIB);
    let (taken, _) = tokio::join!(rig.send(Priority::Low, &bulk, &of_bulk), later);
    assert!(taken == bulk);
    let of_bulk = of_bulk.borrow();
    let pauses = of_bulk
        .windows(2)
        .map(|two| two[1].0.saturating_sub(two[0].0));
    let longest = pauses.max().unwrap();
    assert!(
        longest <= data / 2 && longest + Duration::from_millis(100) > data / 2,
        "{longest:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn small_messages_are_paced_too() {
    let rig = Rig::new(10_000, Duration::from_mins(3));
    let (text, seen) = (message(50_000), arrivals());
    assert!(rig.send(Priority::VeryHigh, &text, &seen).await == text);
    for &(at, octets) in &*seen.borrow() {
        let millis = usize::try_from(at.as_millis()).unwrap() + 21;
        let most = millis * 10 + 1024;
        assert!(octets <= most, "{octets} at {at:?}");
    }
    assert!(seen.borrow().last().unwrap().0 < Duration::from_millis(5100));
}

#[tokio::test(start_paused = true)]
async fn who_keeps_the_time_may_go_away() {
    let pacing = pacing(1000, Duration::from_mins(1));
    let mut first = pacing.enter(Priority::Normal);
    first.turn(1000).await;
    for is_left in [false, true] {
        let mut keeper = pacing.enter(Priority::VeryHigh);
        let mut other = pacing.enter(Priority::Low);
        let mut turn = Box::pin(async { keeper.turn(1000).await });
        let mut waiting = Box::pin(other.turn(1000));
        poll_fn(|context| {
            assert!(turn.as_mut().poll(context).is_pending());
            assert!(waiting.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(turn);
        if is_left {
            drop(keeper);
        }
        assert_eq!(waiting.await, 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_taken_holds_nobody_up() {
    let pacing = pacing(1000, Duration::from_mins(1));
    let (mut one, mut other) = (
        pacing.enter(Priority::Normal),
        pacing.enter(Priority::Normal),
    );
    one.turn(1000).await;
    let mut keeper = Box::pin(one.turn(1000));
    let mut given = Box::pin(async { other.turn(1000).await });
    poll_fn(|context| {
        // The other comes first, since the one has had a turn; but who asked first keeps the time.
        assert!(keeper.as_mut().poll(context).is_pending());
        assert!(given.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    tokio::time::advance(Duration::from_millis(1010)).await;
    poll_fn(|context| {
        // It gives the turn to the other and waits on.
        assert!(keeper.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(given);
    drop(other);
    assert_eq!(keeper.await, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_turn_wakes_two_of_those_who_wait_and_not_all() {
    const TURNS: usize = 20;
    const WAITING: usize = 50;
    let pacing = pacing(100_000, Duration::from_mins(10));
    let polls = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..WAITING {
        let pace = pacing.enter(Priority::Normal);
        let polls = Arc::clone(&polls);
        let mut turns = Box::pin(take_turns(pace, TURNS));
        tasks.spawn(poll_fn(move |context| {
            polls.fetch_add(1, Ordering::Relaxed);
            turns.as_mut().poll(context)
        }));
    }
    while tasks.join_next().await.is_some() {}
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 3 * TURNS * WAITING, "{polls}");
}

async fn take_turns(mut pace: Pace, count: usize) {
    for _ in 0..count {
        pace.turn(2000).await;
    }
}

fn via() -> Via {
    Via {
        address: ([127, 0, 0, 1], 25).into(),
        channel: Channel::Plain,
    }
}

//! A disk on which no write ends for a long time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use posthouse::spool::SpoolAdmin as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::dialogue::Dialogue;
use crate::stage::{PATIENCE, RECIPIENT, SHOP, Stage, runtime, wait_until};
use crate::upstream::OddUpstream;

const QUEUED: &str = "250 2.0.0 ok: queued as ";

/// How many messages wait for the disk.
const CLIENTS: usize = 40;

/// Brings a message to the point at which only the disk is waited for.
fn submit(stage: &Stage, number: usize) -> Dialogue {
    let mut client = stage.client(SHOP);
    client.envelope(&format!("sender{number}@shop.example"), &[RECIPIENT]);
    client.must("DATA", "354");
    let from = format!("From: sender{number}@shop.example\r\n\r\n.\r\n");
    client.send(from.as_bytes());
    client
}

#[test]
fn holds_up_those_who_wait_for_it_and_nobody_else_and_no_message_is_lost_or_doubled() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(0));
    let stage = runtime.block_on(async { Stage::start(Arc::clone(&upstream)) });
    stage.spool.stick();
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| submit(&stage, number)).collect();
    wait_until(|| stage.spool.waiting() == CLIENTS);
    // Others come, are known, greet, begin messages and leave.
    for _ in 0..5 {
        let mut other = stage.client(SHOP);
        other.envelope("other@shop.example", &[RECIPIENT]);
        other.must("RSET", "250");
        other.must("QUIT", "221");
    }
    let early = clients[0].reply_within(Duration::from_millis(50));
    assert_eq!(early, None, "nobody hears that it is stored");
    // One goes away meanwhile. Its message may be stored or not; it was told nothing.
    drop(clients.pop());
    stage.spool.go_on(usize::MAX >> 8);
    for client in &mut clients {
        client.must_reply(QUEUED);
    }
    wait_until(|| stage.spool.waiting() == 0 && upstream.taken().len() >= CLIENTS);
    let mut taken = upstream.taken();
    taken.sort();
    let mut sent: Vec<_> = (0..CLIENTS)
        .map(|number| format!("<sender{number}@shop.example>"))
        .collect();
    sent.sort();
    assert_eq!(taken, sent, "each once");
    runtime.block_on(stage.stop());
}

#[test]
fn does_not_hold_up_a_stop_and_what_nobody_was_told_of_is_not_counted_as_stored() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(0));
    let mut stage = runtime.block_on(async { Stage::start(Arc::clone(&upstream)) });
    stage.spool.stick();
    let mut clients: Vec<_> = (0..3).map(|number| submit(&stage, number)).collect();
    wait_until(|| stage.spool.waiting() == 3);
    stage.spool.go_on(1);
    // Whichever was the first has its reply.
    wait_until(|| stage.spool.waiting() == 2);
    let server = stage.server.take().unwrap();
    let stopped = server.stop(Duration::from_millis(100));
    runtime.block_on(async { tokio::time::timeout(PATIENCE, stopped).await.unwrap() });
    let replies: Vec<_> = clients
        .iter_mut()
        .flat_map(Dialogue::replies_to_the_end)
        .collect();
    let stored = replies.iter().filter(|reply| reply.starts_with(QUEUED));
    assert_eq!(stored.count(), 1, "{replies:?}");
    assert_eq!(stage.parts.connections(), 0);
    assert_eq!(stage.spool.waiting(), 0);
    let list = stage.spool.engine().list(None, 9);
    let kept = runtime.block_on(list).unwrap().len();
    assert_eq!(
        kept, 1,
        "the one that was told of; what became of it is not recorded yet"
    );
    stage.spool.go_on(9);
    runtime.block_on(stage.stop());
}

/// A client waits ten minutes for the reply behind the data (RFC 5321 §4.5.3.2.6); the server must not give up before.
#[test]
fn is_waited_for_as_long_as_a_client_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::start(Arc::new(OddUpstream::new(0)));
        stage.spool.stick();
        let mut client = connect(&stage, SHOP).await;
        for (line, reply) in [
            ("", "220"),
            ("EHLO client.example\r\n", "250"),
            ("MAIL FROM:<a@shop.example>\r\n", "250"),
            ("RCPT TO:<customer@recipient.example>\r\n", "250"),
            ("DATA\r\n", "354"),
        ] {
            client.write_all(line.as_bytes()).await.unwrap();
            assert!(read(&mut client).await.starts_with(reply), "{line}");
        }
        let message = b"From: a@shop.example\r\n\r\nHello.\r\n.\r\n";
        client.write_all(message).await.unwrap();
        while stage.spool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::sleep(Duration::from_mins(10)).await;
        tokio::time::resume();
        let mut octets = [0; 9];
        let early = client.try_read(&mut octets);
        assert!(
            early.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "neither told nor closed"
        );
        stage.spool.go_on(9);
        assert!(read(&mut client).await.starts_with(QUEUED));
        stage.stop().await;
    });
}

async fn connect(stage: &Stage, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(stage.address).await.unwrap()
}

/// Reads a reply of one line, or the first piece of a longer one.
async fn read(client: &mut TcpStream) -> String {
    let mut octets = [0; 4096];
    let count = tokio::time::timeout(PATIENCE, client.read(&mut octets)).await;
    String::from_utf8_lossy(&octets[..count.unwrap().unwrap()]).into_owned()
}

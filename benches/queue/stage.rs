//! Relay, sink and ledger together, and the loads that are put on them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::common::command_line::Place;
use crate::common::configuration::PASSWORD;
use crate::common::figures::Times;
use crate::common::generator;
use crate::common::generator::{Flow, Load, Pace, Reuse, Security};
use crate::common::ledger::Ledger;
use crate::common::run;
use crate::common::run::Measurement;
use crate::common::server::Server;
use crate::common::sink::Sink;
use crate::relay;
use crate::relay::{BULK, Upstreams};
use crate::support::process::wait_for;

/// A relay in front of a sink.
pub(crate) struct Stage {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) sink: Sink,
    pub(crate) relay: Server,
    limit: Duration,
    /// Bound, so that nobody else is, and not listening.
    _nowhere: Socket,
}

/// Messages of one account.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) account: &'static str,
    pub(crate) numbers: Range<u64>,
    pub(crate) sessions: usize,
    pub(crate) size: usize,
    pub(crate) priority: Option<u8>,
    pub(crate) pace: Option<Pace>,
}

impl Stage {
    /// Starts a sink that takes `delay` for each message and an empty relay, for messages `0..count`.
    pub(crate) fn set(place: &Place, count: u64, delay: Duration, keys: &str) -> io::Result<Self> {
        let ledger = Arc::new(Ledger::new(count));
        let sink = Sink::start(Arc::clone(&ledger), delay)?;
        let (nowhere, address) = nowhere()?;
        let upstreams = Upstreams {
            sink: sink.address(),
            nowhere: address,
        };
        let relay = relay::start(place, upstreams, keys)?;
        Ok(Self {
            ledger,
            sink,
            relay,
            limit: place.limit(),
            _nowhere: nowhere,
        })
    }

    /// Ends the relay, does something to its spool, and starts it again.
    pub(crate) fn restart(
        self,
        meanwhile: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Self> {
        Ok(Self {
            relay: self.relay.restart(meanwhile)?,
            ..self
        })
    }

    /// Submits a batch; returns when all of it is acknowledged.
    pub(crate) fn submit(&self, batch: &Batch) -> io::Result<()> {
        self.submit_apart(batch, &self.ledger)
    }

    /// Submits a batch that is counted elsewhere.
    pub(crate) fn submit_apart(&self, batch: &Batch, ledger: &Ledger) -> io::Result<()> {
        let done = generator::run(&self.load(batch)?, ledger);
        done.map_err(|error| self.relay.explain(&error))
    }

    /// Submits a batch and waits until all of it has arrived, once each. Returns the times from end of
    /// data at the client to complete at the sink. Prints those to the acknowledgement.
    pub(crate) fn sample(&self, batch: &Batch) -> io::Result<Times> {
        self.submit(batch)?;
        let numbers = || batch.numbers.clone();
        let count = batch.numbers.end - batch.numbers.start;
        let arrived = wait_for(self.limit, || {
            let balance = self.ledger.balance_of(numbers());
            Ok((balance.arrived == count).then_some(()))
        })?;
        let balance = self.ledger.balance_of(numbers());
        run::check(balance, arrived.is_some()).map_err(|error| self.relay.explain(&error))?;
        let stored = Times::from_nanos(&self.ledger.acknowledgements_of(numbers()));
        stored.print("end of data to acknowledged", "");
        Ok(Times::from_nanos(&self.ledger.latencies_of(numbers())))
    }

    /// Submits a batch, waits until it has arrived, and says how fast it went.
    pub(crate) fn measure(&self, batch: &Batch) -> io::Result<Measurement> {
        let id = self.relay.id();
        let measured = run::measure(&self.load(batch)?, &self.ledger, Some(id));
        measured.map_err(|error| self.relay.explain(&error))
    }

    /// Returns how many messages are acknowledged and have not arrived.
    pub(crate) fn waiting(&self) -> u64 {
        let accepted = self.ledger.accepted_total();
        accepted.saturating_sub(self.ledger.arrived_total())
    }

    /// Ends relay and sink.
    pub(crate) fn clear(self) -> io::Result<()> {
        self.relay.stop()?;
        self.sink.stop()
    }

    fn load(&self, batch: &Batch) -> io::Result<Load> {
        Ok(Load {
            address: self.relay.listener("plain")?,
            sessions: batch.sessions,
            count: batch.numbers.end - batch.numbers.start,
            first: batch.numbers.start,
            size: batch.size,
            flow: Flow::Envelope,
            security: Security::Plain,
            // Hashing passwords is not what is measured.
            login: (batch.account != BULK).then(|| (batch.account.to_owned(), PASSWORD.to_owned())),
            reuse: Reuse::Keep,
            pace: batch.pace,
            priority: batch.priority,
            limit: self.limit,
        })
    }
}

fn nowhere() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?;
    let address = address.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok((socket, address))
}

//! The way of an account's mail: through the running server, its spool and its queue.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::{Clock, SystemClock};
use crate::config::{Checked, Engine};
use crate::control::client::Client;
use crate::control::protocol::{Request, Response, Submitted};
use crate::control::trace::TraceView;
use crate::control::view::Id;
use crate::identity::{AccountName, UpstreamName};
use crate::journal::{Attempt, Event, RecipientFate, Record};

use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::cli::{trace, upstream};

use super::command::{Addresses, Form};
use super::message::TestMessage;

/// How often the server is asked what has become of the message.
const INTERVAL: Duration = Duration::from_millis(100);

/// A test of an account.
pub(super) struct Test<'a> {
    config: &'a Checked,
    account: &'a AccountName,
    addresses: &'a Addresses,
    message: TestMessage,
    form: Form,
    clock: Arc<dyn Clock>,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    way: &'static str,
    account: &'a str,
    from: String,
    to: String,
    outcome: Outcome,
    queue_ids: Vec<Id>,
    reply: String,
    dialogue: Vec<String>,
    events: Vec<Record>,
}

/// What has become of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It was refused for good by an upstream.
    Bounced,
    /// An upstream put it off; it stays in the queue.
    Deferred,
    /// It has left, and nothing is known of how: the journal is off.
    Gone,
    /// The server did not take it.
    Refused,
    /// An upstream has it.
    Relayed,
    /// It waits in the queue.
    Waiting,
}

impl<'a> Test<'a> {
    pub(super) fn new(
        config: &'a Checked,
        account: &'a AccountName,
        addresses: &'a Addresses,
        form: Form,
    ) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            config,
            account,
            addresses,
            message: TestMessage::new(addresses, &config.server.hostname, clock.now())?,
            form,
            clock,
        })
    }

    pub(super) fn run(
        &self,
        mut client: Client,
        wait: Duration,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let begin = self.clock.instant();
        let submitted = self.submit(&mut client)?;
        self.tell(&submitted, output)?;
        let (outcome, events) = match submitted.ids.first() {
            None => (Outcome::Refused, Vec::new()),
            Some(id) => self.follow(&mut client, *id, begin + wait, output)?,
        };
        if self.form == Form::Json {
            output.json(&Report {
                way: "queue",
                account: self.account.as_str(),
                from: self.addresses.from.to_string(),
                to: self.addresses.to.to_string(),
                outcome,
                queue_ids: submitted.ids.clone(),
                reply: submitted.reply.clone(),
                dialogue: submitted.dialogue.clone(),
                events: events.clone(),
            })?;
        }
        if outcome == Outcome::Relayed && self.form == Form::Text {
            let seconds = self.clock.instant().duration_since(begin).as_secs_f64();
            output.styled(Style::Green, format_args!("Relayed in {seconds:.2} s."))?;
        }
        self.conclude(outcome, &submitted, &events, output)
    }

    fn submit(&self, client: &mut Client) -> Result<Submitted, Failure> {
        let request = Request::Submit {
            account: self.account.to_string(),
            sender: self.addresses.from.to_string(),
            recipient: self.addresses.to.to_string(),
            content: self.message.text(),
        };
        if let Response::Submitted(submitted) = client.call(request)?.accepted()? {
            Ok(submitted)
        } else {
            Err(Failure::unexpected_answer())
        }
    }

    fn tell(&self, submitted: &Submitted, output: &mut Output) -> Result<(), Failure> {
        if self.form == Form::Json {
            return Ok(());
        }
        for line in &submitted.dialogue {
            output.line(line)?;
        }
        Ok(())
    }

    /// Asks until an upstream has said something of the message, and tells what happens meanwhile.
    fn follow(
        &self,
        client: &mut Client,
        id: Id,
        until: Instant,
        output: &mut Output,
    ) -> Result<(Outcome, Vec<Record>), Failure> {
        let mut told = 0;
        loop {
            let Response::Trace(view) = client.call(Request::Trace { id })?.accepted()? else {
                return Err(Failure::unexpected_answer());
            };
            if self.form == Form::Text {
                for record in view.events.iter().skip(told) {
                    trace::show(record, output)?;
                }
            }
            told = view.events.len().max(told);
            let is_late = self.clock.instant() >= until;
            let outcome = outcome(&view);
            if outcome != Outcome::Waiting || is_late {
                return Ok((outcome, view.events));
            }
            thread::sleep(INTERVAL);
        }
    }

    fn conclude(
        &self,
        outcome: Outcome,
        submitted: &Submitted,
        events: &[Record],
        output: &mut Output,
    ) -> Result<(), Failure> {
        match outcome {
            Outcome::Gone if self.form == Form::Text => output.styled(
                Style::Yellow,
                "It has left the queue. The journal, which would tell how, is off ([journal] keep).",
            ),
            Outcome::Gone | Outcome::Relayed => Ok(()),
            Outcome::Refused => Err(refused(&submitted.reply)),
            Outcome::Waiting => Err(self.waiting(submitted)),
            Outcome::Bounced => Err(Failure::new(
                Code::Unavailable,
                "an upstream refused the message for good; its words are above",
            )),
            Outcome::Deferred => self.deferred(submitted, events, output),
        }
    }

    /// Looks at the upstream itself, and says what to do.
    fn deferred(
        &self,
        submitted: &Submitted,
        events: &[Record],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let stays = stays(submitted);
        let attempt = events.iter().rev().find_map(attempt_of);
        let name = attempt.and_then(|attempt| UpstreamName::parse(&attempt.upstream).ok());
        let found = name.and_then(|name| Some((self.config.upstreams.get(&name)?, name)));
        let Some((upstream, name)) = found else {
            return Err(Failure::new(Code::Unavailable, stays));
        };
        let Engine::Smtp(settings) = &upstream.engine else {
            return Err(Failure::new(Code::Unavailable, stays));
        };
        if self.form == Form::Json {
            return Err(Failure::new(Code::Unavailable, stays)
                .with_hint(format!("posthouse upstream test {name}")));
        }
        output.styled(Style::Yellow, format_args!("Note: {stays}."))?;
        output.styled(Style::Bold, format_args!("Looking at upstream {name}:"))?;
        upstream::look_at(&name, settings)?;
        Err(Failure::new(Code::Unavailable, stays).with_hint(format!(
            "upstream `{name}` itself is well, so it is this message that it put off: its words are above"
        )))
    }

    /// Says what a message waits for that nobody has attempted.
    fn waiting(&self, submitted: &Submitted) -> Failure {
        let routes = &self.config.routes;
        let route = routes.route_to(self.account, &self.addresses.to);
        let route = route.map(|choice| choice.route.to_string());
        Failure::new(Code::Unavailable, stays(submitted)).with_hint(format!(
            "its upstreams ({}) are busy, paused, parked or drained: `posthouse upstream list` tells",
            route.unwrap_or_default()
        ))
    }
}

fn stays(submitted: &Submitted) -> String {
    let Id(id) = submitted.ids.first().copied().unwrap_or(Id(NO_ID));
    format!(
        "message {id} has not been relayed yet; it stays in the queue (`posthouse queue delete {id}` ends that)"
    )
}

/// Not shown: a message that was refused has no id and does not stay.
const NO_ID: crate::mail::QueueId = crate::mail::QueueId::from_number(0);

fn refused(reply: &str) -> Failure {
    let (code, hint) = if reply.starts_with("550 5.7.1") {
        let hint = "add the sender to authorized_senders or authorized_domains of the account, or use another --from; \
                    `posthouse explain` tells more";
        (Code::NoPermission, hint)
    } else if reply.starts_with('4') {
        let hint = "the server refuses its clients' mail for the same reason; `posthouse status` may tell more";
        (Code::Unavailable, hint)
    } else {
        let hint = "the server refuses its clients' mail for the same reason";
        (Code::Unavailable, hint)
    };
    Failure::new(code, format!("the server answered {reply}")).with_hint(hint)
}

fn attempt_of(record: &Record) -> Option<&Attempt> {
    match &record.event {
        Event::Attempt(attempt) => Some(attempt),
        Event::Accepted(_)
        | Event::Damaged
        | Event::Expired { .. }
        | Event::Operator { .. }
        | Event::Report(_)
        | Event::Reported { .. } => None,
    }
}

/// What is known by now.
fn outcome(view: &TraceView) -> Outcome {
    let last = view.events.iter().rev().find_map(attempt_of);
    let Some(last) = last else {
        let is_off = view.keep_seconds == 0;
        return if is_off && view.message.is_none() {
            Outcome::Gone
        } else {
            Outcome::Waiting
        };
    };
    let mut fates = last.recipients.iter().map(|recipient| recipient.fate);
    match fates.next() {
        Some(RecipientFate::Relayed) => Outcome::Relayed,
        Some(RecipientFate::Deferred) => Outcome::Deferred,
        Some(RecipientFate::Bounced | RecipientFate::Expired) => Outcome::Bounced,
        None => Outcome::Waiting,
    }
}

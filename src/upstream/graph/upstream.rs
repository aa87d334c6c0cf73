//! The upstream itself: attempts as requests.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::http::header::{CONTENT_TYPE, HeaderValue};
use crate::http::{Client, HttpError, Method, Request};
use crate::identity::UpstreamName;
use crate::mail::{
    Attempt, Cause, DeliverByMode, Envelope, Failure, Header, Health, Mailbox, Outcome,
    RecipientIndex, Stage, TlsRequest, Via,
};
use crate::oauth::TokenSource;
use crate::telemetry::chain;
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::{Order, Upstream};

use super::answer::Heard;
use super::judge::{Meaning, Owner, judge};
use super::message::Message;
use super::recipients::{self, Change};
use super::sender::{is_mailbox_name, send_mail, sender};
use super::settings::{Foreign, Settings};
use super::slots::Slots;
use super::submission::Submission;

/// A tenant of Microsoft 365 that takes messages over through Graph.
///
/// Where a request was sent and no answer came, the outcome is [`Outcome::Unknown`]: Graph may have sent the message,
/// and it is tried again. Graph knows no name for a request by which it could tell a second one from the first.
pub struct GraphUpstream {
    settings: Settings,
    client: Client,
    tokens: Arc<dyn TokenSource>,
    submission: Option<Submission>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    slots: Slots,
}

/// What a Graph upstream works with.
pub struct Parts {
    /// Sends the requests.
    pub client: Client,
    /// Gives tokens for Graph.
    pub tokens: Arc<dyn TokenSource>,
    /// Takes what Graph does not; `None` where that is refused.
    pub submission: Option<Submission>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The most requests of one attempt: a bad recipient among many is searched by halves.
const MAX_REQUESTS: usize = 32;

impl GraphUpstream {
    /// Makes an upstream. Connects to nothing.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let permits = settings.connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            settings,
            client: parts.client,
            tokens: parts.tokens,
            submission: parts.submission,
            clock: parts.clock,
            permits: Semaphore::new(permits),
            slots: Slots::default(),
        }
    }

    /// Returns what it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn run(&self, mut order: Order<'_>) -> Tally {
        let size = order.body.size();
        let read = Message::read(order.body.as_mut(), self.settings.message_size).await;
        let message = match read {
            Ok(message) => message,
            Err(error) => return Tally::of(order.recipients, &unreadable(&error), Health::Good),
        };
        let header = Header::parse(message.header()).ok();
        let (mailbox, owner) = match &self.settings.mailbox {
            Some(mailbox) => (Some(mailbox.clone()), Owner::Configured),
            None => (sender(order.envelope, header.as_ref()), Owner::Sender),
        };
        let Some(mailbox) = mailbox.filter(is_mailbox_name) else {
            return Tally::of(order.recipients, &no_sender(), Health::Good);
        };
        let Some(header) = header.filter(|_| size <= self.settings.message_size) else {
            let outcome = if size > self.settings.message_size {
                too_large()
            } else {
                not_as_it_is()
            };
            return self.by_other_path(order, &mailbox, outcome).await;
        };
        if let Some(lack) = lack(order.envelope) {
            return self.by_other_path(order, &mailbox, lack).await;
        }
        let task = Task {
            message: &message,
            header: &header,
            mailbox: &mailbox,
            owner,
        };
        self.by_graph(order, &task).await
    }

    /// Sends a message to its recipients, in as many requests as it takes.
    async fn by_graph(&self, order: Order<'_>, task: &Task<'_, '_>) -> Tally {
        let (able, unable) = addresses(&order);
        if !unable.is_empty() && self.submission.is_some() {
            return self.by_other_path(order, task.mailbox, no_smtputf8()).await;
        }
        let mut tally = Tally::of(&unable, &no_smtputf8(), Health::Good);
        let mut batches = if able.is_empty() { vec![] } else { vec![able] };
        let mut requests = 0;
        while let Some(batch) = batches.pop() {
            if requests == MAX_REQUESTS {
                tally.add(Tally::of(&indices(&batch), &too_many_bad(), Health::Good));
                continue;
            }
            requests += 1;
            let (outcome, health) = match self.hand_over(task, &batch).await {
                Ended::Judged(outcome, health) => (outcome, health),
                Ended::BadRecipient(outcome) if batch.len() == 1 => (outcome, Health::Good),
                Ended::BadRecipient(_) => {
                    batches.extend(halves(batch));
                    continue;
                }
                Ended::OtherPath(outcome) => {
                    let left: Vec<_> = batches.into_iter().flatten().chain(batch).collect();
                    let recipients = &indices(&left);
                    let order = Order {
                        recipients,
                        ..order
                    };
                    tally.add(self.by_other_path(order, task.mailbox, outcome).await);
                    return tally;
                }
            };
            if health != Health::Good {
                // The others would fare no better.
                let left = indices(&batches.drain(..).flatten().collect::<Vec<_>>());
                tally.add(Tally::of(&left, &unsent(&outcome), Health::Good));
            }
            tally.add(Tally::of(&indices(&batch), &outcome, health));
        }
        tally
    }

    /// Sends a message to some of its recipients in one request.
    async fn hand_over(&self, task: &Task<'_, '_>, batch: &[Addressee]) -> Ended {
        let mailboxes: Vec<&Mailbox> = batch.iter().map(|(_, mailbox)| mailbox).collect();
        let addressed = recipients::address(task.header, &mailboxes);
        if addressed.change == Change::Visible
            && self.settings.foreign == Foreign::Smtp
            && self.submission.is_some()
        {
            return Ended::OtherPath(not_as_it_is());
        }
        if task.message.size_with(&addressed.block) > self.settings.message_size {
            return Ended::OtherPath(too_large());
        }
        let content = task.message.content_with(&addressed.block);
        match self.post(task.mailbox, task.owner, content).await {
            Ok(Meaning::Judged(outcome, health) | Meaning::NewToken(outcome, health)) => {
                Ended::Judged(outcome, health)
            }
            Ok(Meaning::BadRecipient(outcome)) => Ended::BadRecipient(outcome),
            Ok(Meaning::OtherPath(outcome)) => Ended::OtherPath(outcome),
            Err(Judgement { outcome, health }) => Ended::Judged(outcome, health),
        }
    }

    /// Makes a request, and once more with another token where this one is refused.
    async fn post(
        &self,
        mailbox: &Mailbox,
        owner: Owner,
        content: Bytes,
    ) -> Result<Meaning, Judgement> {
        let Some(url) = send_mail(&self.settings.endpoint, mailbox) else {
            let text = "the address of Graph cannot be used";
            return Err(classify::unusable(Stage::Connect, text.into()));
        };
        let request = Request {
            method: Method::POST,
            body: content,
            ..Request::get(url)
        };
        let request = request.with(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let _slot = self.slots.enter(mailbox).await;
        let token = self.tokens.token().await.map_err(classify::no_token)?;
        let meaning = self.ask(&request, token.expose(), owner).await?;
        let Meaning::NewToken(..) = meaning else {
            return Ok(meaning);
        };
        self.tokens.reject(&token);
        let other = self.tokens.token().await.map_err(classify::no_token)?;
        if other == token {
            // It is too young to have become old meanwhile: what is wrong is something else.
            return Ok(meaning);
        }
        self.ask(&request, other.expose(), owner).await
    }

    async fn ask(
        &self,
        request: &Request,
        token: &str,
        owner: Owner,
    ) -> Result<Meaning, Judgement> {
        let request = request.clone().with_bearer(token);
        let answer = self.client.send(request, self.settings.timeout).await;
        let answer = answer.map_err(|error| no_answer(&error))?;
        let heard = Heard::read(answer.status, &answer.body);
        if answer.is_success() && answer.status != 202 {
            tracing::error!(
                status = answer.status,
                "graph answered with success and has not taken the message"
            );
        }
        Ok(judge(&heard, answer.retry_after(self.clock.now()), owner))
    }

    /// Sends a message by SMTP, where that is configured; else its recipients have this outcome.
    async fn by_other_path(
        &self,
        mut order: Order<'_>,
        mailbox: &Mailbox,
        otherwise: Outcome,
    ) -> Tally {
        let Some(submission) = &self.submission else {
            return Tally::of(order.recipients, &otherwise, Health::Good);
        };
        // What is wrong with the application's identity is wrong with Graph too.
        if let Err(error) = self.tokens.token().await {
            let Judgement { outcome, health } = classify::no_token(error);
            return Tally::of(order.recipients, &outcome, health);
        }
        if let Err(error) = order.body.rewind() {
            return Tally::of(order.recipients, &unreadable(&error), Health::Good);
        }
        let upstream = match submission.of(mailbox) {
            Ok(upstream) => upstream,
            Err(error) => {
                let Judgement { outcome, .. } =
                    classify::unusable(Stage::Tls, chain(&error).into());
                return Tally::of(order.recipients, &outcome, Health::Good);
            }
        };
        let attempt = upstream.attempt(order).await;
        if attempt.health == Health::Unusable {
            tracing::error!(
                %mailbox,
                error = first_problem(&attempt),
                "what graph does not take cannot go by smtp either; it waits until this is repaired"
            );
        }
        // The health of SMTP is not that of Graph, which goes on.
        Tally {
            outcomes: attempt.outcomes,
            health: Health::Good,
            other: Some((attempt.host, attempt.via)),
        }
    }
}

#[async_trait]
impl Upstream for GraphUpstream {
    fn name(&self) -> &UpstreamName {
        &self.settings.name
    }

    fn recipients(&self) -> usize {
        self.settings.recipients_per_message.max(1)
    }

    async fn attempt(&self, order: Order<'_>) -> Attempt {
        // The semaphore is never closed; if it were, the dispatcher bounds attempts all the same.
        let _permit = self.permits.acquire().await;
        let tally = self.run(order).await;
        let host = self.settings.endpoint.host_str().map(Into::into);
        let (host, via) = tally.other.unwrap_or((host, None));
        Attempt {
            outcomes: tally.outcomes,
            health: tally.health,
            host,
            via,
        }
    }

    async fn tidy(&self, now: Instant) {
        self.slots.tidy();
        if let Some(submission) = &self.submission {
            submission.tidy(now).await;
        }
    }
}

/// A message that goes by Graph.
struct Task<'a, 'h> {
    message: &'a Message,
    header: &'a Header<'h>,
    mailbox: &'a Mailbox,
    owner: Owner,
}

/// How a request ended.
enum Ended {
    /// One of its recipients is no address for Graph.
    BadRecipient(Outcome),
    Judged(Outcome, Health),
    /// Graph does not take the message. What becomes of it where there is no other path.
    OtherPath(Outcome),
}

/// What became of recipients so far.
struct Tally {
    outcomes: Vec<(RecipientIndex, Outcome)>,
    health: Health,
    /// Where it went, if not to Graph.
    other: Option<(Option<Box<str>>, Option<Via>)>,
}

impl Tally {
    fn of(recipients: &[RecipientIndex], outcome: &Outcome, health: Health) -> Self {
        let outcomes = recipients.iter().map(|&index| (index, outcome.clone()));
        Self {
            outcomes: outcomes.collect(),
            health,
            other: None,
        }
    }

    fn add(&mut self, more: Self) {
        let health = std::mem::replace(&mut self.health, Health::Good);
        self.health = classify::worse(health, more.health);
        self.outcomes.extend(more.outcomes);
        self.other = more.other.or(self.other.take());
    }
}

/// Recipients as they are written for Graph, and those that cannot be.
fn addresses(order: &Order<'_>) -> (Vec<Addressee>, Vec<RecipientIndex>) {
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for &index in order.recipients {
        let recipient = order.envelope.recipients.get(usize::from(index.0));
        match recipient.and_then(|recipient| recipient.forward_path.mailbox().to_ascii()) {
            Some(mailbox) => able.push((index, mailbox)),
            None => unable.push(index),
        }
    }
    (able, unable)
}

type Addressee = (RecipientIndex, Mailbox);

fn indices(batch: &[Addressee]) -> Vec<RecipientIndex> {
    batch.iter().map(|(index, _)| *index).collect()
}

/// Returns the second half and the first, so that the first is taken next.
fn halves(mut batch: Vec<Addressee>) -> [Vec<Addressee>; 2] {
    let second = batch.split_off(batch.len() / 2);
    [second, batch]
}

/// What a request that got no answer means.
fn no_answer(error: &HttpError) -> Judgement {
    let text = error.to_string();
    match error {
        // Graph may have sent the message.
        HttpError::Broken { .. } | HttpError::TooLarge { .. } => {
            unknown(Cause::Broken(text.into()))
        }
        HttpError::Timeout { .. } => unknown(Cause::Timeout),
        HttpError::Certificate { .. } => classify::unusable(Stage::Tls, text.into()),
        HttpError::Address { .. } => classify::unusable(Stage::Connect, text.into()),
        HttpError::Connect { .. } => classify::broken(Stage::Connect, Break::Closed(text.into())),
        HttpError::Tls { .. } => classify::broken(Stage::Tls, Break::Closed(text.into())),
    }
}

fn unknown(cause: Cause) -> Judgement {
    Judgement {
        outcome: Outcome::Unknown(Failure::new(Stage::Final, cause)),
        health: Health::Good,
    }
}

/// What becomes of recipients that were not tried because of what became of others.
fn unsent(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            Outcome::Deferred(failure.clone())
        }
        Outcome::Relayed(..) => too_many_bad(),
    }
}

fn too_many_bad() -> Outcome {
    let text = "Graph takes some recipients for no addresses, and not all of them are known yet";
    let failure = Failure::new(Stage::Recipient, Cause::Broken(text.into()));
    Outcome::Deferred(failure)
}

fn unreadable(error: &std::io::Error) -> Outcome {
    let text = format!("the stored message cannot be read: {error}");
    Outcome::Deferred(Failure::new(Stage::Content, Cause::Broken(text.into())))
}

fn no_sender() -> Outcome {
    let text = "the message names no sender who can have a mailbox; the key `mailbox` of this upstream names one \
                for all";
    Outcome::Rejected(Failure::new(Stage::Sender, Cause::Unusable(text.into())))
}

fn no_smtputf8() -> Outcome {
    Outcome::Rejected(Failure::new(
        Stage::Recipient,
        Cause::Capability("SMTPUTF8"),
    ))
}

/// What becomes of a message that asks for something which Graph has no words for, and which must not go without it.
fn lack(envelope: &Envelope) -> Option<Outcome> {
    let must_not_be_late = envelope
        .deliver_by
        .is_some_and(|by| by.mode == DeliverByMode::Return);
    let what = match envelope.tls {
        TlsRequest::Required => "REQUIRETLS",
        TlsRequest::Optional | TlsRequest::Unsaid if must_not_be_late => "DELIVERBY",
        TlsRequest::Optional | TlsRequest::Unsaid => return None,
    };
    let failure = Failure::new(Stage::Sender, Cause::Capability(what));
    Some(Outcome::Rejected(failure))
}

fn too_large() -> Outcome {
    let cause = Cause::Capability("messages of this size");
    Outcome::Rejected(Failure::new(Stage::Content, cause))
}

fn not_as_it_is() -> Outcome {
    let cause = Cause::Capability("messages with this header");
    Outcome::Rejected(Failure::new(Stage::Content, cause))
}

fn first_problem(attempt: &Attempt) -> String {
    let problem = attempt
        .outcomes
        .iter()
        .find_map(|(_, outcome)| match outcome {
            Outcome::Relayed(..) => None,
            Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
                Some(failure.to_string())
            }
        });
    problem.unwrap_or_default()
}

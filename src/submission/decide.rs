//! Answers to a session's questions, from accounts, policy, routes and spool.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::auth::{Evidence, ScramVerifier};
use crate::clock::Timestamp;
use crate::identity::{Identity, Route};
use crate::journal;
use crate::mail::{Envelope, MtPriority, QueueId};
use crate::policy::{OnUnauthorized, Verdict, authorize_reverse_path};
use crate::quota::{Amounts, Pass, Reservation};
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::server::{AskCommit, AskMessage, AskRecipient, AskSender, Question, Session};
use crate::spool::{Draft, Message, SpoolError};
use crate::telemetry;
use crate::token::Grant;

use super::certificate::Certificate;
use super::counts::Event;
use super::fault;
use super::intake::{Complete, Intake, Origin, Part, Refusal};
use super::parts::ServerParts;
use super::quota;
use super::story::{Grounds, Story};
use super::stream::Stream;
use super::terms::terms;
use super::unauthorized::Notice;

/// Answers the questions of one session, and keeps its message in progress.
pub(super) struct Decider {
    pub(super) parts: Arc<ServerParts>,
    pub(super) peer: IpAddr,
    /// The same, where it is the client's for certain: who is trusted for an address is trusted for this one.
    pub(super) known: Option<IpAddr>,
    session: u64,
    /// By what the client has shown who it is, once it has logged in.
    pub(super) evidence: Option<Evidence>,
    /// What the client is to prove that it knows the password of.
    pub(super) scram: Option<ScramVerifier>,
    /// What it has shown in the handshake.
    pub(super) certificate: Option<Certificate>,
    /// What its access token gives, where it has logged in with one.
    pub(super) grant: Option<Grant>,
    /// The session as it is counted for its account.
    pub(super) pass: Option<Pass>,
    intake: Option<(Intake, Reservation)>,
    /// The messages that were stored last.
    committed: Vec<QueueId>,
}

impl Decider {
    pub(super) fn new(
        parts: Arc<ServerParts>,
        (peer, known): (IpAddr, Option<IpAddr>),
        session: u64,
    ) -> Self {
        Self {
            parts,
            peer,
            known,
            session,
            evidence: None,
            scram: None,
            certificate: None,
            grant: None,
            pass: None,
            intake: None,
            committed: Vec::new(),
        }
    }

    /// Returns the messages that were stored last, in the order of their routes.
    pub(super) fn into_committed(self) -> Vec<QueueId> {
        self.committed
    }

    /// Answers a question of the session; `client` is its connection, where it has one.
    pub(super) async fn answer(
        &mut self,
        question: Question,
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        match question {
            Question::Credentials(ask) => self.credentials(ask, session, client).await,
            Question::Scram(ask) => self.scram(ask, session, client).await,
            Question::Sender(ask) => self.sender(ask, session),
            Question::Recipient(ask) => self.recipient(ask, session),
            Question::Message(ask) => self.message(ask, session).await,
            Question::Commit(ask) => self.commit(ask, session).await,
        }
    }

    /// Takes octets of the message in progress.
    pub(super) async fn body(&mut self, octets: Bytes) {
        if let Some((intake, _)) = &mut self.intake {
            intake.push(octets).await;
        }
    }

    /// Throws the message in progress away.
    pub(super) fn discard(&mut self) {
        self.intake = None;
    }

    fn sender(&mut self, ask: AskSender, session: &mut Session) {
        let Some(identity) = self.identity(session) else {
            return ask.refuse(session, &replies::AUTH_REQUIRED, "");
        };
        let directory = self.parts.directory();
        let profile = directory.profiles.get(&identity.account);
        let may_send = directory.routes.may_send(&identity.account);
        let Some(profile) = profile.filter(|_| may_send) else {
            tracing::warn!(account = %identity.account, "no upstream, or sending is disabled");
            return ask.refuse(session, &replies::SENDING_DISABLED, "");
        };
        if let Verdict::Deny(denial) = authorize_reverse_path(&profile.rules, ask.reverse_path()) {
            match profile.rules.on_unauthorized {
                // Told at the end of the data, where the header is judged with it.
                OnUnauthorized::Alert | OnUnauthorized::Hold | OnUnauthorized::Rewrite(_) => {}
                OnUnauthorized::Reject => {
                    self.notice(&identity).refused(&denial);
                    return ask.refuse(
                        session,
                        &replies::SENDER_NOT_AUTHORIZED,
                        &denial.to_string(),
                    );
                }
            }
        }
        let claimed = ask.parameters().mt_priority.map(MtPriority::priority);
        let highest = profile.highest_priority(claimed);
        if let Some(pressure) = self.parts.spool.pressure(highest) {
            tracing::debug!(account = %identity.account, ?pressure, "refused for want of room");
            return ask.refuse(session, &replies::SPOOL_FULL, "");
        }
        if !self.enter(&identity) {
            return ask.refuse(session, &replies::TOO_MANY_SESSIONS, "");
        }
        let amounts = Amounts {
            messages: 1,
            octets: ask.parameters().size.unwrap_or_default(),
            recipients: 0,
        };
        let now = self.parts.clock.now();
        let allowed = quota::check(&self.parts, &identity.account, amounts)
            .and_then(|()| terms(ask.parameters(), session.limits(), profile, now));
        match allowed {
            Ok(terms) => ask.allow(session, terms),
            Err(Refusal { reply, detail }) => ask.refuse(session, &reply, &detail),
        }
    }

    fn recipient(&self, ask: AskRecipient, session: &mut Session) {
        let Some(identity) = session.identity() else {
            return ask.refuse(session, &replies::AUTH_REQUIRED, "");
        };
        let account = &identity.account;
        let routes = &self.parts.directory().routes;
        let mailbox = ask.recipient().forward_path.mailbox();
        if routes.route_to(account, mailbox).is_none() {
            tracing::info!(%account, recipient = %mailbox, "no route to the recipient");
            let reply = if routes.may_send(account) {
                replies::RECIPIENT_NOT_ROUTED
            } else {
                replies::SENDING_DISABLED
            };
            return ask.refuse(session, &reply, "");
        }
        let amounts = Amounts {
            recipients: ask.envelope().recipients.len() as u64 + 1,
            ..Amounts::default()
        };
        match quota::check(&self.parts, &identity.account, amounts) {
            Ok(()) => ask.allow(session),
            Err(Refusal { reply, detail }) => ask.refuse(session, &reply, &detail),
        }
    }

    async fn message(&mut self, ask: AskMessage, session: &mut Session) {
        let Some(identity) = self.identity(session) else {
            return ask.refuse(session, &replies::AUTH_REQUIRED, "");
        };
        let amounts = Amounts {
            messages: 1,
            octets: 0,
            recipients: ask.envelope().recipients.len() as u64,
        };
        let reservation = match quota::reserve(&self.parts, &identity.account, amounts) {
            Ok(reservation) => reservation,
            Err(Refusal { reply, detail }) => return ask.refuse(session, &reply, &detail),
        };
        let routes = self.divide(&identity, ask.envelope());
        let origin = self.origin(identity, session);
        let (Some(origin), Some(routes)) = (origin, routes) else {
            return ask.refuse(session, &replies::SENDING_DISABLED, "");
        };
        match self.drafts(routes).await {
            Ok(parts) => {
                let accepted = self.parts.clock.now();
                let intake = Intake::new(origin, ask.begin(session), parts, accepted);
                self.intake = Some((intake, reservation));
            }
            Err(error) => {
                tracing::error!(error = telemetry::chain(&error), "cannot begin a message");
                fault::raise(&error, &*self.parts.spool, &self.parts.alerts);
                ask.refuse(session, &spool_reply(&error), "");
            }
        }
    }

    fn notice<'a>(&'a self, identity: &'a Identity) -> Notice<'a> {
        Notice {
            counts: &self.parts.counts,
            alerts: &self.parts.alerts,
            identity,
        }
    }

    fn origin(&self, identity: Identity, session: &Session) -> Option<Origin> {
        let directory = self.parts.directory();
        Some(Origin {
            profile: directory.profiles.get(&identity.account)?.clone(),
            identity,
            app_password: self.evidence.as_ref().and_then(Evidence::label).cloned(),
            hostname: directory.hostname.clone(),
            peer: self.peer,
            session: self.session,
            client: session.client().clone(),
            tls: session.tls().cloned(),
            counts: Arc::clone(&self.parts.counts),
            alerts: self.parts.alerts.clone(),
            spool: Arc::clone(&self.parts.spool),
        })
    }

    /// Divides the recipients by their routes; `None` where one has none any more, or sending has been disabled.
    fn divide(&self, identity: &Identity, envelope: &Envelope) -> Option<Vec<(Route, Vec<usize>)>> {
        let directory = self.parts.directory();
        let recipients = envelope.recipients.iter();
        let mailboxes = recipients.map(|recipient| recipient.forward_path.mailbox());
        let is_allowed = directory.routes.may_send(&identity.account);
        let divided = directory.routes.divide(&identity.account, mailboxes);
        divided.filter(|_| is_allowed)
    }

    /// Opens a draft for each route.
    async fn drafts(&self, routes: Vec<(Route, Vec<usize>)>) -> Result<Vec<Part>, SpoolError> {
        let mut parts = Vec::with_capacity(routes.len());
        for (route, recipients) in routes {
            parts.push(Part {
                draft: self.parts.spool.draft().await?,
                route,
                recipients,
            });
        }
        Ok(parts)
    }

    async fn commit(&mut self, ask: AskCommit, session: &mut Session) {
        let Some((intake, mut reservation)) = self.intake.take() else {
            tracing::error!("a message ended that had not begun");
            return ask.refuse(session, &replies::INTERNAL_ERROR, "");
        };
        // Hours may have gone by: whoever may not begin a message any more does not end one either. What ends by itself, such
        // as a token, may have ended meanwhile.
        if self.identity_at(session, intake.accepted()).is_none() {
            self.parts.counts.count(Event::Refused);
            tracing::info!(
                code = replies::AUTH_REQUIRED.code(),
                reason = "the account has changed since the message began",
                "message refused"
            );
            return ask.refuse(session, &replies::AUTH_REQUIRED, "");
        }
        let finished = match intake.finish().await {
            Ok(complete) => quota::charge(&self.parts, &mut reservation, complete),
            Err(refusal) => Err(refusal),
        };
        let Complete { parts, story } = match finished {
            Ok(complete) => complete,
            Err(Refusal { reply, detail }) => {
                self.parts.counts.count(Event::Refused);
                let account = session.identity();
                let account = account.map(|identity| identity.account.to_string());
                let (code, reason) = (reply.code(), &detail);
                tracing::info!(code, account, reason, "message refused");
                return ask.refuse(session, &reply, &detail);
            }
        };
        let told = self.told(&parts, &story);
        match self.store(parts).await {
            Ok(ids) => {
                reservation.keep();
                if let Grounds::Held(denial) = &story.grounds {
                    self.notice(&story.identity).held(denial, &listed(&ids));
                }
                for (queue_id, (accepted, event)) in ids.iter().zip(told) {
                    self.parts.counts.count(Event::Accepted);
                    accepted.log(*queue_id);
                    if let Some(event) = event {
                        self.parts.journal.record(*queue_id, || event);
                    }
                }
                ask.committed(session, &listed(&ids));
                self.committed = ids;
            }
            Err(error) => {
                tracing::error!(error = telemetry::chain(&error), "cannot store a message");
                fault::raise(&error, &*self.parts.spool, &self.parts.alerts);
                ask.refuse(session, &spool_reply(&error), "");
            }
        }
    }

    /// Returns what log and journal tell of each message, once it is durable.
    fn told(
        &self,
        parts: &[(Box<dyn Draft>, Message)],
        story: &Story,
    ) -> Vec<(Accepted, Option<journal::Event>)> {
        let ids: Vec<QueueId> = parts.iter().map(|(draft, _)| draft.id()).collect();
        let is_on = self.parts.journal.is_on();
        let told = |(draft, message): &(Box<dyn Draft>, Message)| {
            let others = ids.iter().copied().filter(|id| *id != draft.id());
            let others: Vec<QueueId> = others.collect();
            let event = is_on.then(|| story.tell(message, draft.size(), &others));
            let accepted = Accepted::of((&**draft, message), &others, &story.grounds);
            (accepted, event)
        };
        parts.iter().map(told).collect()
    }

    /// Makes all parts durable, or none.
    async fn store(
        &self,
        mut parts: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError> {
        let spool = &self.parts.spool;
        match (parts.pop(), parts.is_empty()) {
            (Some((draft, message)), true) => Ok(vec![spool.commit(draft, message).await?]),
            (Some(last), false) => {
                parts.push(last);
                spool.commit_all(parts).await
            }
            (None, _) => Ok(Vec::new()),
        }
    }
}

/// Returns the ids for the reply to a client, as many as the line has room for.
fn listed(ids: &[QueueId]) -> String {
    let shown: Vec<_> = ids
        .iter()
        .take(MAX_LISTED)
        .map(ToString::to_string)
        .collect();
    let shown = shown.join(", ");
    match ids.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// How many ids a reply names. A reply line holds 512 octets.
const MAX_LISTED: usize = 30;

/// What the log tells of an accepted message; noted before the spool takes it over.
struct Accepted {
    account: String,
    reverse_path: String,
    recipients: usize,
    size: u64,
    priority: u8,
    message_id: Option<Box<str>>,
    /// When it may leave, where it is scheduled or paced.
    due: Option<Timestamp>,
    /// The other messages that its transaction became.
    siblings: Option<String>,
    /// What decided that its senders may be used, or what is wrong with them.
    senders: String,
    is_held: bool,
}

impl Accepted {
    fn of(
        (draft, message): (&dyn Draft, &Message),
        siblings: &[QueueId],
        grounds: &Grounds,
    ) -> Self {
        Self {
            account: message
                .account
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            reverse_path: message.envelope.reverse_path.to_string(),
            recipients: message.envelope.recipients.len(),
            size: draft.size(),
            priority: message.priority.number(),
            message_id: message.message_id.clone(),
            due: Some(message.due).filter(|due| *due > message.accepted),
            siblings: (!siblings.is_empty()).then(|| listed(siblings)),
            senders: grounds.audit(),
            is_held: message.held.is_some(),
        }
    }

    fn log(&self, queue_id: QueueId) {
        tracing::info!(
            %queue_id,
            account = %self.account,
            reverse_path = self.reverse_path,
            recipients = self.recipients,
            size = self.size,
            priority = self.priority,
            message_id = self.message_id.as_deref(),
            due = self.due.map(tracing::field::display),
            siblings = self.siblings,
            senders = self.senders,
            held = self.is_held.then_some(true),
            "accepted"
        );
    }
}

/// Returns what a client hears of a fault of the spool; never the fault's own text.
pub(super) fn spool_reply(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Full => replies::SPOOL_FULL,
        SpoolError::Corrupt(_) | SpoolError::LeaseLost(_) | SpoolError::Unavailable(_) => {
            replies::SPOOL_UNAVAILABLE
        }
    }
}

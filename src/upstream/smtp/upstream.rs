//! The upstream itself: attempts over pooled connections.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::identity::UpstreamName;
use crate::mail::{Attempt, Cause, Channel, Failure, Health, Outcome, RecipientIndex, Stage, Via};
use crate::mta_sts::Policies;
use crate::oauth::TokenSource;
use crate::tls::client::{ClientTlsError, PeerCertificate};
use crate::upstream::{Order, Upstream};

use super::assurance::Need;
use super::connect::{Connector, Unconnected};
use super::connection::{Connection, Transfer};
use super::exchange::Ended;
use super::outgoing::{Message, Rules, unreadable};
use super::pool::Pool;
use super::settings::Settings;
use super::transcript::{Observer, Transcript};
use super::wire::ReplyWanted;

/// An SMTP or SMTPS server that takes messages over.
///
/// Connections are kept and used again, the one used last first. What is sent to which server is decided by
/// [`Settings`] alone; a change of them means a new value.
pub struct SmtpUpstream {
    pub(super) connector: Connector,
    pool: Pool,
    pub(super) clock: Arc<dyn Clock>,
}

impl SmtpUpstream {
    /// Makes an upstream. Reads certificate authorities; opens no connection.
    ///
    /// # Errors
    /// [`ClientTlsError`] where the certificate authorities cannot be read.
    pub fn new(
        settings: Settings,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientTlsError> {
        Ok(Self {
            pool: Pool::new(settings.connections),
            connector: Connector::new(settings, resolver, Arc::clone(&clock))?,
            clock,
        })
    }

    /// Makes it keep the policies of domains (RFC 8461), where its settings say so.
    #[must_use]
    pub fn with_policies(mut self, policies: Arc<Policies>) -> Self {
        self.connector = self.connector.with_policies(policies);
        self
    }

    /// Logs in with tokens from this source instead of one of its own, so that several upstreams share them.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenSource>) -> Self {
        self.connector.share_tokens(tokens);
        self
    }

    /// Returns what it was told.
    pub fn settings(&self) -> &Settings {
        &self.connector.settings
    }

    /// Does what [`Upstream::attempt`] does over a connection of its own, while `transcript` reads along from the look-up
    /// to QUIT.
    pub async fn attempt_observed(
        &self,
        order: Order<'_>,
        transcript: Arc<dyn Transcript>,
    ) -> Attempt {
        let observer = Observer::new(transcript, Arc::clone(&self.clock));
        self.run(order, Some(observer)).await
    }

    async fn run(&self, order: Order<'_>, observer: Option<Observer>) -> Attempt {
        // The semaphore is never closed; if it were, the dispatcher bounds attempts all the same.
        let _permit = self.pool.permit().await;
        let mut message = match Message::load(order.body).await {
            Ok(message) => message,
            Err(error) => {
                return Attempt {
                    outcomes: unreadable(order.recipients, &error),
                    via: None,
                    health: Health::Good,
                    host: None,
                };
            }
        };
        let mut transfer = Transfer {
            envelope: order.envelope,
            envelope_sender: self.settings().envelope_sender.as_ref(),
            recipients: order.recipients,
            priority: order.priority,
            now: self.clock.now(),
            rules: Rules::of(self.settings()),
        };
        let observer = observer.as_ref();
        let (mut attempt, mut left) = self.transact(transfer, &mut message, observer).await;
        // The upstream takes fewer recipients at once.
        while !left.is_empty() && attempt.health == Health::Good {
            let recipients = left;
            transfer.now = self.clock.now();
            let next = Transfer {
                recipients: &recipients,
                ..transfer
            };
            let (next, rest) = self.transact(next, &mut message, observer).await;
            attempt = joined(attempt, next);
            left = rest;
        }
        attempt.outcomes.extend(left.into_iter().map(unasked));
        attempt
    }

    /// Runs one transaction, over a kept connection or a new one. Returns the recipients too that it was not for, since the
    /// upstream takes no more at once.
    async fn transact(
        &self,
        transfer: Transfer<'_>,
        message: &mut Message,
        observer: Option<&Observer>,
    ) -> (Attempt, Vec<RecipientIndex>) {
        let need = Need::of(transfer.envelope);
        let does = |connection: &Connection| {
            (need != Need::Verified || connection.lack().is_none()) && connection.admits(&transfer)
        };
        if observer.is_none() {
            if let Some(mut connection) = self.pool.take(does).await {
                let (ended, left) = divided(&mut connection, transfer, message).await;
                // An upstream may close an idle connection at any time, and sometimes that shows only now.
                if !ended.is_stale {
                    let attempt = attempt_over(&connection, ended);
                    self.put_back(connection).await;
                    return (attempt, left);
                }
            }
            if let Some(other) = self.pool.take(|connection| !does(connection)).await {
                // There are never more connections than permits, so one that does not do makes room.
                other.quit(ReplyWanted::No).await;
            }
        }
        self.transact_anew(transfer, message, observer).await
    }

    /// Runs one transaction over a new connection, as [`SmtpUpstream::transact`] does.
    async fn transact_anew(
        &self,
        transfer: Transfer<'_>,
        message: &mut Message,
        observer: Option<&Observer>,
    ) -> (Attempt, Vec<RecipientIndex>) {
        let need = Need::of(transfer.envelope);
        let silent = Observer::default();
        match self
            .connector
            .connect(need, observer.unwrap_or(&silent))
            .await
        {
            Ok(mut connection) => {
                let (ended, left) = divided(&mut connection, transfer, message).await;
                let attempt = attempt_over(&connection, ended);
                if observer.is_some() {
                    connection.quit(ReplyWanted::Yes).await;
                } else {
                    self.put_back(connection).await;
                }
                (attempt, left)
            }
            Err(Unconnected {
                judgement, address, ..
            }) => {
                let outcome = |&index| (index, judgement.outcome.clone());
                let attempt = Attempt {
                    outcomes: transfer.recipients.iter().map(outcome).collect(),
                    health: judgement.health,
                    host: Some(self.settings().host.as_str().into()),
                    via: address.map(|address| Via {
                        address,
                        channel: Channel::Failed,
                    }),
                };
                (attempt, Vec::new())
            }
        }
    }

    async fn put_back(&self, connection: Connection) {
        if !connection.is_reusable() {
            return connection.quit(ReplyWanted::No).await;
        }
        if connection.messages >= self.settings().messages_per_connection {
            connection.quit(ReplyWanted::No).await;
        } else {
            self.pool.put(connection, self.clock.instant());
        }
    }
}

#[async_trait]
impl Upstream for SmtpUpstream {
    fn name(&self) -> &UpstreamName {
        &self.settings().name
    }

    fn recipients(&self) -> usize {
        self.settings().recipients_per_message.max(1)
    }

    async fn attempt(&self, order: Order<'_>) -> Attempt {
        self.run(order, None).await
    }

    async fn tidy(&self, now: Instant) {
        for connection in self.pool.expired(now, self.settings().keep_idle) {
            connection.quit(ReplyWanted::No).await;
        }
    }

    fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        self.connector.certificate()
    }
}

/// Runs a transaction for as many recipients as a connection takes; returns the others.
async fn divided(
    connection: &mut Connection,
    transfer: Transfer<'_>,
    message: &mut Message,
) -> (Ended, Vec<RecipientIndex>) {
    let portion = connection.divide(&transfer);
    let recipients = &*portion.taken;
    let part = Transfer {
        recipients,
        ..transfer
    };
    (connection.transact(part, message).await, portion.left)
}

/// What two transactions of one attempt came to. The second was made since the first left the upstream in good health.
fn joined(mut first: Attempt, second: Attempt) -> Attempt {
    first.outcomes.extend(second.outcomes);
    Attempt {
        outcomes: first.outcomes,
        ..second
    }
}

/// What becomes of a recipient that the upstream was not asked about any more.
fn unasked(recipient: RecipientIndex) -> (RecipientIndex, Outcome) {
    let text = "the upstream takes fewer recipients at once, and was not asked about this one";
    let failure = Failure::new(Stage::Recipient, Cause::Broken(text.into()));
    (recipient, Outcome::Deferred(failure))
}

/// What came of a transaction on this connection.
fn attempt_over(connection: &Connection, ended: Ended) -> Attempt {
    Attempt {
        outcomes: ended.outcomes,
        health: ended.health,
        host: Some(connection.host.clone()),
        via: Some(connection.via()),
    }
}

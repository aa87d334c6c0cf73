//! Where messages go: the trait all upstreams share, and the engines behind it.
//!
//! No other module knows how a message leaves. An attempt cannot fail as a whole; it gives one outcome for each
//! recipient.

pub mod classify;
pub mod graph;
pub mod maildir;
pub mod probe;
pub mod profile;
pub mod repair;
pub mod smtp;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::body::Body;
use crate::identity::UpstreamName;
use crate::mail::{Attempt, Envelope, Priority, RecipientIndex};
use crate::tls::client::PeerCertificate;

/// A server that takes messages over.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Returns the configured name.
    fn name(&self) -> &UpstreamName;

    /// Returns how many recipients one attempt may be for; at least 1. A message with more takes several attempts, so
    /// that a more urgent one can go in between.
    fn recipients(&self) -> usize;

    /// Tries to hand a message over, for some of its recipients.
    ///
    /// Gives an outcome for every recipient of the order and never fails as a whole. Cancelling it closes the
    /// connection; the upstream may then have the message or not.
    async fn attempt(&self, order: Order<'_>) -> Attempt;

    /// Closes connections that have been idle for long. Called about once a second.
    async fn tidy(&self, now: Instant);

    /// Returns the certificate that its server has shown with the last TLS connection of this process; `None` where
    /// there was none yet. It may not be the one that others of its servers show.
    fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        None
    }
}

/// What is to be handed over.
pub struct Order<'a> {
    /// The envelope, with all recipients of the message.
    pub envelope: &'a Envelope,
    /// Those of its recipients that this attempt is for; never empty.
    pub recipients: &'a [RecipientIndex],
    /// How urgent the message is, for upstreams that offer MT-PRIORITY.
    pub priority: Priority,
    /// The message.
    pub body: Box<dyn Body>,
}

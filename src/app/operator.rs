//! What the command line asks of the running server.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::config::Checked;
use crate::control::protocol::Submitted;
use crate::control::queue::Configured;
use crate::control::server::{DrainError, Operator, OperatorMail, ReloadError, SubmitError};
use crate::control::view::{Id, ListenerView, ServerView, SubmissionView, Time, UpstreamView};

use crate::identity::{Route, UpstreamName};
use crate::spool::Entry;

use crate::submission::{self, LocalMail};

use super::error::AppError;
use super::reload::Reloader;
use super::reroute::placement;
use crate::telemetry;

/// The running server as the control socket sees it.
pub(super) struct ServerOperator {
    reloader: Arc<Reloader>,
    started: Timestamp,
    hostname: String,
    listeners: Vec<ListenerView>,
}

impl ServerOperator {
    pub(super) fn new(config: &Checked, reloader: Arc<Reloader>, started: Timestamp) -> Self {
        let listeners = config.listeners.iter().map(|listener| ListenerView {
            name: listener.name.clone(),
            ports: listener.ports.len() * listener.addresses.len(),
            configured: listener.ports.to_string(),
        });
        Self {
            reloader,
            started,
            hostname: config.server.hostname.to_string(),
            listeners: listeners.collect(),
        }
    }
}

impl Configured for ServerOperator {
    fn route_of(&self, entry: &Entry) -> Option<Route> {
        let directory = self.reloader.parts.directory();
        let placement = placement(&directory.routes, entry)?;
        Some(placement.route)
    }

    fn upstreams(&self) -> Vec<UpstreamName> {
        let standings = self.reloader.relay.upstreams().into_iter();
        standings.map(|standing| standing.name).collect()
    }
}

#[async_trait]
impl Operator for ServerOperator {
    async fn reload(&self) -> Result<Vec<String>, ReloadError> {
        let reloaded = self.reloader.reload().await;
        reloaded.map_err(|error| {
            if let AppError::Config(report) = &error {
                ReloadError(report.to_string())
            } else {
                ReloadError(telemetry::chain(&error))
            }
        })
    }

    async fn drain(
        &self,
        upstream: UpstreamName,
        to: Option<UpstreamName>,
    ) -> Result<(), DrainError> {
        let name = upstream.clone();
        let drained = self
            .reloader
            .drain(move |drained| drained.begin(upstream, to));
        drained.await.map_err(DrainError::Write)?;
        tracing::info!(upstream = %name, "upstream drained");
        Ok(())
    }

    async fn end_drain(&self, upstream: &str) -> Result<(), DrainError> {
        let name = upstream.to_owned();
        let ended = self.reloader.drain(move |drained| drained.end(&name));
        if !ended.await.map_err(DrainError::Write)? {
            return Err(DrainError::NotDrained(upstream.to_owned()));
        }
        tracing::info!(upstream, "upstream is no longer drained");
        Ok(())
    }

    async fn submit(&self, mail: OperatorMail) -> Result<Submitted, SubmitError> {
        tracing::info!(account = %mail.account, "an operator sends a message");
        let mail = LocalMail {
            account: mail.account,
            sender: mail.sender,
            recipient: mail.recipient,
            content: mail.content,
        };
        let submitted = submission::submit(&self.reloader.parts, mail).await;
        let answer = submitted.map_err(|error| SubmitError(error.to_string()))?;
        Ok(Submitted {
            ids: answer.ids.into_iter().map(Id).collect(),
            reply: answer.reply,
            dialogue: answer.dialogue,
        })
    }

    fn describe(&self) -> ServerView {
        let draining = self.reloader.draining();
        let upstreams = self
            .reloader
            .relay
            .upstreams()
            .into_iter()
            .map(|standing| UpstreamView {
                name: standing.name.to_string(),
                condition: standing.condition.to_owned(),
                drained_to: draining
                    .drained
                    .stand_in(&standing.name)
                    .map(ToString::to_string),
                attempts: standing.attempts,
                limit: standing.limit,
                connections: standing.connections,
            });
        let counted = self.reloader.parts.counts.now();
        ServerView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: Time(self.started),
            hostname: self.hostname.clone(),
            configuration: self.reloader.config_file.display().to_string(),
            listeners: self.listeners.clone(),
            upstreams: upstreams.collect(),
            submission: SubmissionView {
                connections: self.reloader.parts.connections(),
                accepted: counted.accepted,
                refused: counted.refused,
                denied: counted.denied,
                unauthorized_relayed: counted.unauthorized_relayed,
                unauthorized_rewritten: counted.unauthorized_rewritten,
                failed_logins: counted.failed_logins,
                over_quota: counted.over_quota,
                paced: counted.paced,
            },
        }
    }
}

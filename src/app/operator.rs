//! What the command line asks of the running server.

use std::sync::Arc;

use async_trait::async_trait;

use crate::alert::{Kind, Stored};
use crate::auth::Block;
use crate::clock::Timestamp;
use crate::config::Checked;
use crate::control::protocol::{AlertFilter, BlockView, Submitted};
use crate::control::queue::Configured;
use crate::control::senders::{SenderRequest, SenderView};
use crate::control::server::{
    Operator, OperatorMail, RegisterError, ReloadError, SenderError, SubmitError,
};
use crate::control::view::{
    EndingView, Id, ListenerView, ServerView, SubmissionView, Time, UpstreamView,
};
use crate::identity::{AccountName, Route, UpstreamName};
use crate::relay::{Park, State, UpstreamStanding};
use crate::schedule::{Reason, TroubleKind};
use crate::spool::Entry;
use crate::submission::{self, LocalMail};
use crate::telemetry;

use super::error::AppError;
use super::expiry::Ending;
use super::reload::Reloader;
use super::reroute::placement;

/// The running server as the control socket sees it.
pub(super) struct ServerOperator {
    pub(super) reloader: Arc<Reloader>,
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
    ) -> Result<(), RegisterError> {
        let name = upstream.clone();
        let drained = self
            .reloader
            .drain(move |register| register.drain(upstream, to));
        drained.await.map_err(RegisterError::Write)?;
        tracing::info!(upstream = %name, "upstream drained");
        Ok(())
    }

    async fn end_drain(&self, upstream: &str) -> Result<(), RegisterError> {
        let name = upstream.to_owned();
        let ended = self
            .reloader
            .drain(move |register| register.end_drain(&name));
        if !ended.await.map_err(RegisterError::Write)? {
            return Err(RegisterError::NotDrained(upstream.to_owned()));
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

    async fn park(
        &self,
        upstream: UpstreamName,
        reason: Option<String>,
    ) -> Result<(), RegisterError> {
        let (name, text) = (upstream.clone(), reason.unwrap_or_default());
        let park = Park {
            since: self.reloader.clock.now(),
            reason: Reason {
                text: text.clone().into(),
                repair: None,
            },
        };
        let parked = self
            .reloader
            .park(move |register| register.park(upstream, park));
        parked.await.map_err(RegisterError::Write)?;
        tracing::info!(upstream = %name, reason = text, "upstream parked by an operator");
        Ok(())
    }

    async fn resume(&self, upstream: UpstreamName) -> Result<(), RegisterError> {
        let name = upstream.clone();
        let ended = self
            .reloader
            .park(move |register| register.resume(name.as_str()));
        let was_parked = ended.await.map_err(RegisterError::Write)?;
        let was_paused = self.reloader.relay.resume(&upstream);
        if !was_parked && !was_paused {
            return Err(RegisterError::NotParked(upstream.to_string()));
        }
        tracing::info!(%upstream, "upstream resumed by an operator");
        Ok(())
    }

    async fn senders(&self, request: SenderRequest) -> Result<Vec<SenderView>, SenderError> {
        self.reloader.senders(request).await
    }

    fn alerts(&self, filter: &AlertFilter) -> Vec<Stored> {
        self.reloader.alerts.stored(|alert| filter.passes(alert))
    }

    fn test_alert(&self, account: Option<AccountName>) -> Result<Vec<String>, SubmitError> {
        let directory = self.reloader.parts.directory();
        if let Some(account) = &account
            && !directory.profiles.contains_key(account)
        {
            return Err(SubmitError(format!("there is no account `{account}`")));
        }
        let to = self.reloader.alerts.test(account);
        tracing::info!(alert = %Kind::Test, "an operator tests the alerts");
        Ok(to)
    }

    fn blocked(&self) -> Vec<BlockView> {
        let blocks = self.reloader.parts.authenticator.blocks();
        let view = |block: Block| BlockView {
            account: block.subject.account().map(str::to_owned),
            network: block.subject.network().map(|network| network.to_string()),
            age_s: block.age.as_secs(),
            retry_after_s: block.retry_after.as_secs(),
            refused: block.refused,
        };
        blocks.into_iter().map(view).collect()
    }

    fn forgive(&self, who: &str) -> usize {
        let authenticator = &self.reloader.parts.authenticator;
        // An account may be called like an address.
        let of_account = authenticator.release_account(who);
        let address = who.parse().ok();
        let of_address = address.map_or(0, |address| authenticator.release_address(address));
        tracing::info!(
            who,
            blocks = of_account + of_address,
            "failed logins forgotten by an operator"
        );
        of_account + of_address
    }

    fn describe(&self) -> ServerView {
        let upstreams = self.reloader.relay.upstreams().into_iter();
        let upstreams = upstreams.map(|standing| self.upstream(standing));
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
                unauthorized_held: counted.unauthorized_held,
                unauthorized_relayed: counted.unauthorized_relayed,
                unauthorized_rewritten: counted.unauthorized_rewritten,
                failed_logins: counted.failed_logins,
                over_quota: counted.over_quota,
                paced: counted.paced,
            },
            endings: self.reloader.endings().into_iter().map(ending).collect(),
        }
    }
}

fn ending(ending: Ending) -> EndingView {
    EndingView {
        what: ending.what,
        place: ending.place,
        ends: Time(ending.ends),
        repair: ending.repair,
    }
}

impl ServerOperator {
    fn upstream(&self, standing: UpstreamStanding) -> UpstreamView {
        let (drained_to, way) = {
            let kept = self.reloader.kept();
            let to = kept.register.stand_in(&standing.name);
            let way = kept.ways.get(&standing.name).cloned();
            (to.map(ToString::to_string), way)
        };
        let way = way.unwrap_or_default();
        let view = UpstreamView {
            name: standing.name.to_string(),
            kind: way.kind.to_owned(),
            place: way.place,
            condition: standing.state.word().to_owned(),
            drained_to,
            attempts: standing.attempts,
            limit: standing.limit,
            connections: standing.connections,
            certificate_ends: standing.certificate_ends.map(Time),
            ..UpstreamView::default()
        };
        match standing.state {
            State::Drained | State::Good => view,
            State::ParkedByOperator(park) => UpstreamView {
                since: Some(Time(park.since)),
                parked_by: Some("operator".to_owned()),
                reason: Some(park.reason.text.into()).filter(|text: &String| !text.is_empty()),
                ..view
            },
            State::Troubled(troubled) => UpstreamView {
                since: Some(Time(troubled.since)),
                parked_by: (troubled.kind == TroubleKind::Parked).then(|| "posthouse".to_owned()),
                reason: Some(troubled.reason.text.into()),
                repair: troubled.reason.repair.map(Into::into),
                failures: troubled.failures,
                probe: troubled.probe.map(Time),
                ..view
            },
        }
    }
}

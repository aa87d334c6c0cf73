//! The server's certificates: those that an authority issues are put in force, all are listed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::acme::{self, Holding, Install, NotInstalled};
use crate::alert::{Alert, Kind};
use crate::clock::Timestamp;
use crate::config::Checked;
use crate::control::certificates::{CertificateView, Certificates, RenewError};
use crate::control::view::Time;
use crate::telemetry;
use crate::tls::client::PeerCertificate;
use crate::tls::server::{self, Source};

use super::expiry::Ending;
use super::operator::ServerOperator;
use super::reload::Reloader;

/// From this failure in a row on a person is told each time. One or two are often the network's.
const FAILURES_TOLD: u32 = 3;

/// Lists the certificates of a configuration whose server does not run. Blocks on the disk.
pub fn certificates(config: &Checked, now: Timestamp) -> Vec<CertificateView> {
    let acme = config.acme.as_ref();
    let holdings = acme.map_or_else(Vec::new, |acme| acme::holdings(acme, now));
    list(&config.tls, holdings)
}

fn list(settings: &server::Settings, holdings: Vec<Holding>) -> Vec<CertificateView> {
    let holdings: BTreeMap<PathBuf, Holding> = holdings
        .into_iter()
        .map(|holding| (holding.file.clone(), holding))
        .collect();
    let others = settings.named.iter();
    let others = others.map(|own| (own.names.clone(), &own.certificate, false));
    let default = (Vec::new(), &settings.certificate, true);
    let all = std::iter::once(default).chain(others);
    all.map(|(names, source, is_default)| {
        let view = view(source, &holdings);
        let names = if names.is_empty() { view.names } else { names };
        CertificateView {
            names,
            is_default,
            ..view
        }
    })
    .collect()
}

fn view(source: &Source, holdings: &BTreeMap<PathBuf, Holding>) -> CertificateView {
    match source {
        Source::Files { certificate, .. } => in_file("files", certificate),
        Source::Issued { file, names } => {
            let holding = holdings.get(file);
            let own = holding.and_then(|holding| holding.own.as_ref());
            CertificateView {
                names: names.clone(),
                next: holding.map(|holding| Time(holding.next)),
                failures: holding.map_or(0, |holding| holding.failures),
                last_error: holding.and_then(|holding| holding.last_error.clone()),
                ..described("acme", file, own)
            }
        }
        Source::SelfSigned { directory, name } => {
            in_file("self-signed", &server::self_signed_file(directory, name))
        }
    }
}

fn in_file(source: &str, file: &Path) -> CertificateView {
    let own = server::read_own(file);
    described(source, file, own.as_ref())
}

fn described(source: &str, file: &Path, own: Option<&PeerCertificate>) -> CertificateView {
    let names = own.map_or(&[][..], |own| &own.names);
    CertificateView {
        names: names.iter().map(ToString::to_string).collect(),
        is_default: false,
        source: source.to_owned(),
        file: file.display().to_string(),
        issuer: own.map(|own| own.issuer.to_string()),
        begins: own.map(|own| Time(own.not_before)),
        ends: own.map(|own| Time(own.not_after)),
        next: None,
        failures: 0,
        last_error: None,
    }
}

#[async_trait]
impl Install for Reloader {
    async fn install(&self) -> Result<(), NotInstalled> {
        // Not while a reload exchanges them.
        let _turn = self.turn.lock().await;
        let (tls, settings) = (Arc::clone(&self.tls), self.kept().tls.clone());
        let prepared = tokio::task::spawn_blocking(move || tls.prepare(&settings)).await;
        let error = match prepared {
            Ok(Ok(config)) => {
                self.tls.replace(config);
                return Ok(());
            }
            Ok(Err(error)) => telemetry::chain(&error),
            Err(error) => error.to_string(),
        };
        let alert = Kind::SystemError;
        tracing::error!(%alert, error, "a new certificate is not used");
        let text = format!(
            "A certificate has been renewed, and clients are shown the old one: {error}. Repair that; it is tried again."
        );
        self.parts.alerts.raise(Alert::new(alert, text));
        Err(NotInstalled)
    }

    fn failed(&self, holding: &Holding) {
        if holding.failures < FAILURES_TOLD {
            return;
        }
        let names = holding.names.join(", ");
        let state = holding.own.as_ref().map_or_else(
            || "There is none; clients are shown a self-signed one.".to_owned(),
            |own| format!("The old one is valid until {}.", own.not_after.to_second()),
        );
        let error = holding.last_error.as_deref().unwrap_or_default();
        let text = format!(
            "The certificate for {names} was not got or renewed {} times in a row: {error}. {state} It is tried again; \
             `posthouse tls list` shows how it stands.",
            holding.failures
        );
        self.parts.alerts.raise(Alert::new(Kind::ExpiryNear, text));
    }
}

impl Reloader {
    /// Returns the certificates of an authority whose renewal fails; the others are renewed without anybody's help.
    pub(super) fn acme_endings(&self) -> Vec<Ending> {
        let holdings = self.keeper.holdings().into_iter();
        let failing = holdings.filter(|holding| holding.failures > 0);
        let ending = |holding: Holding| {
            let own = holding.own?;
            Some(Ending {
                what: format!("the certificate for {}", holding.names.join(", ")),
                place: holding.file.display().to_string(),
                ends: own.not_after,
                repair: "It cannot be renewed: `posthouse tls list` says why.".to_owned(),
            })
        };
        failing.filter_map(ending).collect()
    }
}

#[async_trait]
impl Certificates for ServerOperator {
    async fn certificates(&self) -> Vec<CertificateView> {
        let settings = self.reloader.kept().tls.clone();
        let holdings = self.reloader.keeper.holdings();
        let listed = tokio::task::spawn_blocking(move || list(&settings, holdings));
        listed.await.unwrap_or_default()
    }

    async fn renew(&self, name: Option<&str>) -> Result<(), RenewError> {
        let renewed = self.reloader.keeper.renew(name);
        renewed.map_err(|error| RenewError(error.to_string()))?;
        tracing::info!(name, "an operator renews certificates");
        Ok(())
    }
}

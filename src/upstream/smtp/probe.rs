//! The way to an upstream, without a message.

use std::sync::{Arc, Mutex, PoisonError};

use crate::mail::{Cause, Defect, Failure, Outcome, Stage};
use crate::tls::client::PeerCertificate;
use crate::upstream::probe::{Passed, Step, Trouble};

use super::assurance::Need;
use super::connect::{Connector, Unconnected};
use super::settings::{Settings, Verification, Vouching};
use super::transcript::{Line, Observer, Transcript};
use super::upstream::SmtpUpstream;
use super::wire::ReplyWanted;

impl SmtpUpstream {
    /// Goes all the way that a message would go, up to MAIL, over a connection of its own, and takes leave. `transcript`
    /// hears of every step.
    ///
    /// Where a certificate is not accepted the server is asked for it once more, over a connection that trusts anybody,
    /// does not log in, and carries nothing else.
    ///
    /// # Errors
    /// Where it failed and why.
    pub async fn probe(&self, transcript: Arc<dyn Transcript>) -> Result<(), Box<Trouble>> {
        let observer = Observer::new(transcript, Arc::clone(&self.clock));
        match self.connector.connect(Need::Any, &observer).await {
            Ok(connection) => {
                connection.quit(ReplyWanted::Yes).await;
                observer.passed(|| Passed::Left);
                Ok(())
            }
            Err(Unconnected {
                judgement, address, ..
            }) => {
                let health = judgement.health;
                let (Outcome::Deferred(failure)
                | Outcome::Rejected(failure)
                | Outcome::Unknown(failure)) = judgement.outcome
                else {
                    // Not reached: nothing is relayed without a message.
                    return Ok(());
                };
                let shown = if is_about_certificate(&failure) {
                    self.certificates().await
                } else {
                    Vec::new()
                };
                Err(Box::new(Trouble {
                    failure,
                    health,
                    address,
                    shown,
                }))
            }
        }
    }

    /// Returns the certificates that the server shows, whoever has issued them.
    async fn certificates(&self) -> Vec<PeerCertificate> {
        let settings = Settings {
            verification: Verification::Off,
            vouching: Vouching::default(),
            login: None,
            ..self.settings().clone()
        };
        let connector = self.connector.with(settings);
        let seen = Arc::new(Seen::default());
        let watching = Arc::<Seen>::clone(&seen);
        let observer = Observer::new(watching, Arc::clone(&self.clock));
        if let Some(connector) = connector
            && let Ok(connection) = connector.connect(Need::Any, &observer).await
        {
            connection.quit(ReplyWanted::No).await;
        }
        let seen = seen.0.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connector {
    /// Returns one with other settings; `None` where TLS cannot be set up for them.
    fn with(&self, settings: Settings) -> Option<Self> {
        let (resolver, clock) = (Arc::clone(&self.resolver), Arc::clone(&self.clock));
        Self::new(settings, resolver, clock).ok()
    }
}

fn is_about_certificate(failure: &Failure) -> bool {
    let Cause::Unusable(unusable) = &failure.cause else {
        return false;
    };
    failure.stage == Stage::Tls
        && matches!(
            unusable.defect,
            Defect::CertificateExpired
                | Defect::CertificateName
                | Defect::CertificateNotYetValid
                | Defect::CertificateOther
                | Defect::CertificatePinned
                | Defect::CertificateUntrusted
        )
}

/// The certificates that were shown last.
#[derive(Default)]
struct Seen(Mutex<Vec<PeerCertificate>>);

impl Transcript for Seen {
    fn line(&self, _: Line<'_>) {}

    fn step(&self, step: &Step) {
        if let Passed::Secured { chain, .. } = &step.passed {
            let seen = self.0.lock();
            seen.unwrap_or_else(PoisonError::into_inner)
                .clone_from(chain);
        }
    }
}

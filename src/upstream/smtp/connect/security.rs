//! How one connection is secured: by the settings, the server's domain and the message together.

use tokio_rustls::TlsConnector;

use crate::mail::{Cause, Failure, Health, Outcome, Stage};
use crate::tls::client;
use crate::upstream::classify::{self, Judgement};
use crate::upstream::smtp::assurance::{Assurance, Lack, Need};
use crate::upstream::smtp::settings::{TlsPolicy, Verification};

use super::target::{Demand, NameSource, Target};
use super::{Connector, may_login_in_plain_text};

/// How a connection is made.
pub(super) struct Security<'a> {
    /// `None` is plain text.
    pub(super) tls: Option<&'a TlsConnector>,
    /// The name that the server is asked for.
    pub(super) name: &'a str,
    /// Who wants more than the settings do.
    pub(super) by: By,
    /// What is known of the server after the handshake.
    pub(super) assurance: Assurance,
}

/// Who wants a connection to be secured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// The server's domain, by this standard.
    Domain(&'static str),
    /// The message, which came with REQUIRETLS, where the settings alone would do with less.
    Message,
    /// The settings.
    Settings,
}

impl Connector {
    /// Returns how a connection to a server is secured, or why a message cannot go there.
    pub(super) fn security<'a>(
        &'a self,
        target: &'a Target<'_>,
        need: Need,
    ) -> Result<Security<'a>, Judgement> {
        let (by, assurance) = match (&target.demand, need) {
            (Demand::Authority, _) => (By::Domain("MTA-STS"), Assurance::Verified),
            (Demand::Dane(..), _) => (By::Domain("DANE"), Assurance::Verified),
            (Demand::Encryption, Need::Any | Need::Lenient) => {
                (By::Domain("DANE"), Assurance::Unproved)
            }
            (Demand::Nothing, Need::Any | Need::Lenient) => {
                (By::Settings, self.configured_assurance(target.name))
            }
            (Demand::Encryption | Demand::Nothing, Need::Verified) => {
                self.demanded_by_message(target)?
            }
        };
        let tls = match (&target.demand, by) {
            (Demand::Dane(tls, _), _) => Some(tls),
            (Demand::Authority, _) | (_, By::Message) => Some(self.strict()?),
            (Demand::Encryption | Demand::Nothing, By::Domain(_) | By::Settings) => {
                self.tls.as_ref()
            }
        };
        let name = match &target.demand {
            Demand::Dane(_, base) => base,
            Demand::Authority | Demand::Encryption | Demand::Nothing => &target.host.name,
        };
        Ok(Security {
            tls,
            name,
            by,
            assurance,
        })
    }

    /// Returns what is known of a server after a handshake as the settings ask for it.
    fn configured_assurance(&self, name: NameSource) -> Assurance {
        match (&self.settings.verification, name) {
            (Verification::Fingerprint(_), _)
            | (Verification::Authority(_), NameSource::Authentic) => Assurance::Verified,
            (Verification::SystemRoots, NameSource::Authentic) if !self.takes_anybody() => {
                Assurance::Verified
            }
            (Verification::Authority(_) | Verification::Off | Verification::SystemRoots, _) => {
                Assurance::Unproved
            }
        }
    }

    /// Returns who asks for what where a message came with REQUIRETLS and the server's domain asks for no more than
    /// encryption.
    fn demanded_by_message(&self, target: &Target<'_>) -> Result<(By, Assurance), Judgement> {
        if self.settings.tls == TlsPolicy::Disabled {
            return Err(Lack::Verification.judgement());
        }
        let configured = self.configured_assurance(target.name);
        match (configured, &self.settings.verification, target.name) {
            (Assurance::Verified, ..) if self.settings.tls != TlsPolicy::Opportunistic => {
                Ok((By::Settings, Assurance::Verified))
            }
            (Assurance::Verified, ..) => Ok((By::Message, Assurance::Verified)),
            // The settings would take anybody; for this message they take only whom the authorities vouch for.
            (_, Verification::SystemRoots, NameSource::Authentic) => {
                Ok((By::Message, Assurance::Verified))
            }
            (Assurance::Unproved, ..) => Err(Lack::Verification.judgement()),
        }
    }

    /// Returns whether certificates are not judged, since plain text would do as well.
    pub(super) fn takes_anybody(&self) -> bool {
        self.settings.tls == TlsPolicy::Opportunistic
            && self.settings.verification == Verification::SystemRoots
            && may_login_in_plain_text(&self.settings)
    }

    /// Returns the configuration that judges certificates, also where the settings do not ask for that.
    fn strict(&self) -> Result<&TlsConnector, Judgement> {
        if !self.takes_anybody()
            && let Some(tls) = &self.tls
        {
            return Ok(tls);
        }
        if let Some(strict) = self.strict.get() {
            return Ok(strict);
        }
        match client::system_roots() {
            Ok(config) => Ok(self.strict.get_or_init(|| config.into())),
            Err(error) => {
                let text = crate::telemetry::chain(&error);
                Err(classify::unusable(Stage::Tls, text.into()))
            }
        }
    }
}

impl Security<'_> {
    /// Returns whether plain text is out of the question, whatever the settings say.
    pub(super) fn must_encrypt(&self) -> bool {
        match self.by {
            By::Domain(_) | By::Message => true,
            By::Settings => false,
        }
    }

    /// Judges again what made a connection impossible: what the settings do not ask for is nothing that the operator
    /// could repair.
    ///
    /// What the server's domain asks for makes mail wait, as if this server could not be reached (RFC 7672 §2.1,
    /// RFC 8461 §4.2). What the message asks for is told to its sender (RFC 8689 §4.2.1).
    pub(super) fn judge(&self, judgement: Judgement) -> Judgement {
        let Outcome::Deferred(failure) = &judgement.outcome else {
            return judgement;
        };
        if judgement.health != Health::Unusable || failure.stage != Stage::Tls {
            return judgement;
        }
        match self.by {
            By::Domain(standard) => {
                let text = format!(
                    "{}; the server's domain asks for it ({standard})",
                    failure.cause
                );
                Judgement {
                    outcome: Outcome::Deferred(Failure::new(
                        Stage::Tls,
                        Cause::Broken(text.into()),
                    )),
                    health: Health::Unreachable,
                }
            }
            By::Message => Lack::Verification.judgement(),
            By::Settings => judgement,
        }
    }
}

//! What is known of providers: where their servers are, what they allow, and what their answers mean. Pure data.
//!
//! Only what a provider publishes stands here; what depends on a contract is left to the configuration. Every value is
//! below what the configuration says.

mod amazon;
mod google;
mod microsoft;
mod services;

use std::time::Duration;

use super::classify::Answer;
use super::smtp::TlsPolicy;

/// What is known of a provider.
#[derive(Debug, Eq, PartialEq)]
pub struct Profile {
    /// The name in the configuration.
    pub name: &'static str,
    /// Its server.
    pub host: Host,
    /// The port of its server for submission.
    pub port: u16,
    /// How a connection to it is secured.
    pub tls: TlsPolicy,
    /// Connections at once, where the provider counts them.
    pub connections: Option<u16>,
    /// Messages in a time, as the key `rate` takes them; empty where they depend on the contract.
    pub rate: &'static [&'static str],
    /// Recipients of one transaction.
    pub recipients_per_message: Option<u16>,
    /// Messages after which a connection is closed.
    pub messages_per_connection: Option<u32>,
    /// How long an unused connection is kept.
    pub keep_idle: Option<Duration>,
    /// What its answers mean, before what everybody's mean.
    pub answers: &'static [Answer],
}

/// The server of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Host {
    /// One for everybody.
    Fixed(&'static str),
    /// One for each region; the configuration must name it.
    Regional {
        /// Such as this one.
        example: &'static str,
    },
}

impl Profile {
    /// Returns the profile of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|profile| profile.name == name)
    }

    /// Returns all profiles in the order of their names.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        PROFILES.iter().copied()
    }

    /// What is known of a server at `host`: nothing but where it is.
    const fn at(name: &'static str, host: &'static str) -> Self {
        Self {
            name,
            host: Host::Fixed(host),
            port: 587,
            tls: TlsPolicy::Required,
            connections: None,
            rate: &[],
            recipients_per_message: None,
            messages_per_connection: None,
            keep_idle: None,
            answers: &[],
        }
    }

    /// The same on port 465 (RFC 8314 §3.3).
    const fn with_implicit_tls(self) -> Self {
        Self {
            port: 465,
            tls: TlsPolicy::Implicit,
            ..self
        }
    }
}

static PROFILES: &[&Profile] = &[
    &services::BREVO,
    &services::FASTMAIL,
    &google::GMAIL,
    &google::GOOGLE_RELAY,
    &services::ICLOUD,
    &services::MAILGUN,
    &services::MAILJET,
    &microsoft::MICROSOFT365,
    &microsoft::OUTLOOK,
    &services::POSTMARK,
    &services::SENDGRID,
    &amazon::SES,
    &services::SPARKPOST,
    &services::YAHOO,
    &services::ZOHO,
];

#[cfg(test)]
mod tests;

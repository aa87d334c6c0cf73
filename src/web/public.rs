//! The public site: pages that confirm sender addresses, and the settings of mail programs.

mod pages;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;
use url::form_urlencoded;

use super::autoconfig::{Autodiscover, Offer};
use super::server::{Method, Request, Response, Site, StatusCode};

/// The folder of the pages that confirm; the token follows.
const VERIFY: &str = "/verify/";

/// Text as XML.
const XML: &str = "text/xml; charset=utf-8";

/// How the public site is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The addresses that it listens on.
    pub addresses: Vec<IpAddr>,
    /// The ports that it listens on.
    pub ports: Vec<u16>,
    /// Whether it speaks TLS itself.
    pub encryption: Encryption,
    /// How the rest of the world reaches it. Has no query and no fragment.
    pub url: Url,
    /// What mail programs are told to log in as.
    pub login: Login,
    /// The server that mail is read from.
    pub incoming: Option<Incoming>,
}

/// Whether the public site speaks TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// With the certificate of the listeners.
    Own,
    /// Whatever stands before it does.
    Proxy,
}

/// What mail programs are told to log in as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Login {
    /// The address of the person.
    Address,
    /// What stands before the `@`.
    LocalPart,
    /// Nothing is told: there is no autoconfiguration.
    Untold,
}

/// An IMAP server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incoming {
    /// Its name.
    pub host: String,
    /// Its port; 993 has TLS from the beginning, any other STARTTLS.
    pub port: u16,
}

impl Settings {
    /// Returns the address of the page that confirms.
    pub fn link(&self, token: &str) -> String {
        let base = self.url.as_str().trim_end_matches('/');
        format!("{base}{VERIFY}{token}")
    }
}

/// What a link is worth, for the person who has opened it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Link {
    /// It has been used just now, or before.
    Confirmed(Claim),
    /// It is too late.
    Expired,
    /// It can be used.
    Open(Claim),
    /// There is no such link.
    Unknown,
}

/// Who wants to send as what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The account.
    pub account: String,
    /// The address.
    pub sender: String,
}

/// The proof could not be recorded. The link can be used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the confirmation could not be recorded")]
pub struct NotRecorded;

/// Who knows what links are worth.
#[async_trait]
pub trait Confirmations: Send + Sync + 'static {
    /// Tells what a link is worth. Changes nothing.
    fn look(&self, token: &str) -> Link;

    /// Uses a link for somebody at this address; returns what it was worth before: it has proved something where that is [`Link::Open`]. Durable when
    /// it returns.
    ///
    /// # Errors
    /// [`NotRecorded`].
    async fn confirm(&self, token: &str, peer: IpAddr) -> Result<Link, NotRecorded>;
}

/// The site.
pub struct PublicSite {
    hostname: String,
    confirmations: Arc<dyn Confirmations>,
    offer: Option<Offer>,
}

impl PublicSite {
    /// Makes the site of this relay. Mail programs are told nothing where there is no offer.
    pub fn new(
        hostname: String,
        confirmations: Arc<dyn Confirmations>,
        offer: Option<Offer>,
    ) -> Self {
        Self {
            hostname,
            confirmations,
            offer,
        }
    }

    async fn verify(&self, request: &Request, token: &str) -> Response {
        let link = match request.method {
            // Programs that look at links before people do must not confirm anything.
            Method::Get => return self.show(&self.confirmations.look(token)),
            Method::Post => self.confirmations.confirm(token, request.peer).await,
        };
        match link {
            Ok(Link::Open(claim)) => {
                pages::page(StatusCode::OK, &self.hostname, &pages::confirmed(&claim))
            }
            // It says so although it has an effect no more: this one has not confirmed anything.
            Ok(Link::Confirmed(_)) => pages::page(StatusCode::GONE, &self.hostname, &pages::used()),
            Ok(link @ (Link::Expired | Link::Unknown)) => self.show(&link),
            Err(NotRecorded) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                pages::page(status, &self.hostname, &pages::unavailable())
            }
        }
    }

    fn show(&self, link: &Link) -> Response {
        let (status, page) = match link {
            Link::Confirmed(_) => (StatusCode::GONE, pages::used()),
            Link::Expired => (StatusCode::GONE, pages::expired()),
            Link::Open(claim) => (StatusCode::OK, pages::question(claim, &self.hostname)),
            Link::Unknown => (StatusCode::NOT_FOUND, pages::unknown()),
        };
        pages::page(status, &self.hostname, &page)
    }

    fn autoconfig(&self, request: &Request) -> Response {
        let Some(offer) = &self.offer else {
            return Response::not_found();
        };
        let mut pairs = form_urlencoded::parse(request.query.as_bytes());
        let address = pairs.find(|(key, _)| key == "emailaddress");
        let address = address.map(|(_, address)| address.into_owned());
        Response::new(StatusCode::OK, XML, offer.autoconfig(address.as_deref()))
    }

    fn autodiscover(&self, request: &Request) -> Response {
        let Some(offer) = &self.offer else {
            return Response::not_found();
        };
        let answer = match Autodiscover::read(&request.content) {
            Some(asked) => offer.autodiscover(&asked),
            None => Autodiscover::refusal(),
        };
        Response::new(StatusCode::OK, XML, answer)
    }
}

#[async_trait]
impl Site for PublicSite {
    async fn answer(&self, request: Request) -> Response {
        if let Some(token) = request.path.strip_prefix(VERIFY) {
            return self.verify(&request, token).await;
        }
        // Outlook writes its path in several ways.
        let path = request.path.to_ascii_lowercase();
        match (path.as_str(), request.method) {
            (
                "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml",
                Method::Get,
            ) => self.autoconfig(&request),
            ("/autodiscover/autodiscover.xml", Method::Post) => self.autodiscover(&request),
            (_, Method::Get | Method::Post) => Response::not_found(),
        }
    }
}

#[cfg(test)]
mod tests;

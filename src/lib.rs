//! posthouse: an SMTP submission relay with sender authorization.
//!
//! The modules, from values to assembly; `docs/architecture.md` says which may use which:
//!
//! - values: [`clock`], [`identity`], [`mail`], [`secret`]; [`panics`], which contains them
//! - pure logic: [`smtp`], [`proxy_protocol`], [`policy`], [`message`], [`mime`], [`dkim`], [`route`], [`schedule`]
//! - ports and adapters: [`alert`], [`auth`], [`body`], [`dial`], [`dns`], [`http`], [`journal`], [`mta_sts`],
//!   [`oauth`], [`port`], [`quota`], [`spool`], [`telemetry`], [`tls`], [`token`], [`upstream`],
//!   [`verification`], [`web`]
//! - the two halves: [`submission`], [`relay`]
//! - assembly: [`config`], [`control`], [`app`], [`cli`]

pub mod acme;
pub mod alert;
pub mod app;
pub mod auth;
pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod dial;
pub mod dkim;
pub mod dns;
pub mod durable;
pub mod http;
pub mod identity;
pub mod journal;
pub mod mail;
pub mod message;
pub mod mime;
pub mod mta_sts;
pub mod oauth;
pub mod panics;
pub mod policy;
pub mod port;
pub mod proxy_protocol;
pub mod quota;
pub mod relay;
pub mod route;
pub mod schedule;
pub mod secret;
pub mod smtp;
pub mod spool;
pub mod submission;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod upstream;
pub mod verification;
pub mod web;

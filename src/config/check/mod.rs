//! From the shape of the files to the settings of each module.

mod accounts;
mod alerts;
mod aliases;
mod app_passwords;
mod certificates;
mod context;
mod dkim;
mod http;
mod list;
mod listeners;
mod login;
mod mechanisms;
mod networks;
mod quotas;
mod routes;
mod senders;
mod server;
mod tenants;
mod throttle;
mod upstreams;

pub(super) use accounts::{CheckedAccounts, Tables, accounts};
pub(super) use alerts::alerts;
pub(super) use certificates::certificates;
pub(super) use context::Context;
pub(super) use dkim::{dkim, equip};
pub(super) use http::public;
pub(super) use listeners::listeners;
pub(super) use login::login;
pub(super) use mechanisms::check_scram;
pub(super) use quotas::quotas;
pub(super) use routes::route_accounts;
pub(super) use senders::senders;
pub(super) use server::{journal, server, session, spool, system_mail};
pub(super) use tenants::{Names, relay};
pub(super) use throttle::throttle;
pub(super) use upstreams::{plan, upstreams};

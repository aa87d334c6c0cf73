//! What browsers and mail programs ask for over HTTP. [`server`] speaks the protocol and knows no page; the pages are
//! [`Site`](server::Site)s. [`public`] is the one that everybody may reach.

pub mod autoconfig;
pub mod public;
pub mod server;
mod xml;

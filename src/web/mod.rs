//! What browsers and mail programs ask for over HTTP. [`server`] speaks the protocol and knows no page; the pages are
//! [`Site`](server::Site)s.

pub mod server;

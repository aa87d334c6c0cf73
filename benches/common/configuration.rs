//! Pieces of the relay's configuration.

use std::net::SocketAddr;

/// User name and password of loads that log in.
pub(crate) const LOGIN: (&str, &str) = ("load", PASSWORD);

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A line for an account that is known by its address, which every client here has.
pub(crate) const BY_ADDRESS: &str = "networks = [\"127.0.0.0/8\"]\n";

/// A port `plain` with STARTTLS.
pub(crate) const PLAIN: &str = r#"[[listener]]
name = "plain"
address = ["127.0.0.1"]
ports = ["0"]
tls = "starttls"
auth = "always"

"#;

/// A port `implicit` with TLS from the first octet.
pub(crate) const IMPLICIT: &str = r#"[[listener]]
name = "implicit"
address = ["127.0.0.1"]
ports = ["0"]
tls = "implicit"

"#;

/// What every configuration has, with more keys of its `[server]`: a self-signed certificate (P-256), the accounts, and
/// upstreams for whoever has none of their own.
pub(crate) fn base(keys: &str, upstream: &str) -> String {
    format!(
        r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"
{keys}

[tls.self_signed]

[relay]
upstream = ["{upstream}"]

[accounts]
file = "accounts.toml"

"#
    )
}

/// An upstream, with more keys of its table.
pub(crate) fn upstream(name: &str, address: SocketAddr, keys: &str) -> String {
    let (host, port) = (address.ip(), address.port());
    format!("[upstream.{name}.smtp]\nhost = \"{host}\"\nport = {port}\n{keys}\n\n")
}

/// An account with [`PASSWORD`], and more keys of its table.
pub(crate) fn account(name: &str, keys: &str) -> String {
    account_with(name, HASH, keys)
}

/// An account with this hash of its password, and more keys of its table.
pub(crate) fn account_with(name: &str, hash: &str, keys: &str) -> String {
    format!("[account.{name}]\npassword = \"{hash}\"\nactive = true\n{keys}\n")
}

/// [`PASSWORD`].
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM";

//! What a profile may set for an SMTP upstream: the values in force.

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::diagnostic::{nearest, quoted};
use crate::config::raw;
use crate::config::units::{Number, Span};
use crate::upstream::profile::{Host, Profile};
use crate::upstream::smtp::{Timeouts, TlsPolicy};

use super::picked::{Origin, Picked};

/// The values in force of those that a profile may set.
pub(super) struct Values {
    pub(super) profile: Option<&'static Profile>,
    /// `None` where nobody names one.
    pub(super) host: Option<Picked<String>>,
    pub(super) tls: Picked<raw::TlsPolicy>,
    pub(super) port: Picked<raw::Port>,
    pub(super) connections: Picked<raw::Connections>,
    pub(super) rate: Picked<raw::Rates>,
    pub(super) messages_per_connection: Picked<raw::MessagesPerConnection>,
    pub(super) recipients_per_message: Picked<raw::RecipientsPerMessage>,
    pub(super) keep_idle: Picked<Span<0>>,
    pub(super) connect: Picked<Span<1000>>,
    pub(super) command: Picked<Span<1000>>,
    pub(super) data: Picked<Span<1000>>,
    pub(super) final_reply: Picked<Span<1000>>,
}

/// Returns the profile that a table names; reports a name that is not known.
pub(super) fn profile(
    context: &mut Context,
    name: Option<&Spanned<String>>,
) -> Option<&'static Profile> {
    let name = name?;
    let found = Profile::find(name.get_ref());
    if found.is_none() {
        let message = format!("unknown profile `{}`", name.get_ref());
        let known: Vec<&str> = Profile::all().map(|profile| profile.name).collect();
        let all = format!("profiles known here: {}", quoted(known.iter().copied()));
        let hint = match nearest(name.get_ref(), &known) {
            Some(meant) => format!("did you mean `{meant}`? {all}"),
            None => all,
        };
        context.error(name.span(), message, hint);
    }
    found
}

impl Values {
    /// Picks each value from the table, else from the profile, else from the defaults.
    pub(super) fn of(smtp: &raw::Smtp, profile: Option<&'static Profile>) -> Self {
        let default = raw::SmtpDefaults::default();
        let timeout = (&smtp.timeout, &default.timeout);
        let tls = Picked::of(
            smtp.tls.as_ref(),
            from(profile, |profile| Some(policy(profile.tls))),
            default.tls,
        );
        Self {
            profile,
            host: host(smtp, profile),
            port: port(smtp, profile, &tls),
            tls,
            connections: Picked::of(
                smtp.connections.as_ref(),
                from(profile, |profile| profile.connections.map(number)),
                default.connections,
            ),
            rate: rate(smtp, profile),
            messages_per_connection: Picked::of(
                smtp.messages_per_connection.as_ref(),
                from(profile, |profile| {
                    profile.messages_per_connection.map(number)
                }),
                default.messages_per_connection,
            ),
            recipients_per_message: Picked::of(
                smtp.recipients_per_message.as_ref(),
                from(profile, |profile| {
                    profile.recipients_per_message.map(number)
                }),
                default.recipients_per_message,
            ),
            keep_idle: Picked::of(
                smtp.keep_idle.as_ref(),
                from(profile, |profile| profile.keep_idle.map(Span::of)),
                default.keep_idle,
            ),
            connect: Picked::of(timeout.0.connect.as_ref(), None, timeout.1.connect),
            command: Picked::of(timeout.0.command.as_ref(), None, timeout.1.command),
            data: Picked::of(timeout.0.data.as_ref(), None, timeout.1.data),
            final_reply: Picked::of(timeout.0.final_reply.as_ref(), None, timeout.1.final_reply),
        }
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.connect.value.get(),
            command: self.command.value.get(),
            data: self.data.value.get(),
            final_reply: self.final_reply.value.get(),
        }
    }
}

/// Returns what a profile has, as a picked value.
fn from<T>(
    profile: Option<&'static Profile>,
    value: impl Fn(&'static Profile) -> Option<T>,
) -> Option<Picked<T>> {
    let profile = profile?;
    Some(Picked {
        value: value(profile)?,
        origin: Origin::Profile(profile.name),
    })
}

fn number<const MIN: u64, const MAX: u64>(number: impl Into<u64>) -> Number<MIN, MAX> {
    Number::of(number.into())
}

fn host(smtp: &raw::Smtp, profile: Option<&'static Profile>) -> Option<Picked<String>> {
    if let Some(host) = &smtp.host {
        return Some(Picked::written(host.get_ref().clone(), host.span()));
    }
    from(profile, |profile| match profile.host {
        Host::Fixed(host) => Some(host.to_owned()),
        Host::Regional { .. } => None,
    })
}

/// A port of the profile belongs to its TLS policy: with another one, the usual port of that is meant.
fn port(
    smtp: &raw::Smtp,
    profile: Option<&'static Profile>,
    tls: &Picked<raw::TlsPolicy>,
) -> Picked<raw::Port> {
    let of_profile = from(profile, |profile| {
        (policy(profile.tls) == tls.value && !smtp.mx.get_ref()).then(|| number(profile.port))
    });
    Picked::of(smtp.port.as_ref(), of_profile, default_port(smtp, tls))
}

fn rate(smtp: &raw::Smtp, profile: Option<&'static Profile>) -> Picked<raw::Rates> {
    if let Some(rate) = &smtp.rate {
        return Picked::written(rate.clone(), rate.0.span());
    }
    let of_profile = from(profile, |profile| {
        (!profile.rate.is_empty()).then(|| raw::Rates::of(profile.rate))
    });
    of_profile.unwrap_or_else(|| Picked::default(raw::Rates::default()))
}

const fn policy(policy: TlsPolicy) -> raw::TlsPolicy {
    match policy {
        TlsPolicy::Disabled => raw::TlsPolicy::Disabled,
        TlsPolicy::Implicit => raw::TlsPolicy::Implicit,
        TlsPolicy::Opportunistic => raw::TlsPolicy::Opportunistic,
        TlsPolicy::Required => raw::TlsPolicy::Required,
    }
}

/// 465 for implicit TLS, 25 between servers, 587 for submission (RFC 8314 §7.3, RFC 6409 §3.1).
fn default_port(smtp: &raw::Smtp, tls: &Picked<raw::TlsPolicy>) -> raw::Port {
    raw::Port::of(match (tls.value, smtp.mx.get_ref()) {
        (raw::TlsPolicy::Implicit, _) => 465,
        (_, true) => 25,
        (_, false) => 587,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(table: &str) -> Values {
        let smtp: raw::Smtp = toml::from_str(table).unwrap();
        let profile = smtp.profile.as_ref();
        let profile = profile.and_then(|name| Profile::find(name.get_ref()));
        Values::of(&smtp, profile)
    }

    const MICROSOFT: Origin = Origin::Profile("microsoft365");

    #[test]
    fn a_profile_gives_what_the_table_does_not_say() {
        let values = values("profile = \"microsoft365\"\nconnections = 2");
        let host = values.host.unwrap();
        assert_eq!(
            (&*host.value, host.origin),
            ("smtp.office365.com", MICROSOFT)
        );
        assert_eq!(
            (values.port.value.get(), values.port.origin),
            (587, MICROSOFT)
        );
        assert_eq!(values.rate.origin, MICROSOFT);
        assert_eq!(values.connections.value.get(), 2);
        assert!(matches!(values.connections.origin, Origin::File(_)));
        assert_eq!(values.messages_per_connection.origin, Origin::Default);
    }

    #[test]
    fn every_value_of_a_profile_can_be_overridden() {
        let values = values(
            "profile = \"microsoft365\"\nhost = \"smtp-legacy.office365.com\"\nport = 25\ntls = \"opportunistic\"\n\
             rate = []\nrecipients_per_message = 1",
        );
        assert_eq!(values.host.unwrap().value, "smtp-legacy.office365.com");
        assert_eq!(values.port.value.get(), 25);
        assert_eq!(values.tls.value, raw::TlsPolicy::Opportunistic);
        assert!(matches!(values.rate.origin, Origin::File(_)));
        assert_eq!(values.recipients_per_message.value.get(), 1);
    }

    #[test]
    fn the_port_follows_another_tls_policy() {
        let values = values("profile = \"gmail\"\ntls = \"implicit\"");
        assert_eq!(
            (values.port.value.get(), values.port.origin),
            (465, Origin::Default)
        );
    }

    #[test]
    fn a_provider_of_regions_has_no_host() {
        assert!(values("profile = \"ses\"").host.is_none());
    }
}

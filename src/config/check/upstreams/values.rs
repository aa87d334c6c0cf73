//! What a profile may set for an SMTP upstream: the values in force.

use crate::config::raw;
use crate::config::units::Span;
use crate::upstream::smtp::Timeouts;

use super::picked::{Origin, Picked};

/// The values in force of those that a profile may set.
pub(super) struct Values {
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

impl Values {
    /// Picks each value from the table, else from the defaults.
    pub(super) fn of(smtp: &raw::Smtp) -> Self {
        let (default, timeout) = (raw::SmtpDefaults::default(), &smtp.timeout);
        let tls = Picked::of(smtp.tls.as_ref(), None, default.tls);
        Self {
            port: Picked::of(smtp.port.as_ref(), None, default_port(smtp, &tls)),
            tls,
            connections: Picked::of(smtp.connections.as_ref(), None, default.connections),
            rate: rate(smtp),
            messages_per_connection: Picked::of(
                smtp.messages_per_connection.as_ref(),
                None,
                default.messages_per_connection,
            ),
            recipients_per_message: Picked::of(
                smtp.recipients_per_message.as_ref(),
                None,
                default.recipients_per_message,
            ),
            keep_idle: Picked::of(smtp.keep_idle.as_ref(), None, default.keep_idle),
            connect: Picked::of(timeout.connect.as_ref(), None, default.timeout.connect),
            command: Picked::of(timeout.command.as_ref(), None, default.timeout.command),
            data: Picked::of(timeout.data.as_ref(), None, default.timeout.data),
            final_reply: Picked::of(
                timeout.final_reply.as_ref(),
                None,
                default.timeout.final_reply,
            ),
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

fn rate(smtp: &raw::Smtp) -> Picked<raw::Rates> {
    match &smtp.rate {
        Some(rate) => Picked {
            value: rate.clone(),
            origin: Origin::File(rate.0.span()),
        },
        None => Picked::default(raw::Rates::default()),
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

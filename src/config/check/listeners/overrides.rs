//! What a listener, its profile or one of its networks says of sessions, in the place of what counts for all.

use std::time::Duration;

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::check::list::entries;
use crate::config::check::server::offered;
use crate::config::diagnostic::quoted;
use crate::config::raw::{self, List};
use crate::config::units::{ByteSize, Number, Span};
use crate::identity::nearest;
use crate::smtp::server::{
    self, AuthEquals, AuthRule, BareNewlines, Keyword, Keywords, Limits, Timeouts,
};

/// What one table says; `None` leaves what counts.
pub(super) struct Overrides<'a> {
    pub(super) auth: Option<raw::AuthRule>,
    pub(super) auth_equals: Option<bool>,
    pub(super) discarded: Option<Keywords>,
    pub(super) bare_newlines: Option<raw::BareNewlines>,
    pub(super) limits: &'a raw::OwnLimits,
    pub(super) timeouts: &'a raw::OwnTimeouts,
}

impl<'a> Overrides<'a> {
    pub(super) fn of_listener(context: &mut Context, raw: &'a raw::Listener) -> Self {
        Self {
            auth: raw.auth.as_ref().map(|auth| *auth.get_ref()),
            auth_equals: raw.auth_equals,
            discarded: keywords(context, raw.discard_keywords.as_ref()),
            bare_newlines: raw.bare_newlines,
            limits: &raw.limits,
            timeouts: &raw.timeouts,
        }
    }

    pub(super) fn of_network(context: &mut Context, raw: &'a raw::ListenerNetwork) -> Self {
        Self {
            auth: raw.auth.as_ref().map(|auth| *auth.get_ref()),
            auth_equals: raw.auth_equals,
            discarded: keywords(context, raw.discard_keywords.as_ref()),
            bare_newlines: raw.bare_newlines,
            limits: &raw.limits,
            timeouts: &raw.timeouts,
        }
    }

    /// Puts what is said in the place of what is there.
    pub(super) fn apply(&self, settings: &mut server::Settings) {
        put(&mut settings.auth, self.auth.map(auth_rule));
        let auth_equals = self.auth_equals.map(|is_offered| {
            if is_offered {
                AuthEquals::Offered
            } else {
                AuthEquals::Absent
            }
        });
        put(&mut settings.auth_equals, auth_equals);
        put(&mut settings.discarded, self.discarded);
        put(
            &mut settings.bare_newlines,
            self.bare_newlines.map(bare_newlines),
        );
        limits(&mut settings.limits, self.limits);
        timeouts(&mut settings.timeouts, self.timeouts);
    }
}

pub(super) fn auth_rule(raw: raw::AuthRule) -> AuthRule {
    match raw {
        raw::AuthRule::AfterTls => AuthRule::AfterTls,
        raw::AuthRule::Always => AuthRule::Always,
        raw::AuthRule::Off => AuthRule::Off,
    }
}

/// Returns what is done with bare CR and LF.
pub(in crate::config::check) fn bare_newlines(raw: raw::BareNewlines) -> BareNewlines {
    match raw {
        raw::BareNewlines::Refuse => BareNewlines::Refuse,
        raw::BareNewlines::Repair => BareNewlines::Repair,
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn limits(limits: &mut Limits, own: &raw::OwnLimits) {
    let octets = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    put(
        &mut limits.message_size,
        own.message_size.map(ByteSize::get),
    );
    put(&mut limits.recipients, own.recipients.map(Number::to));
    put(
        &mut limits.command_line,
        own.command_line.map(|size| octets(size.get())),
    );
    put(
        &mut limits.auth_line,
        own.auth_line.map(|size| octets(size.get())),
    );
    put(
        &mut limits.data_line,
        own.data_line.map(|size| octets(size.get())),
    );
    put(&mut limits.errors, own.errors.map(Number::to));
    put(&mut limits.auth_failures, own.auth_failures.map(Number::to));
    put(&mut limits.idle_commands, own.idle_commands.map(Number::to));
    put(&mut limits.messages, own.messages.map(Number::to));
    put(&mut limits.future_release, own.future_release.map(offered));
    put(&mut limits.deliver_by_min, own.deliver_by_min.map(offered));
}

fn timeouts(timeouts: &mut Timeouts, own: &raw::OwnTimeouts) {
    let put = |place: &mut Duration, span: Option<Span<1000>>| {
        put(place, span.map(Span::get));
    };
    put(&mut timeouts.before_auth, own.before_auth);
    put(&mut timeouts.command, own.command);
    put(&mut timeouts.data, own.data);
    put(&mut timeouts.handshake, own.handshake);
}

fn keywords(context: &mut Context, list: Option<&Spanned<List>>) -> Option<Keywords> {
    let entries = entries(context, list?)?;
    let mut keywords = Keywords::default();
    for (entry, place) in entries {
        if let Some(keyword) = Keyword::parse(&entry) {
            keywords.insert(keyword);
            continue;
        }
        let known = Keyword::ALL.map(Keyword::name);
        let all = format!("keywords known here: {}", quoted(known));
        let hint = match nearest(&entry.to_uppercase(), &known) {
            Some(meant) => format!("did you mean `{meant}`? {all}"),
            None => all,
        };
        context.error(place, format!("`{entry}` is no keyword of EHLO"), hint);
    }
    Some(keywords)
}

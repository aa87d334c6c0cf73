//! The reply to EHLO: which extensions are offered (RFC 5321 §4.1.1.1).

use crate::smtp::sasl::Mechanism;

use super::keyword::Keyword;
use super::session::Session;
use super::settings::AuthEquals;

impl Session {
    /// Returns the reply to EHLO as it goes out.
    pub(super) fn offer(&self) -> Vec<u8> {
        let mut lines = vec![self.settings.hostname.as_ascii().to_owned()];
        for (keyword, parameters) in self.offered() {
            if self.settings.discarded.contains(keyword) {
                continue;
            }
            let name = keyword.name();
            lines.push(match &*parameters {
                "" => name.to_owned(),
                parameters => format!("{name} {parameters}"),
            });
            let has_old_form = self.settings.auth_equals == AuthEquals::Offered;
            if keyword == Keyword::Auth && has_old_form {
                lines.push(format!("AUTH={parameters}"));
            }
        }
        let mut reply = String::new();
        let last = lines.len() - 1;
        for (index, line) in lines.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            reply.push_str("250");
            reply.push(separator);
            reply.push_str(line);
            reply.push_str("\r\n");
        }
        reply.into_bytes()
    }

    /// Returns what this session has to offer now, each with its parameters.
    fn offered(&self) -> Vec<(Keyword, String)> {
        let limits = &self.settings.limits;
        // RFC 9422 §3: clients know before they are told 421 or 452.
        let (mails, recipients) = (limits.messages.min(MAX_LIMIT), limits.recipients);
        let of_session = format!("MAILMAX={mails} RCPTMAX={recipients}");
        let mut offered = vec![
            (Keyword::Pipelining, String::new()),
            (Keyword::Size, limits.message_size.to_string()),
        ];
        // Never the last line: some programs look for "250-STARTTLS" and "250-AUTH", and for no "250 STARTTLS".
        if self.offers_starttls() {
            offered.push((Keyword::StartTls, String::new()));
        }
        if self.offers_auth() {
            let names: Vec<&str> = self.mechanisms().map(Mechanism::name).collect();
            offered.push((Keyword::Auth, names.join(" ")));
        }
        offered.extend([
            (Keyword::EightBitMime, String::new()),
            (Keyword::SmtpUtf8, String::new()),
            (Keyword::Chunking, String::new()),
            (Keyword::Dsn, String::new()),
            (Keyword::Limits, of_session),
            (Keyword::EnhancedStatusCodes, String::new()),
            // No profile of priorities is named: five steps are none of those registered (RFC 6710 §10).
            (Keyword::MtPriority, String::new()),
        ]);
        offered.extend(limits.future_release.map(|longest| {
            // RFC 4865 §4: both how long and until when.
            let latest = self.civil_time().after(longest).to_second();
            let parameters = format!("{} {latest}", longest.as_secs());
            (Keyword::FutureRelease, parameters)
        }));
        let deliver_by = limits.deliver_by_min;
        offered.extend(deliver_by.map(|least| (Keyword::DeliverBy, least.as_secs().to_string())));
        if self.offers_require_tls() {
            offered.push((Keyword::RequireTls, String::new()));
        }
        offered
    }
}

/// The largest limit that can be told (RFC 9422 §4: six digits).
const MAX_LIMIT: u32 = 999_999;

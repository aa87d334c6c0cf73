//! The reply to EHLO: which extensions are offered (RFC 5321 §4.1.1.1).

use super::session::Session;

impl Session {
    /// Returns the reply to EHLO as it goes out.
    pub(super) fn offer(&self) -> Vec<u8> {
        let size = format!("SIZE {}", self.settings.limits.message_size);
        let limits = &self.settings.limits;
        // RFC 9422 §3: clients know before they are told 421 or 452.
        let (mails, recipients) = (limits.messages, limits.recipients);
        let of_session = format!("LIMITS MAILMAX={mails} RCPTMAX={recipients}");
        let future_release = limits.future_release.map(|longest| {
            // RFC 4865 §4: both how long and until when.
            let latest = self.civil_time().after(longest).to_second();
            format!("FUTURERELEASE {} {latest}", longest.as_secs())
        });
        let deliver_by = limits
            .deliver_by_min
            .map(|least| format!("DELIVERBY {}", least.as_secs()));
        let mut keywords = vec![
            "PIPELINING",
            size.as_str(),
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "DSN",
            &of_session,
            "ENHANCEDSTATUSCODES",
            // No profile of priorities is named: five steps are none of those registered (RFC 6710 §10).
            "MT-PRIORITY",
        ];
        keywords.extend(future_release.as_deref());
        keywords.extend(deliver_by.as_deref());
        if self.offers_require_tls() {
            keywords.push("REQUIRETLS");
        }
        if self.offers_starttls() {
            keywords.push("STARTTLS");
        }
        // A client takes the first mechanism it knows, so only such are offered as work for every account.
        if self.offers_auth() {
            keywords.push("AUTH LOGIN PLAIN");
        }
        let mut reply = format!("250-{}\r\n", self.settings.hostname.as_ascii());
        let last = keywords.len() - 1;
        for (index, keyword) in keywords.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            reply.push_str("250");
            reply.push(separator);
            reply.push_str(keyword);
            reply.push_str("\r\n");
        }
        reply.into_bytes()
    }
}

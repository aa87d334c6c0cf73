//! Every reply that posthouse gives. No code and no text of a reply stands anywhere else.
//!
//! Texts are lower case, without configuration or error texts; what helps a person is put behind them by
//! [`Reply::line_with`]. Greeting and EHLO, which are made of the configuration, are the session's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mail::status::Class;
use crate::mail::{EnhancedStatusCode, MtPriority};

use super::reply::Reply;

macro_rules! replies {
    ($($(#[$doc:meta])+ $name:ident = $code:literal [$class:literal $subject:literal $detail:literal] $text:literal;)+) => {
        $($(#[$doc])+ pub const $name: Reply = Reply::new($code, status($class, $subject, $detail), $text);)+

        /// All replies that carry an enhanced status code.
        #[cfg(test)]
        const ALL: &[Reply] = &[$($name),+];
    };
}

const fn status(class: u16, subject: u16, detail: u16) -> EnhancedStatusCode {
    let class = match class {
        2 => Class::Success,
        4 => Class::PersistentTransientFailure,
        _ => Class::PermanentFailure,
    };
    EnhancedStatusCode::new(class, subject, detail)
}

/// To AUTH PLAIN without an initial response: an empty challenge (RFC 4954 §4).
pub const AUTH_CONTINUE: Reply = Reply::bare(334, "");
/// The first prompt of LOGIN, `Username:`. Some printers accept these octets only.
pub const AUTH_USERNAME: Reply = Reply::bare(334, "VXNlcm5hbWU6");
/// The second prompt of LOGIN, `Password:`.
pub const AUTH_PASSWORD: Reply = Reply::bare(334, "UGFzc3dvcmQ6");
/// To a token that is refused: why, as JSON (RFC 7628 §3.2.2), `{"status":"invalid_token","schemes":"bearer"}`. The client answers with nothing to it.
pub const TOKEN_CHALLENGE: Reply = Reply::bare(
    334,
    "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NoZW1lcyI6ImJlYXJlciJ9",
);
/// To DATA.
pub const START_DATA: Reply = Reply::bare(354, "end data with <CR><LF>.<CR><LF>");

replies! {
    /// To a successful AUTH.
    AUTHENTICATED = 235 [2 7 0] "authentication succeeded";
    /// To a chunk that is not the last.
    CHUNK_RECEIVED = 250 [2 0 0] "chunk received";
    /// To MAIL whose MT-PRIORITY is not honoured (RFC 6710 §9). The new one comes first, so [`new_priority`] is all of it.
    PRIORITY_CHANGED = 250 [2 3 6] "";
    /// To QUIT.
    GOODBYE = 221 [2 0 0] "goodbye";
    /// To HELP.
    HELP = 214 [2 0 0] "commands: EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT; see RFC 6409";
    /// To NOOP and RSET.
    OK = 250 [2 0 0] "ok";
    /// To a committed message; `queued as` and its queue id follow.
    QUEUED = 250 [2 0 0] "ok";
    /// To STARTTLS.
    READY_FOR_TLS = 220 [2 0 0] "ready to start TLS";
    /// To RCPT.
    RECIPIENT_OK = 250 [2 1 5] "recipient ok";
    /// To MAIL.
    SENDER_OK = 250 [2 1 0] "sender ok";
    /// To VRFY (RFC 5321 §3.5.3).
    VRFY_UNCERTAIN = 252 [2 5 0] "cannot verify the address; send the message to find out";

    /// A login cannot be checked at the moment.
    AUTH_UNAVAILABLE = 454 [4 7 0] "authentication is temporarily unavailable";
    /// Failed logins from this address or for this account must wait.
    AUTH_THROTTLED = 454 [4 7 0] "too many failed logins; try again later";
    /// The time from connecting to logging in is over.
    LOGIN_TIMEOUT = 421 [4 7 0] "not logged in in time; closing connection";
    /// Nothing came in time.
    TIMEOUT = 421 [4 4 2] "timeout; closing connection";
    /// A chunk so large that it is not even skipped.
    CHUNK_TOO_LARGE = 421 [4 7 0] "the chunk is too large to be skipped; closing connection";
    /// Too many refused commands.
    TOO_MANY_ERRORS = 421 [4 7 0] "too many errors; closing connection";
    /// Too many commands without effect.
    TOO_MANY_COMMANDS = 421 [4 7 0] "too many commands without a message; closing connection";
    /// Too many failed logins in one session.
    TOO_MANY_LOGINS = 421 [4 7 0] "too many failed logins; closing connection";
    /// Too many messages in one session.
    TOO_MANY_MESSAGES = 421 [4 7 0] "too many messages in one session; connect again";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = 421 [4 7 0] "too many connections; try again later";
    /// The server is stopping.
    SHUTTING_DOWN = 421 [4 3 2] "shutting down; try again later";
    /// An invariant of ours does not hold.
    INTERNAL_ERROR = 421 [4 3 0] "internal error; closing connection";
    /// The spool cannot take the message at the moment.
    SPOOL_UNAVAILABLE = 451 [4 3 0] "the message could not be stored; try again later";
    /// A limit of the account or its tenant is exceeded; which one and when it goes on follows.
    OVER_QUOTA = 450 [4 7 1] "try again later";
    /// More sessions of an account than it may have, which is known by its network.
    TOO_MANY_SESSIONS = 450 [4 7 1] "too many sessions of this account; try again later";
    /// More sessions of an account than it may have, at its login.
    AUTH_TOO_MANY_SESSIONS = 454 [4 7 0] "too many sessions of this account; try again later";
    /// No upstream, or the master switch is off.
    SENDING_DISABLED = 451 [4 3 2] "sending is disabled";
    /// The spool is full.
    SPOOL_FULL = 452 [4 3 1] "no room for more mail; try again later";
    /// More recipients than the limit; the client sends the rest in another transaction.
    TOO_MANY_RECIPIENTS = 452 [4 5 3] "too many recipients; send the message again for the others";

    /// A line longer than the limit.
    LINE_TOO_LONG = 500 [5 5 2] "line too long";
    /// A line of AUTH longer than its limit (RFC 4954 §4).
    AUTH_LINE_TOO_LONG = 500 [5 5 6] "authentication exchange line is too long";
    /// An unknown verb.
    UNKNOWN_COMMAND = 500 [5 5 1] "unknown command";
    /// A login cancelled by the client (RFC 4954 §4).
    AUTH_CANCELLED = 501 [5 7 0] "authentication cancelled";
    /// A response that is not base64.
    AUTH_MALFORMED = 501 [5 5 2] "cannot decode the response";
    /// HOLDFOR or HOLDUNTIL beyond the limit (RFC 4865 §4); the limit follows.
    HELD_TOO_LONG = 501 [5 5 4] "the message cannot be held so long";
    /// A parameter that makes no sense.
    INVALID_PARAMETER = 501 [5 5 4] "invalid parameter";
    /// BY that is over when HOLDFOR or HOLDUNTIL releases the message.
    LATE_BEFORE_RELEASE = 501 [5 5 4] "the message would be late before it is released: BY must lie behind HOLDFOR or HOLDUNTIL";
    /// Arguments that are missing or malformed.
    SYNTAX_ERROR = 501 [5 5 2] "syntax error";
    /// A reverse-path that is no address.
    SENDER_SYNTAX = 501 [5 1 7] "malformed sender";
    /// A forward-path that is no address.
    RECIPIENT_SYNTAX = 501 [5 1 3] "malformed recipient";
    /// A command that this server does not carry out.
    NOT_IMPLEMENTED = 502 [5 5 1] "command not implemented";
    /// A command at the wrong time; what would be the right time follows.
    BAD_SEQUENCE = 503 [5 5 1] "bad sequence of commands";
    /// BDAT without a message.
    NO_MESSAGE = 503 [5 5 1] "bad sequence of commands, no message is in progress";
    /// A mechanism of AUTH that is not offered.
    UNKNOWN_MECHANISM = 504 [5 5 4] "unknown authentication mechanism";
    /// A command that needs a login.
    AUTH_REQUIRED = 530 [5 7 0] "authentication required";
    /// A command that needs TLS and a login.
    STARTTLS_REQUIRED = 530 [5 7 0] "must issue a STARTTLS command first";
    /// A wrong user name or password.
    AUTH_FAILED = 535 [5 7 8] "authentication failed: wrong user name or password";
    /// A token that does not count, or is not for this account.
    TOKEN_REFUSED = 535 [5 7 8] "authentication failed: the access token is not accepted";
    /// AUTH before TLS.
    ENCRYPTION_REQUIRED = 538 [5 7 11] "encryption required: start TLS before logging in";
    /// No upstream of the account, and no route by recipient.
    RECIPIENT_NOT_ROUTED = 550 [5 7 1] "no upstream takes mail of this account to this recipient";
    /// The account may not send as this sender; which one and what it may use follows.
    SENDER_NOT_AUTHORIZED = 550 [5 7 1] "sender not authorized";
    /// A bare CR or LF in the message.
    BARE_NEWLINE = 550 [5 6 11] "the message has a bare CR or LF; lines end with CRLF";
    /// More octets than the limit.
    MESSAGE_TOO_LARGE = 552 [5 3 4] "the message is too large";
    /// The message is circling.
    MAIL_LOOP = 554 [5 4 6] "the message has passed too many servers: mail loop";
    /// A message that RFC 5322 does not allow; what is wrong follows.
    MESSAGE_MALFORMED = 554 [5 6 0] "the message is malformed";
    /// DATA although all recipients were refused.
    NO_RECIPIENTS = 554 [5 5 1] "no valid recipients";
    /// HTTP or the like.
    NOT_SMTP = 554 [5 5 1] "this is an SMTP server; closing connection";
    /// To plain text where TLS is due from the first octet (RFC 8314 §3.3).
    NOT_TLS = 554 [5 7 10] "TLS comes first on this port (SSL/TLS, not STARTTLS); closing connection";
    /// To a PROXY header from an address that may not send one.
    PROXY_NOT_TAKEN = 554 [5 5 1] "no PROXY header is taken from here; closing connection";
    /// A parameter of an extension that is not offered.
    UNKNOWN_PARAMETER = 555 [5 5 4] "unknown parameter";
    /// BY with mode R and less time than the limit (RFC 2852 §4); the limit follows.
    DEADLINE_TOO_NEAR = 555 [5 5 4] "the time to deliver is too short";
    /// An international address without SMTPUTF8 (RFC 6531 §3.5).
    SMTPUTF8_REQUIRED = 553 [5 6 7] "an international address needs the SMTPUTF8 parameter";
}

/// A challenge of SASL with octets of its own (RFC 4954 §4): all of the line.
pub fn challenge(octets: &[u8]) -> Vec<u8> {
    format!("334 {}\r\n", STANDARD.encode(octets)).into_bytes()
}

/// Returns what stands in [`PRIORITY_CHANGED`]: the new priority, a space, and words for people (RFC 6710 §9).
pub fn new_priority(priority: MtPriority) -> String {
    format!("{priority} is the new priority assigned to the message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_printable_ascii_and_leaves_room_for_its_detail() {
        for reply in ALL {
            assert!(
                reply
                    .text()
                    .bytes()
                    .all(|octet| matches!(octet, b' '..=b'~'))
            );
            assert!(reply.text().len() < 100, "{}", reply.text());
            assert!(!reply.text().ends_with([' ', ':']), "{}", reply.text());
        }
    }
}

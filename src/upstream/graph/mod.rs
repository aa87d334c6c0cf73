//! Microsoft 365 through Graph: `sendMail` with the message as it is, in base64.
//!
//! What differs from SMTP, and where it is dealt with:
//!
//! - there is no envelope, so the header is made to name the recipients: `recipients`;
//! - a mailbox sends, which the request names: `sender`, at most [`PER_MAILBOX`] requests at once: `slots`;
//! - only 202 is a success, and errors come as JSON: `answer`, `judge`, where the one table is;
//! - messages above 3 MB go by SMTP, logged in as the same mailbox with the same application: `submission`.
//!
//! It does *not* make drafts and upload sessions for large messages: they need more permissions (`Mail.ReadWrite`), are
//! missing in some clouds, and lose the message as it was written.

mod answer;
mod judge;
mod message;
mod outcomes;
mod recipients;
mod sender;
mod settings;
mod setup;
mod slots;
mod submission;
mod upstream;

pub use sender::is_mailbox_name;
pub use settings::{Foreign, PER_MAILBOX, Settings};
pub use setup::Setup;
pub use submission::Submission;
pub use upstream::{GraphUpstream, Parts};

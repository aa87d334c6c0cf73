//! What a person should be told: kinds, where alerts are raised, which are stored, and when whom to tell what.
//!
//! Raising an alert never waits and never fails. What is raised while too many wait is counted and told as a number. What
//! is stored and told is decided by the [`Ledger`], which is pure; [`AlertFile`] keeps it over a restart. Who writes the
//! file, sends mail and calls webhooks is `app`.

mod alerts;
mod file;
mod ledger;
mod letter;
mod raised;
mod settings;
mod stored;
mod webhook;

pub use alerts::Alerts;
pub use file::{AlertFile, FILE, LoadError, load};
pub use ledger::{Fate, Ledger, MAX_ERRANDS, MAX_STORED, Round, Tried};
pub use letter::{Composed, Letter};
pub use raised::{Alert, Kind};
pub use settings::{Contacts, Delivery, OfAccount, OfTenant, Settings, Webhook};
pub use stored::{Errand, Item, Line, Stored, Target};
pub use webhook::{SIGNATURE, payload, signature};

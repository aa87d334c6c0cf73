//! Ruby's net/smtp, which Rails sends with: Redmine, GitLab, Discourse.

use std::io;

use crate::stage::{Client, Mechanism, Security, Submission};
use crate::support::peer::missing_program;

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || missing_program("ruby").into_iter().collect(),
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    to.by_script("ruby", "submit.rb")
}

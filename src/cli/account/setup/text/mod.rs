//! What each client is told.

mod code;
mod people;
mod programs;
mod sites;

use serde::Serialize;

use super::access::Access;
use super::client::Client;

/// A piece to type or to paste.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Section {
    /// Where it goes.
    pub(super) title: String,
    /// The language it is written in: `text`, `sh`, `php`, …
    pub(super) language: &'static str,
    /// All of it, with a line end at its end.
    pub(super) text: String,
}

impl Section {
    fn new(title: &str, language: &'static str, text: String) -> Self {
        Self {
            title: title.to_owned(),
            language,
            text,
        }
    }

    /// Makes a list of names and values, for forms.
    fn form(title: &str, fields: &[(&str, &str)]) -> Self {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or_default();
        let lines = fields
            .iter()
            .map(|(name, value)| format!("{name:<width$}  {value}\n"));
        Self::new(title, "text", lines.collect())
    }
}

/// Writes what a client is told.
pub(super) fn sections(client: Client, access: &Access) -> Vec<Section> {
    match client {
        Client::AppleMail => people::apple_mail(access),
        Client::Curl => programs::curl(access),
        Client::Dotnet => code::dotnet(access),
        Client::Java => code::java(access),
        Client::Magento => sites::magento(access),
        Client::Msmtp => programs::msmtp(access),
        Client::Nodemailer => code::nodemailer(access),
        Client::Outlook => people::outlook(access),
        Client::Phpmailer => code::phpmailer(access),
        Client::Postfix => programs::postfix(access),
        Client::Printer => people::printer(access),
        Client::Python => code::python(access),
        Client::Salesforce => sites::salesforce(access),
        Client::Swaks => programs::swaks(access),
        Client::Thunderbird => people::thunderbird(access),
        Client::Wordpress => sites::wordpress(access),
    }
}

#[cfg(test)]
mod tests;

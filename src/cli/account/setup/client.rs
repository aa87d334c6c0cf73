//! The clients that are known, and what each needs.

use clap::ValueEnum;

/// A program or device that sends mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Client {
    /// Mail of macOS and iOS
    #[value(alias = "macos", alias = "ios")]
    AppleMail,
    /// curl on the command line
    Curl,
    /// .NET: System.Net.Mail, or `MailKit` for TLS from the beginning
    #[value(alias = ".net", alias = "csharp", alias = "mailkit")]
    Dotnet,
    /// Jakarta Mail, `JavaMail`
    #[value(alias = "jakarta", alias = "javamail")]
    Java,
    /// Magento 2, Adobe Commerce
    Magento,
    /// msmtp, a sendmail for machines without a mail server
    Msmtp,
    /// Nodemailer
    #[value(alias = "node")]
    Nodemailer,
    /// Outlook, classic and new
    Outlook,
    /// `PHPMailer`
    #[value(alias = "php")]
    Phpmailer,
    /// Postfix, which hands all its mail over (relayhost)
    Postfix,
    /// Printers, scanners and other devices
    #[value(alias = "device", alias = "scanner")]
    Printer,
    /// Python's smtplib
    #[value(alias = "smtplib")]
    Python,
    /// Salesforce's email relay
    Salesforce,
    /// swaks, to try it out
    Swaks,
    /// Thunderbird
    Thunderbird,
    /// `WordPress` with the plugin WP Mail SMTP
    #[value(alias = "wp-mail-smtp")]
    Wordpress,
}

/// Which ports suit a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// Without TLS where there is a port for it: many devices know none of today.
    PlainFirst,
    /// STARTTLS before TLS from the beginning.
    StartTlsFirst,
    /// STARTTLS at one of these ports, and nothing else.
    StartTlsOnly(&'static [u16]),
    /// TLS from the beginning first, as RFC 8314 section 3.3 prefers.
    TlsFirst,
}

impl Client {
    /// Returns its name on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns what is printed of it where all are listed.
    pub(super) fn description(self) -> String {
        let value = self.to_possible_value();
        let help = value.and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    /// Returns the ports that suit it.
    pub(super) const fn wish(self) -> Wish {
        match self {
            Self::Printer => Wish::PlainFirst,
            // System.Net.Mail knows no TLS from the beginning; Postfix knows it since 3.0.
            Self::Dotnet | Self::Postfix => Wish::StartTlsFirst,
            // "Port" in Salesforce's object reference, EmailRelay.
            Self::Salesforce => Wish::StartTlsOnly(&[587, 25, 10025, 11025]),
            Self::AppleMail
            | Self::Curl
            | Self::Java
            | Self::Magento
            | Self::Msmtp
            | Self::Nodemailer
            | Self::Outlook
            | Self::Phpmailer
            | Self::Python
            | Self::Swaks
            | Self::Thunderbird
            | Self::Wordpress => Wish::TlsFirst,
        }
    }
}

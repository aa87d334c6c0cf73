//! What is printed before a trial: how it is reached, and commands to paste.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Style};

use super::files::ACCOUNT;

/// How a trial is reached.
pub(super) struct Access<'a> {
    pub(super) starttls_port: u16,
    pub(super) implicit_port: u16,
    pub(super) password: &'a str,
    pub(super) folder: &'a Path,
    /// Where mail goes, in words.
    pub(super) destination: String,
}

impl Access<'_> {
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        output.styled(
            Style::Bold,
            format_args!("posthouse {version}: a relay to try out"),
        )?;
        output.line("")?;
        output.field("server", "127.0.0.1, from this machine only")?;
        output.field("port", format_args!("{} with STARTTLS", self.starttls_port))?;
        output.field(
            "or port",
            format_args!(
                "{} with TLS from the beginning (SSL/TLS)",
                self.implicit_port
            ),
        )?;
        output.field("user name", ACCOUNT)?;
        output.field("password", self.password)?;
        output.field("mail goes to", &self.destination)?;
        output.field("all is kept in", self.folder.display())?;
        output.line("")?;
        output.line("A mail client takes these values; let it accept the certificate, which is self-signed.")?;
        output.line("To send a message, paste one of these into another terminal:")?;
        for (name, command) in [
            ("curl", self.curl()),
            ("swaks", self.swaks()),
            ("Python", self.python()),
        ] {
            output.line("")?;
            output.styled(Style::Bold, format_args!("# {name}"))?;
            output.line(command)?;
        }
        output.line("")?;
        output.styled(Style::Bold, "Ctrl-C ends the trial.")?;
        output.line("")
    }

    fn curl(&self) -> String {
        let (port, password) = (self.starttls_port, self.password);
        format!(
            "printf 'From: <demo@example.com>\\r\\nTo: <you@example.net>\\r\\nSubject: Hello from curl\\r\\n\\r\\n\
             It works.\\r\\n' | curl --ssl-reqd --insecure smtp://127.0.0.1:{port} --user '{ACCOUNT}:{password}' \
             --mail-from demo@example.com --mail-rcpt you@example.net -T -"
        )
    }

    fn swaks(&self) -> String {
        let (port, password) = (self.starttls_port, self.password);
        format!(
            "swaks --server 127.0.0.1:{port} --tls --auth PLAIN --auth-user {ACCOUNT} --auth-password '{password}' \
             --from demo@example.com --to you@example.net --header 'Subject: Hello from swaks'"
        )
    }

    fn python(&self) -> String {
        let (port, password) = (self.starttls_port, self.password);
        format!(
            "python3 -c 'import smtplib; s = smtplib.SMTP(\"127.0.0.1\", {port}); s.starttls(); \
             s.login(\"{ACCOUNT}\", \"{password}\"); s.sendmail(\"demo@example.com\", \"you@example.net\", \
             \"From: demo@example.com\\nTo: you@example.net\\nSubject: Hello from Python\\n\\nIt works.\\n\"); \
             s.quit()'"
        )
    }
}

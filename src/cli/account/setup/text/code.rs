//! Libraries that programs send with. The password comes from the environment, never from the code.

use super::Section;
use crate::cli::account::setup::access::{Access, RECIPIENT, Security, VARIABLE};
use crate::cli::account::setup::quote::{double, property, single};

pub(super) fn python(access: &Access) -> Vec<Section> {
    let (host, port) = (single(&access.host), access.port);
    let authority = access.authority.as_ref();
    let authority = authority.map(|file| format!("cafile={}", single(file)));
    let context = format!(
        "context = ssl.create_default_context({})\n",
        authority.unwrap_or_default()
    );
    let (context, open, secure) = match access.security {
        Security::None => (String::new(), format!("smtplib.SMTP({host}, {port})"), ""),
        Security::StartTls => (
            context,
            format!("smtplib.SMTP({host}, {port})"),
            "    smtp.starttls(context=context)\n",
        ),
        Security::Tls => (
            context,
            format!("smtplib.SMTP_SSL({host}, {port}, context=context)"),
            "",
        ),
    };
    let login = access.user.as_ref().map(|user| {
        let user = single(user);
        format!("    smtp.login({user}, os.environ['{VARIABLE}'])\n")
    });
    let text = format!(
        "import os, smtplib, ssl\nfrom email.message import EmailMessage\n\n\
         message = EmailMessage()\nmessage['From'] = {}\nmessage['To'] = '{RECIPIENT}'\n\
         message['Subject'] = 'Hello from Python'\nmessage.set_content('It works.')\n\n\
         {context}with {open} as smtp:\n{secure}{}    smtp.send_message(message)\n",
        single(&access.sender),
        login.unwrap_or_default(),
    );
    vec![Section::new("A program", "python", text)]
}

pub(super) fn phpmailer(access: &Access) -> Vec<Section> {
    let secure = match access.security {
        Security::None => "$mail->SMTPSecure = '';\n$mail->SMTPAutoTLS = false;\n",
        Security::StartTls => "$mail->SMTPSecure = PHPMailer::ENCRYPTION_STARTTLS;\n",
        Security::Tls => "$mail->SMTPSecure = PHPMailer::ENCRYPTION_SMTPS;\n",
    };
    let authority = access.authority.as_ref().map(|file| {
        let file = single(file);
        format!("$mail->SMTPOptions = ['ssl' => ['cafile' => {file}]];\n")
    });
    let login = access.user.as_ref().map_or_else(
        || "$mail->SMTPAuth = false;\n".to_owned(),
        |user| {
            let user = single(user);
            format!(
                "$mail->SMTPAuth = true;\n$mail->Username = {user};\n$mail->Password = getenv('{VARIABLE}');\n"
            )
        },
    );
    let text = format!(
        "use PHPMailer\\PHPMailer\\PHPMailer;\n\n\
         $mail = new PHPMailer(true);\n$mail->isSMTP();\n$mail->CharSet = PHPMailer::CHARSET_UTF8;\n\
         $mail->Host = {};\n$mail->Port = {};\n{secure}{}{login}\
         $mail->setFrom({});\n$mail->addAddress('{RECIPIENT}');\n\
         $mail->Subject = 'Hello from PHPMailer';\n$mail->Body = 'It works.';\n$mail->send();\n",
        single(&access.host),
        access.port,
        authority.unwrap_or_default(),
        single(&access.sender),
    );
    vec![Section::new(
        "A program, behind the autoloader of Composer",
        "php",
        text,
    )]
}

pub(super) fn nodemailer(access: &Access) -> Vec<Section> {
    let secure = match access.security {
        Security::None => "  secure: false,\n  ignoreTLS: true,\n",
        Security::StartTls => "  secure: false,\n  requireTLS: true,\n",
        Security::Tls => "  secure: true,\n",
    };
    let authority = access.authority.as_ref().map(|file| {
        let file = single(file);
        format!("  tls: {{ ca: require('node:fs').readFileSync({file}) }},\n")
    });
    let login = access.user.as_ref().map(|user| {
        let user = single(user);
        format!("  auth: {{ user: {user}, pass: process.env.{VARIABLE} }},\n")
    });
    let text = format!(
        "const transport = require('nodemailer').createTransport({{\n  host: {},\n  port: {},\n{secure}{}{}}});\n\
         transport.sendMail({{\n  from: {},\n  to: '{RECIPIENT}',\n  subject: 'Hello from Nodemailer',\n  \
         text: 'It works.',\n}});\n",
        single(&access.host),
        access.port,
        login.unwrap_or_default(),
        authority.unwrap_or_default(),
        single(&access.sender),
    );
    vec![Section::new("A program", "javascript", text)]
}

pub(super) fn java(access: &Access) -> Vec<Section> {
    let secure = match access.security {
        Security::None => "mail.smtp.starttls.enable=false\n",
        Security::StartTls => {
            "mail.smtp.starttls.enable=true\nmail.smtp.starttls.required=true\n\
             mail.smtp.ssl.checkserveridentity=true\n"
        }
        Security::Tls => "mail.smtp.ssl.enable=true\nmail.smtp.ssl.checkserveridentity=true\n",
    };
    let login = access.user.as_ref().map_or_else(
        || "mail.smtp.auth=false\n".to_owned(),
        |user| format!("mail.smtp.auth=true\nmail.smtp.user={}\n", property(user)),
    );
    let text = format!(
        "mail.transport.protocol=smtp\nmail.smtp.host={}\nmail.smtp.port={}\n{secure}{login}mail.smtp.from={}\n\
         mail.smtp.connectiontimeout=30000\nmail.smtp.timeout=300000\nmail.smtp.writetimeout=300000\n",
        property(&access.host),
        access.port,
        property(&access.sender),
    );
    let properties = Section::new("Properties of the mail session", "properties", text);
    let Some(user) = &access.user else {
        return vec![properties];
    };
    let text = format!(
        "Transport.send(message, {}, System.getenv(\"{VARIABLE}\"));\n",
        double(user)
    );
    vec![properties, Section::new("To send a message", "java", text)]
}

pub(super) fn dotnet(access: &Access) -> Vec<Section> {
    match access.security {
        Security::None | Security::StartTls => system_net_mail(access),
        Security::Tls => mailkit(access),
    }
}

fn password() -> String {
    format!("Environment.GetEnvironmentVariable(\"{VARIABLE}\")")
}

fn system_net_mail(access: &Access) -> Vec<Section> {
    let login = access.user.as_ref().map(|user| {
        let (user, password) = (double(user), password());
        format!("    Credentials = new NetworkCredential({user}, {password}),\n")
    });
    let text = format!(
        "using System;\nusing System.Net;\nusing System.Net.Mail;\n\n\
         using var client = new SmtpClient({}, {})\n{{\n    EnableSsl = {}, // STARTTLS\n{}}};\n\
         client.Send({}, \"{RECIPIENT}\", \"Hello from .NET\", \"It works.\");\n",
        double(&access.host),
        access.port,
        access.security != Security::None,
        login.unwrap_or_default(),
        double(&access.sender),
    );
    vec![Section::new(
        "A program with System.Net.Mail",
        "csharp",
        text,
    )]
}

/// `System.Net.Mail` begins without TLS always.
fn mailkit(access: &Access) -> Vec<Section> {
    let login = access.user.as_ref().map(|user| {
        let (user, password) = (double(user), password());
        format!("client.Authenticate({user}, {password});\n")
    });
    let text = format!(
        "using System;\nusing MailKit.Net.Smtp;\nusing MailKit.Security;\nusing MimeKit;\n\n\
         var message = new MimeMessage();\nmessage.From.Add(MailboxAddress.Parse({}));\n\
         message.To.Add(MailboxAddress.Parse(\"{RECIPIENT}\"));\nmessage.Subject = \"Hello from .NET\";\n\
         message.Body = new TextPart(\"plain\") {{ Text = \"It works.\" }};\n\n\
         using var client = new SmtpClient();\n\
         client.Connect({}, {}, SecureSocketOptions.SslOnConnect);\n{}client.Send(message);\nclient.Disconnect(true);\n",
        double(&access.sender),
        double(&access.host),
        access.port,
        login.unwrap_or_default(),
    );
    vec![Section::new("A program with MailKit", "csharp", text)]
}

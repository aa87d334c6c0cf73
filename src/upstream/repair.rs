//! What to do about an upstream that cannot be used: from a failure to plain words. Pure; one table, one test for each
//! row.
//!
//! What an answer means for the mail stands in [`classify`](super::classify); nothing here changes that.

use crate::mail::{Cause, Defect, Failure, Response, Stage};

/// Returns what a person must do before the upstream can be used again, in whole sentences; `None` where nothing better
/// is known than the words of the failure. `NAME` in them stands for the upstream's name.
pub fn repair(failure: &Failure) -> Option<&'static str> {
    let text: &str = match &failure.cause {
        Cause::Response(response) => &response.text,
        Cause::Unusable(unusable) => &unusable.text,
        Cause::Broken(_) | Cause::Capability(_) | Cause::Expired | Cause::Timeout => return None,
    };
    let named = TOKENS.iter().find(|(word, _)| has_word(text, word));
    if let Some((_, advice)) = named {
        return Some(advice);
    }
    match &failure.cause {
        Cause::Response(response) => of_response(failure.stage, response),
        Cause::Unusable(unusable) => of_defect(unusable.defect),
        Cause::Broken(_) | Cause::Capability(_) | Cause::Expired | Cause::Timeout => None,
    }
}

/// What a token endpoint says, whoever passes it on: the codes of Microsoft Entra ID, and those of RFC 6749 §5.2. The
/// first that occurs counts.
const TOKENS: &[(&str, &str)] = &[
    (
        "AADSTS7000222",
        "The client secret has expired. Make a new one in Entra ID (App registrations, the app, Certificates & secrets), put \
         it in its place, and reload. Write its end beside it: expires = \"YYYY-MM-DD\" gives warning the next time.",
    ),
    (
        "AADSTS7000215",
        "The client secret is wrong. Entra ID shows a secret's value once, when it is made; its id, which stays visible, is \
         not the secret. Make a new one (App registrations, the app, Certificates & secrets), put its value in its place, \
         and reload.",
    ),
    (
        "AADSTS700016",
        "The tenant does not know the app. Compare client_id and tenant with the app's overview in Entra ID (App \
         registrations).",
    ),
    (
        "AADSTS700027",
        "The certificate of the app is not accepted. Upload the certificate that belongs to the configured key in Entra ID \
         (App registrations, the app, Certificates & secrets), or configure the one that is there.",
    ),
    (
        "AADSTS700024",
        "The clock of this machine is wrong: the signed assertion is not valid at the time of Entra ID. Set the clock.",
    ),
    (
        "AADSTS7000112",
        "The app is disabled in the tenant. An administrator enables it in Entra ID (Enterprise applications, the app, \
         Properties, Enabled for users to sign in).",
    ),
    (
        "AADSTS900023",
        "The configured tenant is no tenant's id or domain. Copy the tenant id from the app's overview in Entra ID.",
    ),
    (
        "AADSTS90002",
        "There is no such tenant in this cloud. Copy the tenant id from the app's overview in Entra ID, and check `cloud`.",
    ),
    (
        "AADSTS50126",
        "User name or password are wrong for Entra ID. Correct them, and reload.",
    ),
    (
        "AADSTS65001",
        "Nobody has agreed that the app may do this. An administrator grants it in Entra ID: App registrations, the app, API \
         permissions, Grant admin consent.",
    ),
    (
        "AADSTS700082",
        "The stored consent has not been used for so long that it has ended. Run `posthouse upstream login NAME` again.",
    ),
    (
        "AADSTS50173",
        "The stored consent ended when the mailbox's password was changed. Run `posthouse upstream login NAME` again.",
    ),
    (
        "AADSTS70008",
        "The stored consent has ended. Run `posthouse upstream login NAME` again.",
    ),
    (
        "AADSTS50076",
        "The mailbox's owner must log in again with a second factor. Run `posthouse upstream login NAME` again.",
    ),
    (
        "AADSTS7000218",
        "The app is not one that works without a secret. Allow public client flows in Entra ID (App registrations, the app, \
         Authentication), or configure client_secret.",
    ),
    (
        "AADSTS7000229",
        "The app is not known in the tenant yet. An administrator agrees to it once (Entra ID, App registrations, the app, API \
         permissions, Grant admin consent).",
    ),
    (
        "AADSTS70011",
        "The scope is not one that can be asked for. Leave `scope` out, and check `cloud`.",
    ),
    (
        "AADSTS500011",
        "The tenant does not know what the token is asked for. Leave `scope` out, and check `cloud`: each cloud of Microsoft \
         has its own.",
    ),
    (
        "AADSTS53003",
        "A policy of the organisation (conditional access) blocks the app. An administrator exempts it in Entra ID \
         (Protection, Conditional Access).",
    ),
    (
        "invalid_grant",
        "The stored consent or key is no longer accepted: it was taken back, has ended, or belongs to another app. Where it \
         came from `posthouse upstream login NAME`, run that again; where it is a service account, check that its key \
         exists and that this machine's clock is right.",
    ),
    (
        "invalid_client",
        "The token endpoint does not know this client. Compare client id and secret with what the provider shows.",
    ),
    (
        "unauthorized_client",
        "The client may not ask for such a token. With a Google service account, an administrator of the domain must allow \
         its client id the scope https://mail.google.com/ (Admin console, Security, API controls, Domain-wide delegation).",
    ),
];

/// Whether a code occurs as a whole: AADSTS700016 is not the beginning of another number.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, found)| {
        let before = text.get(..start).and_then(|rest| rest.chars().next_back());
        let after = text
            .get(start + found.len()..)
            .and_then(|rest| rest.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// A row for a reply that the upstream has given.
struct Row {
    /// Any where it is 0.
    code: u16,
    /// As `5.7.139`; any where it is empty.
    status: &'static str,
    /// A part of the text, in lower case.
    words: &'static str,
    advice: &'static str,
}

const fn row(code: u16, status: &'static str, words: &'static str, advice: &'static str) -> Row {
    Row {
        code,
        status,
        words,
        advice,
    }
}

/// The replies of providers, by what they have of their own. The first that fits counts.
const REPLIES: &[Row] = &[
    row(
        535,
        "5.7.139",
        "smtpclientauthentication is disabled for the tenant",
        "SMTP logins are switched off for the whole Microsoft 365 organisation, whatever the kind of login. An administrator \
         switches them on: Set-TransportConfig -SmtpClientAuthenticationDisabled $false (Exchange Online PowerShell); or send \
         by [upstream.NAME.graph], which does not need them.",
    ),
    row(
        535,
        "5.7.139",
        "smtpclientauthentication is disabled for the mailbox",
        "SMTP logins are switched off for this mailbox. An administrator switches them on: Set-CASMailbox -Identity ADDRESS \
         -SmtpClientAuthenticationDisabled $false (Exchange Online PowerShell).",
    ),
    row(
        535,
        "5.7.139",
        "credentials were incorrect",
        "Microsoft 365 says that user name or password are wrong. Correct them, and reload. Where passwords are switched off \
         for the organisation, no password is right: use [upstream.NAME.smtp.oauth] or [upstream.NAME.graph].",
    ),
    row(
        535,
        "5.7.139",
        "locked",
        "Microsoft 365 has locked the account. An administrator unlocks it in Entra ID, and looks up who has tried wrong \
         passwords there.",
    ),
    row(
        0,
        "5.7.139",
        "",
        "Microsoft 365 does not accept passwords here: basic authentication is disabled, or a policy of the organisation \
         (security defaults, conditional access) blocks the login. Use [upstream.NAME.smtp.oauth] or [upstream.NAME.graph].",
    ),
    row(
        0,
        "5.7.30",
        "",
        "Microsoft 365 no longer accepts passwords for sending. Use [upstream.NAME.smtp.oauth] or [upstream.NAME.graph]. \
         Until Microsoft ends this, an administrator of the organisation can allow passwords again.",
    ),
    row(
        0,
        "5.7.9",
        "application-specific password",
        "Google wants an app password here, not that of the account: make one at https://myaccount.google.com/apppasswords \
         (the account must use 2-step verification), or use [upstream.NAME.smtp.oauth].",
    ),
    row(
        0,
        "5.7.14",
        "",
        "Google has blocked the login and wants the owner of the account to log in with a browser first. Then make an app \
         password at https://myaccount.google.com/apppasswords, or use [upstream.NAME.smtp.oauth].",
    ),
    row(
        535,
        "",
        "badcredentials",
        "Google says that user name or password are wrong. The password of the account itself is never accepted: make an app \
         password at https://myaccount.google.com/apppasswords, or use [upstream.NAME.smtp.oauth].",
    ),
    row(
        430,
        "4.2.0",
        "storedrv",
        "The app may not use this mailbox. An administrator gives its service principal the right: Add-MailboxPermission \
         -Identity ADDRESS -User OBJECT_ID -AccessRights FullAccess (Exchange Online PowerShell).",
    ),
    row(
        504,
        "",
        "",
        "The upstream does not know this kind of login. Microsoft 365 offers LOGIN and XOAUTH2 only: with \
         [upstream.NAME.smtp.oauth] tokens take the place of the password.",
    ),
    row(
        530,
        "",
        "starttls",
        "The upstream wants TLS before anything else: write tls = \"required\", or \"implicit\" with port 465.",
    ),
    row(
        538,
        "",
        "",
        "The upstream wants TLS before a login: write tls = \"required\", or \"implicit\" with port 465.",
    ),
    row(
        530,
        "",
        "",
        "The upstream wants a login: write `username` and `password`, or [upstream.NAME.smtp.oauth]. Where it lets this \
         machine in by its address, have the address entered there.",
    ),
    row(
        534,
        "",
        "",
        "The upstream wants a stronger kind of login than a password: use an app password of the provider's, or \
         [upstream.NAME.smtp.oauth].",
    ),
    row(
        535,
        "",
        "",
        "The upstream says that user name or password are wrong. Correct them, and reload; `posthouse upstream resume NAME` \
         tries again at once where the fault was on the other side.",
    ),
];

fn of_response(stage: Stage, response: &Response) -> Option<&'static str> {
    let words = response.text.to_ascii_lowercase();
    let status = response.status.map(|status| status.to_string());
    let status = status.as_deref().unwrap_or_default();
    let found = REPLIES.iter().find(|row| {
        (row.code == 0 || row.code == response.code)
            && (row.status.is_empty() || row.status == status)
            && words.contains(row.words)
    });
    found.map(|row| row.advice).or(match stage {
        Stage::Tls => Some(
            "The upstream refuses STARTTLS. Where its port speaks TLS from the beginning, write tls = \"implicit\"; else its \
             operator must repair it.",
        ),
        Stage::Authenticate => Some(
            "The upstream refuses the login for good. Its words tell why; correct user name, password or the kind of login, \
             and reload.",
        ),
        Stage::Resolve
        | Stage::Connect
        | Stage::Greeting
        | Stage::Sender
        | Stage::Recipient
        | Stage::Content
        | Stage::Final => None,
    })
}

fn of_defect(defect: Defect) -> Option<&'static str> {
    Some(match defect {
        Defect::CertificateExpired => {
            "The upstream's certificate has expired. Whoever runs the upstream must renew it; check the clock of this machine \
             too. Nothing needs to be changed here afterwards."
        }
        Defect::CertificateMissing => {
            "The upstream shows no certificate. Whoever runs it must give it one; is it the right host and port?"
        }
        Defect::CertificateName => {
            "The certificate is for other names than the configured `host`. Write the name that stands in the certificate \
             (`posthouse upstream test NAME` shows its names); if `host` is right, somebody else answers there."
        }
        Defect::CertificateNotYetValid => {
            "The upstream's certificate is not valid yet. The clock of this machine is probably behind: check it."
        }
        Defect::CertificateOther => {
            "The upstream's certificate is not accepted. Whoever runs the upstream must replace it."
        }
        Defect::CertificatePinned => {
            "The upstream shows another certificate than the one that is pinned. If it has been renewed, which whoever runs the \
             upstream can tell, put the new SHA-256 into `fingerprint` and reload; else somebody else answers there."
        }
        Defect::CertificateUntrusted => {
            "Nobody who is trusted here has issued the upstream's certificate. If it is an authority of your own, name its file \
             (ca_file); if the server signs its own, pin it (fingerprint). If it is a public one, the server may not send \
             the certificates in between."
        }
        Defect::LocalAddress => {
            "The upstream cannot be reached from `local_address`: correct it, or take it out. An IPv4 address reaches IPv4 \
             addresses only, an IPv6 address IPv6 addresses."
        }
        Defect::Mechanism => {
            "The upstream offers no login that can be used. If it offers XOAUTH2 or OAUTHBEARER, use \
             [upstream.NAME.smtp.oauth]; if it offers logins only inside TLS, write tls = \"required\"; else it is the wrong \
             port: 587 or 465 is for logins, 25 often is not."
        }
        Defect::NullMx => {
            "The domain says that it takes no mail (null MX). Write the name of the server as `host` with mx = false."
        }
        Defect::Other => return None,
        Defect::PlainTextLogin => {
            "The connection is not encrypted, and the login must not cross it: write tls = \"required\", or \"implicit\" with \
             port 465. If the upstream has no TLS at all and the network is trusted, plain_text_login = true."
        }
        Defect::StartTls => {
            "The upstream does not offer STARTTLS, which tls = \"required\" asks for. If the port speaks TLS from the beginning \
             (465), write tls = \"implicit\". If it used to offer STARTTLS, somebody on the way may be taking it out: do not \
             go on in plain text with a login."
        }
        Defect::TlsMissing => {
            "The port does not speak TLS from the beginning. For STARTTLS (587, 25) write tls = \"required\"; tls = \
             \"implicit\" is for port 465."
        }
        Defect::TlsVersion => {
            "The upstream has only TLS versions or ciphers that are no longer used. Whoever runs it must update it; TLS 1.2 or \
             1.3 is needed."
        }
    })
}

#[cfg(test)]
mod tests;

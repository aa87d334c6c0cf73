use super::*;
use crate::mail::{EnhancedStatusCode, Unusable};

/// Asserts that a reply to the login leads to advice with these words.
#[track_caller]
fn reply(reply: &str, advice: &str) {
    reply_at(Stage::Authenticate, reply, advice);
}

#[track_caller]
fn reply_at(stage: Stage, reply: &str, advice: &str) {
    let found = repair(&answered(stage, reply));
    assert!(
        found.is_some_and(|found| found.contains(advice)),
        "{reply}: {found:?}"
    );
}

fn answered(stage: Stage, reply: &str) -> Failure {
    let (code, text) = reply.split_once(' ').unwrap();
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let status = EnhancedStatusCode::parse(first);
    let response = Response {
        code: code.parse().unwrap(),
        status,
        text: if status.is_some() { rest } else { text }.into(),
    };
    Failure::new(stage, Cause::Response(response))
}

/// Asserts that a failure to get a token leads to advice with these words.
#[track_caller]
fn token(text: &str, advice: &str) {
    let cause = Cause::Unusable(Unusable::from(text));
    let found = repair(&Failure::new(Stage::Authenticate, cause));
    assert!(
        found.is_some_and(|found| found.contains(advice)),
        "{text}: {found:?}"
    );
}

#[track_caller]
fn defect(defect: Defect, advice: &str) {
    let cause = Cause::Unusable(Unusable::new(defect, "words"));
    let found = repair(&Failure::new(Stage::Tls, cause));
    assert!(
        found.is_some_and(|found| found.contains(advice)),
        "{defect:?}: {found:?}"
    );
}

#[test]
fn a_wrong_password_is_corrected() {
    reply(
        "535 5.7.8 Error: authentication failed",
        "user name or password are wrong",
    );
    reply(
        "535 authentication failed",
        "user name or password are wrong",
    );
}

#[test]
fn a_tenant_without_smtp_logins_switches_them_on() {
    reply(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
        "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
    );
}

#[test]
fn a_mailbox_without_smtp_logins_switches_them_on() {
    reply(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
        "Set-CASMailbox",
    );
}

#[test]
fn wrong_credentials_at_microsoft_are_told_apart_from_its_policies() {
    reply(
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        "Microsoft 365 says that user name or password are wrong",
    );
}

#[test]
fn a_locked_account_is_unlocked() {
    reply(
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security policy.",
        "locked the account",
    );
}

#[test]
fn where_passwords_are_blocked_a_token_is_used() {
    let texts = [
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.",
    ];
    for text in texts {
        reply(text, "does not accept passwords here");
    }
}

#[test]
fn where_passwords_are_no_longer_supported_a_token_is_used() {
    let text = "550 5.7.30 Basic authentication is not supported for Client Submission.";
    for stage in [Stage::Authenticate, Stage::Sender] {
        reply_at(
            stage,
            text,
            "[upstream.NAME.smtp.oauth] or [upstream.NAME.graph]",
        );
    }
}

#[test]
fn google_wants_an_app_password() {
    reply(
        "534 5.7.9 Application-specific password required. For more information, go to https://support.google.com/mail/?p=InvalidSecondFactor",
        "apppasswords",
    );
    reply(
        "535 5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadCredentials",
        "Google says",
    );
}

#[test]
fn google_wants_a_login_with_a_browser() {
    reply(
        "534 5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser",
        "with a browser",
    );
}

#[test]
fn a_mailbox_without_the_right_gives_it() {
    reply(
        "430 4.2.0 STOREDRV; mailbox logon failure; failed to process message due to a permanent exception",
        "Add-MailboxPermission",
    );
}

#[test]
fn an_unknown_mechanism_is_another_kind_of_login() {
    reply(
        "504 5.7.4 Unrecognized authentication type",
        "does not know this kind of login",
    );
}

#[test]
fn an_upstream_that_wants_tls_gets_it() {
    let text = "530 5.7.0 Must issue a STARTTLS command first";
    reply_at(Stage::Sender, text, "tls = \"required\"");
    reply(
        "538 5.7.11 Encryption required for requested authentication mechanism",
        "TLS before a login",
    );
}

#[test]
fn an_upstream_that_wants_a_login_gets_one() {
    reply_at(
        Stage::Sender,
        "530 5.7.0 Authentication Required",
        "wants a login",
    );
    reply_at(
        Stage::Sender,
        "530 5.7.57 Client not authenticated to send mail",
        "wants a login",
    );
}

#[test]
fn a_login_that_is_too_weak_is_replaced() {
    reply(
        "534 5.7.9 Authentication mechanism is too weak",
        "stronger kind",
    );
}

#[test]
fn another_refusal_of_the_login_or_of_starttls_is_told_in_general() {
    reply("550 5.7.1 no", "refuses the login for good");
    reply_at(Stage::Tls, "502 5.5.1 not implemented", "refuses STARTTLS");
}

#[test]
fn an_expired_client_secret_is_made_anew() {
    token(
        "no token: AADSTS7000222: The provided client secret keys for app '00000000' are expired.",
        "The client secret has expired",
    );
}

#[test]
fn a_wrong_client_secret_is_corrected() {
    token(
        "invalid_client: AADSTS7000215: Invalid client secret provided.",
        "The client secret is wrong",
    );
}

#[test]
fn an_unknown_app_is_looked_up() {
    token(
        "unauthorized_client: AADSTS700016: Application with identifier 'x' was not found in the directory",
        "does not know the app",
    );
}

#[test]
fn an_unknown_tenant_is_looked_up() {
    token(
        "AADSTS900023: Specified tenant identifier 'x' is neither a valid DNS name",
        "no tenant's id",
    );
    token("AADSTS90002: Tenant 'x' not found.", "no such tenant");
}

#[test]
fn other_refusals_of_entra_are_told() {
    token(
        "AADSTS700027: signature validation failed",
        "certificate of the app",
    );
    token(
        "AADSTS700024: Client assertion is not within its valid time range.",
        "clock",
    );
    token(
        "AADSTS7000112: Application 'x' is disabled.",
        "disabled in the tenant",
    );
    token(
        "AADSTS50126: Error validating credentials due to invalid username or password.",
        "password are wrong for Entra ID",
    );
    token(
        "AADSTS65001: The user or administrator has not consented",
        "Grant admin consent",
    );
    token(
        "invalid_grant: AADSTS700082: The refresh token has expired due to inactivity.",
        "upstream login NAME",
    );
    token(
        "invalid_grant: AADSTS50173: The provided grant has expired",
        "password was changed",
    );
}

#[test]
fn refusals_of_any_token_endpoint_are_told() {
    token(
        "invalid_grant: Token has been expired or revoked.",
        "no longer accepted",
    );
    token(
        "invalid_client: The OAuth client was not found.",
        "does not know this client",
    );
    token(
        "unauthorized_client: Client is unauthorized to retrieve access tokens",
        "Domain-wide delegation",
    );
}

#[test]
fn a_longer_number_is_another_code() {
    let failure = |text: &str| {
        let cause = Cause::Unusable(Unusable::from(text));
        Failure::new(Stage::Authenticate, cause)
    };
    assert_eq!(repair(&failure("AADSTS7000167: something new")), None);
    assert_eq!(repair(&failure("AADSTS900021: something new")), None);
}

#[test]
fn each_defect_has_its_repair() {
    defect(Defect::CertificateExpired, "has expired");
    defect(Defect::CertificateMissing, "shows no certificate");
    defect(
        Defect::CertificateName,
        "other names than the configured `host`",
    );
    defect(Defect::CertificateNotYetValid, "not valid yet");
    defect(Defect::CertificateOther, "not accepted");
    defect(Defect::CertificatePinned, "`fingerprint`");
    defect(Defect::CertificateUntrusted, "ca_file");
    defect(Defect::LocalAddress, "`local_address`");
    defect(Defect::Mechanism, "offers no login that can be used");
    defect(Defect::NullMx, "null MX");
    defect(Defect::PlainTextLogin, "must not cross it");
    defect(Defect::StartTls, "does not offer STARTTLS");
    defect(Defect::TlsMissing, "tls = \"implicit\" is for port 465");
    defect(Defect::TlsVersion, "TLS 1.2 or 1.3");
}

#[test]
fn what_nobody_can_repair_here_has_no_advice() {
    let broken = Cause::Broken("connection refused".into());
    assert_eq!(repair(&Failure::new(Stage::Connect, broken)), None);
    assert_eq!(repair(&Failure::new(Stage::Final, Cause::Timeout)), None);
    let failure = answered(Stage::Recipient, "550 5.1.1 no such user");
    assert_eq!(repair(&failure), None);
}

#[test]
fn a_consent_that_has_ended_is_given_again() {
    for code in ["AADSTS70008", "AADSTS50076"] {
        token(
            &format!("invalid_grant: {code}: words"),
            "upstream login NAME` again",
        );
    }
}

#[test]
fn an_app_that_needs_a_secret_gets_one() {
    token(
        "invalid_client: AADSTS7000218: words",
        "public client flows",
    );
}

#[test]
fn an_app_that_nobody_agreed_to_is_agreed_to() {
    token(
        "unauthorized_client: AADSTS7000229: words",
        "agrees to it once",
    );
}

#[test]
fn a_wrong_scope_is_left_out() {
    for code in ["AADSTS70011", "AADSTS500011"] {
        token(
            &format!("invalid_scope: {code}: words"),
            "Leave `scope` out",
        );
    }
}

#[test]
fn a_policy_is_told_of_its_exemption() {
    token("invalid_grant: AADSTS53003: words", "exempts it");
}

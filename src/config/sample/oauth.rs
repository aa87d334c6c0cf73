//! Logins by OAuth.

use super::{Sample, raw, text};

pub(super) fn oauth(sample: &mut Sample) {
    sample.shown_table(
        "[upstream.main.smtp.oauth]",
        "A login by OAuth instead of `password`, for `username`, the mailbox: exactly one of the next three tables. Tokens are\n\
         kept in memory and renewed by themselves (example).",
    );
    microsoft(sample, &raw::Microsoft::default());
    google(sample);
    generic(sample, &raw::Generic::default());
}

fn microsoft(sample: &mut Sample, microsoft: &raw::Microsoft) {
    sample.shown_table(
        "[upstream.main.smtp.oauth.microsoft]",
        "Microsoft 365: an app registered in Entra ID with the permission SMTP.SendAsApp, which an administrator has granted;\n\
         or, with `login` or `refresh_token`, the delegated permission SMTP.Send (example).",
    );
    let id = text("00000000-0000-0000-0000-000000000000");
    sample.shown(
        "tenant_id",
        &id,
        "The Directory (tenant) ID in the app's overview (no default).",
    );
    sample.shown(
        "client_id",
        &id,
        "The Application (client) ID in the app's overview (no default).",
    );
    sample.shown(
        "client_secret",
        SECRET,
        "The value of a client secret. It expires after 24 months at most.",
    );
    sample.shown(
        "certificate",
        text("office.pem"),
        "Instead of a secret: the PEM file with the certificate that was uploaded for the app.",
    );
    sample.shown(
        "key",
        text("office.key"),
        "Its RSA private key, a PEM file of mode 600.",
    );
    sample.shown(
        "login",
        microsoft.login.get_ref(),
        "Whether a person permits it: `posthouse upstream login main` shows a code, and the person logs in with a browser.\n\
         Needs neither secret nor certificate where the app allows public client flows.",
    );
    sample.shown(
        "refresh_token",
        SECRET,
        "Instead of `login`: a refresh token that was got elsewhere.",
    );
    sample.shown(
        "cloud",
        text(microsoft.cloud),
        "\"global\", \"us_gov\" (GCC High), \"us_dod\", or \"china\" (21Vianet).",
    );
    sample.shown(
        "authority",
        text("https://login.microsoftonline.com"),
        "Where tokens are given (by default that of `cloud`).",
    );
    sample.shown(
        "scope",
        text("https://outlook.office365.com/.default"),
        "What is asked for (by default what `cloud` and the kind of permission need).",
    );
    sample.shown("ca_file", text("../certs/proxy-ca.pem"), AUTHORITIES);
}

fn google(sample: &mut Sample) {
    sample.shown_table(
        "[upstream.main.smtp.oauth.google]",
        "Google: a service account that acts for `username`, a mailbox of its domain, or a refresh token (example). Google\n\
         allows no `upstream login` for mail.",
    );
    sample.shown(
        "service_account",
        text("google.json"),
        "The JSON key file of a service account, of mode 600. An administrator of the domain must allow its client ID the\n\
         scope https://mail.google.com/ (domain-wide delegation).",
    );
    sample.shown(
        "client_id",
        text("0000.apps.googleusercontent.com"),
        "Instead: the program that a refresh token was given to,",
    );
    sample.shown("client_secret", SECRET, "its secret,");
    sample.shown(
        "refresh_token",
        SECRET,
        "and the refresh token, for the scope https://mail.google.com/.",
    );
}

fn generic(sample: &mut Sample, generic: &raw::Generic) {
    sample.shown_table(
        "[upstream.main.smtp.oauth.generic]",
        "Any other server that gives tokens (RFC 6749; example).",
    );
    sample.shown(
        "token_url",
        text("https://login.example.net/oauth2/token"),
        "Its token endpoint (no default).",
    );
    sample.shown(
        "client_id",
        text("posthouse"),
        "The name under which this program is registered there (no default).",
    );
    sample.shown(
        "client_secret",
        SECRET,
        "Its secret. May be left out with `refresh_token` or `device_url`, where the program is registered without one.",
    );
    sample.shown(
        "client_auth",
        text(generic.client_auth),
        "How the secret is sent: \"post\" in the form, \"basic\" in the header.",
    );
    sample.shown(
        "scope",
        text("smtp.send"),
        "What is asked for, where the server wants it.",
    );
    sample.shown(
        "audience",
        text("https://mail.example.net"),
        "For whom, where the server wants it.",
    );
    sample.shown(
        "refresh_token",
        SECRET,
        "A person's permission, got elsewhere. What replaces it is kept below data_dir/tokens.",
    );
    sample.shown(
        "device_url",
        text("https://login.example.net/oauth2/device"),
        "Instead: the device authorization endpoint (RFC 8628) that `posthouse upstream login main` asks.",
    );
    sample.shown("ca_file", text("../certs/login-ca.pem"), AUTHORITIES);
}

const SECRET: &str = "{ file = \"secrets/main\" }";

const AUTHORITIES: &str =
    "PEM file with the authorities to trust at the token endpoint, instead of those of the system.";

//! Clients' logins by access tokens.

use super::{Sample, list_of, raw, text};

pub(super) fn login(sample: &mut Sample) {
    let issuer = raw::Issuer::default();
    sample.shown_table(
        "[login.oauth.corp]",
        "Clients may log in with access tokens of this identity provider: XOAUTH2 and OAUTHBEARER are offered behind LOGIN and\n\
         PLAIN. Any number, [login.oauth.NAME]; a token makes no account, it opens one (example). docs/logins.md has the tables\n\
         for Microsoft Entra, Google and Keycloak.",
    );
    sample.shown(
        "claim",
        text("preferred_username"),
        "What in a token names the account (example; by default \"email\", with `introspection` \"username\").",
    );
    sample.shown(
        "accounts",
        text(issuer.accounts.get_ref()),
        "Which account that is: \"name\", the one with that name; \"local-part\", the one with the name before the @.",
    );
    sample.shown(
        "domains",
        list_of(&["example.com"]),
        "Only addresses of these domains count; must be there with \"local-part\" (example; every domain by default).",
    );
    sample.shown(
        "tenant",
        text("acme"),
        "Only accounts of this tenant (example; all accounts by default).",
    );
    sample.shown(
        "audience",
        list_of(&["00000000-0000-0000-0000-000000000000"]),
        "For whom the tokens are: one of these must be in `aud` (no default; may be left out with `introspection`).",
    );
    sample.shown(
        "clients",
        list_of(&["9e5f94bc-e8a4-4e73-b8be-63364c29d753"]),
        "Programs whose tokens count: `azp`, `appid` or `client_id` (example; every program by default).",
    );
    sample.shown(
        "scopes",
        list_of(&["smtp.send"]),
        "Scopes or roles that a token must have, all of them (example; none by default).",
    );
    sample.shown(
        "ca_file",
        text("../certs/login-ca.pem"),
        "PEM file with the authorities to trust at the provider, instead of those of the system.",
    );
    jwt(sample);
    introspection(sample, &raw::Introspection::default());
}

fn jwt(sample: &mut Sample) {
    sample.shown_table(
        "[login.oauth.corp.jwt]",
        "Signed tokens (RFC 7519), by RS256, PS256, ES256, ES384 or EdDSA. The keys are fetched at the first login, kept, and\n\
         used for a day more while the provider does not answer; without keys a login is told to come again, 454 4.7.0.",
    );
    sample.shown(
        "issuer",
        text("https://login.example.com/realms/corp"),
        "What tokens say in `iss`, to the letter (no default).",
    );
    sample.shown(
        "jwks_url",
        text("https://login.example.com/realms/corp/keys"),
        "Where its keys are (example; by default as issuer/.well-known/openid-configuration tells).",
    );
}

fn introspection(sample: &mut Sample, introspection: &raw::Introspection) {
    sample.shown_table(
        "[login.oauth.corp.introspection]",
        "Instead: the provider is asked about each token (RFC 7662). One provider can have this: it is asked about all tokens\n\
         that no other has signed.",
    );
    sample.shown(
        "url",
        text("https://login.example.com/oauth2/introspect"),
        "Its introspection endpoint (no default).",
    );
    sample.shown(
        "client_id",
        text("posthouse"),
        "The name under which this server is registered there (no default),",
    );
    sample.shown(
        "client_secret",
        "{ file = \"secrets/corp\" }",
        "and its secret (no default).",
    );
    sample.shown(
        "client_auth",
        text(introspection.client_auth),
        "How the secret is sent: \"post\" in the form, \"basic\" in the header.",
    );
    sample.shown(
        "remember",
        text(introspection.remember.get_ref()),
        "How long an answer counts, up to 10 minutes; a token that was revoked goes on as long.",
    );
}

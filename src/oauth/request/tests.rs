use std::collections::BTreeMap;

use super::*;
use crate::http::Trust;
use crate::oauth::settings::Audience;

const MOMENT: Moment = Moment {
    now: Timestamp::from_unix_millis(1_800_000_000_000),
    nonce: [1; 16],
};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn settings(grant: Grant) -> Settings {
    Settings {
        token_url: Url::parse("https://login.example/token").unwrap(),
        grant,
        trust: Trust::default(),
    }
}

fn credentials(authentication: Authentication) -> Settings {
    settings(Grant::ClientCredentials(ClientCredentials {
        client_id: "app id".to_owned(),
        authentication,
        audience: Audience {
            scope: Some("https://outlook.office365.com/.default".to_owned()),
            audience: None,
        },
    }))
}

fn form(request: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect()
}

#[test]
fn a_secret_goes_in_the_form_or_in_the_header() {
    let settings = credentials(Authentication::Post(secret("s+cret")));
    let request = access_token(&settings, None, &MOMENT).unwrap();
    assert_eq!(
        request.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let sent = form(&request);
    assert_eq!(sent["grant_type"], "client_credentials");
    assert_eq!(sent["client_id"], "app id");
    assert_eq!(sent["client_secret"], "s+cret");
    assert_eq!(sent["scope"], "https://outlook.office365.com/.default");
    let settings = credentials(Authentication::Basic(secret("s:cret")));
    let request = access_token(&settings, None, &MOMENT).unwrap();
    let value = request.headers["authorization"].to_str().unwrap();
    let encoded = value.strip_prefix("Basic ").unwrap();
    assert_eq!(STANDARD.decode(encoded).unwrap(), b"app+id:s%3Acret");
    assert!(!form(&request).contains_key("client_secret"));
}

#[test]
fn a_request_shows_neither_secret_nor_token() {
    for authentication in [
        Authentication::Post(secret("hunter2")),
        Authentication::Basic(secret("hunter2")),
    ] {
        let settings = credentials(authentication);
        let request = access_token(&settings, None, &MOMENT).unwrap();
        let shown = format!("{settings:?} {request:?} {:?}", request.headers);
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudGVyMg"),
            "{shown}"
        );
    }
}

#[test]
fn a_refresh_token_is_sent_with_the_name_of_the_program() {
    let settings = settings(Grant::RefreshToken(RefreshToken {
        client_id: "app".to_owned(),
        authentication: Authentication::None,
        scope: None,
        configured: None,
        file: "unused".into(),
        login: None,
    }));
    let request = access_token(&settings, Some(&secret("r/1")), &MOMENT).unwrap();
    let expected = [
        ("client_id", "app"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "r/1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form(&request), BTreeMap::from(expected));
}

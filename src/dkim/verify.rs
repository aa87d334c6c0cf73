//! A verifier for tests (RFC 6376 §6.1), written without anything of the signer: strings and whole messages.

use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canonical::Form;

/// Verifies the signature in this place, counted from the top, with the record of its key.
pub(crate) fn verify(message: &str, place: usize, record: &str) -> Result<(), String> {
    let (header, body) = message.split_once("\r\n\r\n").ok_or("no body")?;
    let fields = unfolded(header);
    let own = fields
        .iter()
        .filter(|field| name(field) == "dkim-signature");
    let own = own.clone().nth(place).ok_or("no such signature")?;
    let value = own.split_once(':').ok_or("no value")?.1;
    let tag = |wanted: &str| {
        let mut tags = value.split(';').filter_map(|tag| tag.split_once('='));
        let found = tags.find(|(tag, _)| tag.trim() == wanted);
        found.map(|(_, value)| value.replace([' ', '\t', '\r', '\n'], ""))
    };
    let forms = tag("c").unwrap_or_else(|| "simple/simple".to_owned());
    let (header_form, body_form) = forms.split_once('/').unwrap_or((&forms, "simple"));
    let form = |name: &str| {
        if name == "relaxed" {
            Form::Relaxed
        } else {
            Form::Simple
        }
    };
    let hash = digest(&naive_body(form(body_form), body.as_bytes()));
    if tag("bh") != Some(STANDARD.encode(&hash)) {
        return Err("the body hash differs".to_owned());
    }
    let mut data = String::new();
    let mut unused: Vec<&String> = fields.iter().collect();
    for wanted in tag("h").ok_or("no h=")?.split(':') {
        let last = unused
            .iter()
            .rposition(|field| name(field) == wanted.to_lowercase());
        if let Some(last) = last {
            data += &naive_field(form(header_form), unused.remove(last));
            data += "\r\n";
        }
    }
    data += &naive_field(form(header_form), &without_signature(own));
    let signature = STANDARD
        .decode(tag("b").ok_or("no b=")?)
        .map_err(|_| "b= is no base64")?;
    let key = record.rsplit_once("p=").ok_or("no p=")?.1;
    let key = STANDARD
        .decode(key.trim_end_matches(';'))
        .map_err(|_| "p= is no base64")?;
    let verified = if tag("a").as_deref() == Some("ed25519-sha256") {
        UnparsedPublicKey::new(&ED25519, key).verify(&digest(data.as_bytes()), &signature)
    } else {
        let algorithm = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        UnparsedPublicKey::new(algorithm, key).verify(data.as_bytes(), &signature)
    };
    verified.map_err(|_| "the signature is wrong".to_owned())
}

/// Fields with their folds, without their last CRLF.
fn unfolded(header: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in header.split("\r\n") {
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => *field = format!("{field}\r\n{line}"),
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

fn name(field: &str) -> String {
    let name = field.split(':').next().unwrap_or_default();
    name.trim_end().to_lowercase()
}

fn naive_field(form: Form, field: &str) -> String {
    match form {
        Form::Simple => field.to_owned(),
        Form::Relaxed => {
            let value = field.split_once(':').map_or("", |(_, value)| value);
            let words: Vec<&str> = value
                .split([' ', '\t', '\r', '\n'])
                .filter(|word| !word.is_empty())
                .collect();
            format!("{}:{}", name(field), words.join(" "))
        }
    }
}

fn without_signature(field: &str) -> String {
    let tags: Vec<String> = field
        .split(';')
        .map(|tag| match tag.split_once('=') {
            Some((name, _))
                if name.trim_start_matches([' ', '\t', '\r', '\n']).trim_end() == "b" =>
            {
                format!("{name}=")
            }
            _ => tag.to_owned(),
        })
        .collect();
    tags.join(";")
}

/// The whole body in a form.
pub(in crate::dkim) fn naive_body(form: Form, body: &[u8]) -> Vec<u8> {
    let text: String = body.iter().map(|octet| char::from(*octet)).collect();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    if form == Form::Relaxed {
        for line in &mut lines {
            let words = line.split([' ', '\t']).enumerate();
            let words = words.filter(|(place, word)| *place == 0 || !word.is_empty());
            *line = words.map(|(_, word)| word).collect::<Vec<_>>().join(" ");
        }
        // A line that is white space alone is empty.
        for line in &mut lines {
            if line.trim_end_matches(' ').is_empty() {
                line.clear();
            }
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let mut whole: Vec<u8> = Vec::new();
    for line in &lines {
        whole.extend(line.chars().map(|c| u8::try_from(c).unwrap()));
        whole.extend_from_slice(b"\r\n");
    }
    if whole.is_empty() && form == Form::Simple {
        whole.extend_from_slice(b"\r\n");
    }
    whole
}

fn digest(octets: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    digest.as_ref().to_vec()
}

/// The private key of RFC 8463 §A.2, which is for examples.
pub(in crate::dkim) const RFC_8463_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

/// The other private key there: RSA of 1024 bits.
pub(in crate::dkim) const RFC_8463_RSA_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8463 appendix A.
    const FOOTBALL: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";

    /// RFC 6376 appendix A.2.
    const SUBMITTED: &str = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
";

    #[test]
    fn the_signatures_of_the_rfcs_are_good() {
        let ed25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let rsa = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2\
                   jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2\
                   EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
        let submitted = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
                         IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi\
                         tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(verify(&crlf(FOOTBALL), 0, ed25519), Ok(()));
        assert_eq!(verify(&crlf(FOOTBALL), 1, rsa), Ok(()));
        assert_eq!(verify(&crlf(SUBMITTED), 0, submitted), Ok(()));
    }

    #[test]
    fn a_signature_over_something_else_is_bad() {
        let ed25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        for (from, to) in [
            ("dinner ready", "dinner late"),
            ("the game.", "it."),
            ("t=15286", "t=15287"),
        ] {
            let message = FOOTBALL.replace(from, to).replace('\n', "\r\n");
            assert!(verify(&message, 0, ed25519).is_err(), "{to}");
        }
    }
}

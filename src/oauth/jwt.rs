//! Signed assertions (RFC 7515, RFC 7519, RFC 7523).

use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::keys::{CertificateKey, KeyError, ServiceAccount};
use super::request::Moment;

/// How long an assertion is valid, in seconds. Google takes an hour at most; long enough for clocks that are a little wrong.
const LIFETIME: u64 = 600;

/// Signs what shows a program's identity (RFC 7523 §3): PS256 with the SHA-256 of the certificate, as Microsoft wants it.
pub(super) fn client_assertion(
    client_id: &str,
    certificate: &CertificateKey,
    token_url: &Url,
    moment: &Moment,
) -> Result<Zeroizing<String>, KeyError> {
    let header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(certificate.thumbprint),
    });
    let now = moment.now.unix_seconds();
    let claims = json!({
        "aud": token_url.as_str(),
        "exp": now + LIFETIME,
        "iat": now,
        "iss": client_id,
        "jti": URL_SAFE_NO_PAD.encode(moment.nonce),
        "nbf": now,
        "sub": client_id,
    });
    let input = signing_input(&header, &claims);
    let signature = certificate.key.sign(&RSA_PSS_SHA256, input.as_bytes())?;
    Ok(whole(input, &signature))
}

/// Signs that a service account acts for a mailbox of its domain: RS256, the one algorithm that Google takes.
pub(super) fn service_account_assertion(
    account: &ServiceAccount,
    mailbox: &str,
    scope: &str,
    moment: &Moment,
) -> Result<Zeroizing<String>, KeyError> {
    let header = json!({ "alg": "RS256", "kid": account.key_id, "typ": "JWT" });
    let now = moment.now.unix_seconds();
    let claims = json!({
        "aud": account.token_url.as_str(),
        "exp": now + LIFETIME,
        "iat": now,
        "iss": account.email,
        "scope": scope,
        "sub": mailbox,
    });
    let input = signing_input(&header, &claims);
    let signature = account.key.sign(&RSA_PKCS1_SHA256, input.as_bytes())?;
    Ok(whole(input, &signature))
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn whole(input: String, signature: &[u8]) -> Zeroizing<String> {
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let mut whole = Zeroizing::new(input);
    whole.reserve_exact(signature.len() + 1);
    whole.push('.');
    whole.push_str(&signature);
    whole
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;
    use crate::clock::Timestamp;
    use crate::oauth::keys::tests::pair;

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_client_assertion_names_certificate_endpoint_and_program_and_is_signed() {
        let (certificate, key) = pair();
        let read = CertificateKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let url = Url::parse("https://login.example/t/oauth2/v2.0/token").unwrap();
        let moment = Moment {
            now: Timestamp::from_unix_millis(1_800_000_000_000),
            nonce: [7; 16],
        };
        let token = client_assertion("app", &read, &url, &moment).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
        assert_eq!(header["alg"], "PS256");
        let thumbprint = URL_SAFE_NO_PAD.encode(read.thumbprint);
        assert_eq!(header["x5t#S256"], thumbprint);
        assert_eq!(claims["aud"], url.as_str());
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"app".into(), &"app".into())
        );
        assert_eq!(claims["exp"], 1_800_000_600_u64);
        assert!(claims["jti"].as_str().unwrap().len() >= 22);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let public = parsed.public_key().subject_public_key.data.as_ref();
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }
}

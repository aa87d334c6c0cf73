//! Keys for tests, and tokens signed by them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Signs tokens.
pub(super) enum Signer {
    Ed(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Pss(Box<RsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    pub(super) fn all() -> Vec<Self> {
        let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let ed = Ed25519KeyPair::generate().unwrap();
        vec![
            Self::rs256(),
            Self::Pss(Box::new(rsa())),
            Self::es256(),
            Self::P384(p384),
            Self::Ed(ed),
        ]
    }

    pub(super) fn rs256() -> Self {
        Self::Rsa(Box::new(rsa()))
    }

    pub(super) fn es256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Pss(_) => "PS256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The public key as a JWK.
    pub(super) fn public(&self, id: &str) -> Value {
        let point = |octets: &[u8], curve: &str| {
            let (x, y) = octets[1..].split_at((octets.len() - 1) / 2);
            json!({ "kty": "EC", "crv": curve, "kid": id, "use": "sig",
                    "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
        };
        match self {
            Self::Ed(key) => json!({ "kty": "OKP", "crv": "Ed25519", "kid": id,
                                     "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref()) }),
            Self::P256(key) => point(key.public_key().as_ref(), "P-256"),
            Self::P384(key) => point(key.public_key().as_ref(), "P-384"),
            Self::Pss(key) | Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({ "kty": "RSA", "kid": id, "use": "sig",
                        "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e) })
            }
        }
    }

    pub(super) fn sign(&self, id: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": id, "typ": "JWT" });
        self.sign_with(&header, claims)
    }

    pub(super) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ed(key) => key.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::P256(key) | Self::P384(key) => key
                .sign(&random, signed.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Pss(key) => by_rsa(key, &RSA_PSS_SHA256, signed.as_bytes()),
            Self::Rsa(key) => by_rsa(key, &RSA_PKCS1_SHA256, signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).unwrap()
}

fn by_rsa(
    key: &RsaKeyPair,
    encoding: &'static dyn aws_lc_rs::signature::RsaEncoding,
    signed: &[u8],
) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), signed, &mut signature)
        .unwrap();
    signature
}

//! The public keys of an issuer (RFC 7517). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::jwt::{Algorithm, Jwt};
use super::refusal::Refusal;

/// Keys of one issuer that are looked at; more are passed over.
const MAX_KEYS: usize = 100;

/// The shortest RSA modulus that counts, in octets.
const LEAST_MODULUS: usize = 256;

/// The keys of an issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// A key that can check signatures.
#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    kind: Kind,
    /// The one algorithm that it is for, where it says so.
    algorithm: Option<Algorithm>,
    public: DecodingKey,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set of keys. What is not for signatures, or not understood, is passed over (RFC 7517 §5): symmetric keys
    /// above all. `None` where it is no set of keys, or none of its keys is of use.
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        let raw: RawSet = serde_json::from_slice(octets).ok()?;
        let keys = raw.keys.into_iter().take(MAX_KEYS);
        let keys: Vec<Key> = keys.filter_map(Key::read).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Checks the signature of a token.
    ///
    /// # Errors
    /// [`Refusal::Key`] where no key has the name that the token says, and [`Refusal::Signature`].
    pub(super) fn check(&self, jwt: &Jwt<'_>) -> Result<(), Refusal> {
        let mut refusal = Refusal::Key;
        for key in self.0.iter().filter(|key| key.is_meant_by(jwt)) {
            if key.has_signed(jwt) {
                return Ok(());
            }
            refusal = Refusal::Signature;
        }
        Err(refusal)
    }
}

impl Key {
    fn read(raw: Value) -> Option<Self> {
        let raw: RawKey = serde_json::from_value(raw).ok()?;
        if raw
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return None;
        }
        let algorithm = match &raw.alg {
            // A key for another algorithm is not used for ours.
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let (kind, key) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => (Kind::Rsa, rsa(&raw)?),
            ("EC", Some("P-256")) => (Kind::P256, elliptic(&raw, 32)?),
            ("EC", Some("P-384")) => (Kind::P384, elliptic(&raw, 48)?),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, edwards(&raw)?),
            _ => return None,
        };
        Some(Self {
            id: raw.kid,
            kind,
            algorithm,
            public: key,
        })
    }

    /// Returns whether a token can be signed by this key: the token says its name, where it says any, and the key is
    /// of the kind that the algorithm needs. So a public key is never taken for a secret.
    fn is_meant_by(&self, jwt: &Jwt<'_>) -> bool {
        let kind = match jwt.algorithm {
            Algorithm::EdDsa => Kind::Ed25519,
            Algorithm::Es256 => Kind::P256,
            Algorithm::Es384 => Kind::P384,
            Algorithm::Ps256 | Algorithm::Rs256 => Kind::Rsa,
        };
        self.kind == kind
            && self.algorithm.is_none_or(|own| own == jwt.algorithm)
            && (jwt.key_id.is_none() || jwt.key_id == self.id)
    }

    fn has_signed(&self, jwt: &Jwt<'_>) -> bool {
        let algorithm = match jwt.algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        };
        let signed = jwt.signed.as_bytes();
        matches!(
            jsonwebtoken::crypto::verify(jwt.signature, signed, &self.public, algorithm),
            Ok(true)
        )
    }
}

fn rsa(raw: &RawKey) -> Option<DecodingKey> {
    let modulus = octets(raw.n.as_deref())?;
    let exponent = octets(raw.e.as_deref())?;
    let is_long = modulus.iter().skip_while(|octet| **octet == 0).count() >= LEAST_MODULUS;
    is_long.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn elliptic(raw: &RawKey, length: usize) -> Option<DecodingKey> {
    let (x, y) = (raw.x.as_deref(), raw.y.as_deref());
    let is_whole = octets(x)?.len() == length && octets(y)?.len() == length;
    let key = is_whole
        .then(|| DecodingKey::from_ec_components(x.unwrap_or_default(), y.unwrap_or_default()))?;
    key.ok()
}

fn edwards(raw: &RawKey) -> Option<DecodingKey> {
    let x = raw.x.as_deref();
    let is_whole = octets(x)?.len() == 32;
    is_whole
        .then(|| DecodingKey::from_ed_components(x.unwrap_or_default()))?
        .ok()
}

fn octets(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::token::signing::Signer;

    fn set(keys: &[Value]) -> Option<KeySet> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn check(set: &KeySet, token: &str) -> Result<(), Refusal> {
        set.check(&Jwt::read(token).unwrap())
    }

    #[test]
    fn a_signature_of_each_algorithm_is_checked() {
        for signer in Signer::all() {
            let set = set(&[signer.public("one")]).unwrap();
            let token = signer.sign("one", &json!({ "sub": "x" }));
            assert_eq!(check(&set, &token), Ok(()), "{}", signer.algorithm());
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let mut octets = URL_SAFE_NO_PAD.decode(signature).unwrap();
            octets[5] ^= 1;
            let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(octets));
            assert_eq!(check(&set, &forged), Err(Refusal::Signature));
            let emptied = format!("{signed}.");
            assert_eq!(check(&set, &emptied), Err(Refusal::Signature));
        }
    }

    #[test]
    fn a_key_is_found_by_its_name() {
        let (one, two) = (Signer::es256(), Signer::es256());
        let set = set(&[one.public("one"), two.public("two")]).unwrap();
        let claims = json!({});
        assert_eq!(check(&set, &two.sign("two", &claims)), Ok(()));
        assert_eq!(
            check(&set, &two.sign("one", &claims)),
            Err(Refusal::Signature)
        );
        assert_eq!(check(&set, &two.sign("three", &claims)), Err(Refusal::Key));
        let unnamed = two.sign_with(&json!({ "alg": "ES256" }), &claims);
        assert_eq!(check(&set, &unnamed), Ok(()), "each key is tried");
    }

    #[test]
    fn a_key_is_used_for_the_algorithm_of_its_kind_alone() {
        let rsa = Signer::rs256();
        let mut public = rsa.public("one");
        public["alg"] = json!("PS256");
        let set = set(&[public]).unwrap();
        let token = rsa.sign("one", &json!({}));
        assert_eq!(
            check(&set, &token),
            Err(Refusal::Key),
            "the key says that it is for PS256"
        );
    }

    #[test]
    fn what_is_not_for_signatures_is_passed_over() {
        let symmetric = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "one" });
        assert!(set(&[symmetric]).is_none());
        let mut for_encryption = Signer::rs256().public("one");
        for_encryption["use"] = json!("enc");
        assert!(set(&[for_encryption]).is_none());
        let mut short = Signer::rs256().public("one");
        short["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 128]));
        assert!(set(&[short]).is_none(), "1024 bits");
        let strange = [
            json!(7),
            json!({ "kty": "EC", "crv": "secp256k1", "x": "", "y": "" }),
        ];
        assert!(set(&strange).is_none());
        assert!(KeySet::parse(b"<html>").is_none());
    }
}

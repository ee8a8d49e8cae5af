//! Who is calling: a bearer token (RFC 6750) that is a JWT (RFC 7519). Without a key in the
//! settings nobody is asked, and everybody may do everything.

use std::future::{Ready, ready};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::Problem;
use crate::contract::UserId;
use crate::settings::AuthSettings;

/// RFC 7518, 3.2: a key of the size of the hash at least.
const SHORTEST_SECRET: usize = 32;
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 5;
const ADMIN: &str = "admin";

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("setting `http.auth`: set `hs256_secret` or `jwks_file`, not both")]
    TwoKeys,
    #[error("setting `http.auth.hs256_secret`: must have {SHORTEST_SECRET} bytes at least")]
    ShortSecret,
    #[error("setting `http.auth.jwks_file`: {path}: {problem}")]
    Jwks { path: PathBuf, problem: String },
}

/// Tells callers by their tokens.
#[derive(Clone)]
pub(super) struct Auth(Option<Arc<Vec<Key>>>);

/// A key and the only algorithm it is good for: a token has no say in that.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    role: Option<Roles>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Roles {
    One(String),
    Many(Vec<String>),
}

impl Auth {
    pub(super) fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let secret = settings.hs256_secret.expose();
        let keys = match (secret.is_empty(), &settings.jwks_file) {
            (true, None) => return Ok(Self(None)),
            (false, Some(_)) => return Err(AuthError::TwoKeys),
            (false, None) if secret.len() < SHORTEST_SECRET => return Err(AuthError::ShortSecret),
            (false, None) => vec![Key {
                id: None,
                key: DecodingKey::from_secret(secret.as_bytes()),
                validation: validation(Algorithm::HS256, settings),
            }],
            (true, Some(path)) => from_jwks(path.clone(), settings)?,
        };
        Ok(Self(Some(Arc::new(keys))))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn caller(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        let Some(keys) = &self.0 else {
            return Ok(Caller(Identity::Anybody));
        };
        let header = request.headers().get(AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Problem::unauthorized("send `Authorization: Bearer <JWT>`"))?;
        identify(keys, token).map(Caller)
    }
}

fn validation(algorithm: Algorithm, settings: &AuthSettings) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    match &settings.audience {
        Some(audience) => validation.set_audience(&[audience]),
        None => validation.validate_aud = false,
    }
    validation
}

fn from_jwks(path: PathBuf, settings: &AuthSettings) -> Result<Vec<Key>, AuthError> {
    let error = |problem: String| AuthError::Jwks {
        path: path.clone(),
        problem,
    };
    let text = std::fs::read_to_string(&path).map_err(|fault| error(fault.to_string()))?;
    let set: JwkSet = serde_json::from_str(&text).map_err(|fault| error(fault.to_string()))?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let Some(algorithm) = algorithm(jwk) else {
            continue;
        };
        keys.push(Key {
            id: jwk.common.key_id.clone(),
            key: DecodingKey::from_jwk(jwk).map_err(|fault| error(fault.to_string()))?,
            validation: validation(algorithm, settings),
        });
    }
    if keys.is_empty() {
        return Err(error(
            "has no public key that verifies signatures".to_owned(),
        ));
    }
    Ok(keys)
}

/// The algorithm that the key names, or the usual one of its type. `None` for what is no public
/// key for signatures.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let usual = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            Algorithm::ES384
        }
        AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
        _ => return None,
    };
    match jwk.common.key_algorithm {
        Some(named) => Algorithm::from_str(&named.to_string()).ok(),
        None => Some(usual),
    }
}

fn identify(keys: &[Key], token: &str) -> Result<Identity, Problem> {
    let refused = |error: jsonwebtoken::errors::Error| {
        Problem::unauthorized(format!("the token is not valid: {error}"))
    };
    let id = decode_header(token).map_err(refused)?.kid;
    let mut result = Err(Problem::unauthorized(
        "the token is signed with no key known here",
    ));
    for key in keys {
        if id.is_some() && key.id.is_some() && id != key.id {
            continue;
        }
        match decode::<Claims>(token, &key.key, &key.validation) {
            Ok(token) => return token.claims.identity(),
            Err(error) => result = Err(refused(error)),
        }
    }
    result
}

impl Claims {
    fn identity(&self) -> Result<Identity, Problem> {
        let is_admin = match &self.role {
            Some(Roles::One(role)) => role == ADMIN,
            Some(Roles::Many(roles)) => roles.iter().any(|role| role == ADMIN),
            None => false,
        };
        if is_admin {
            return Ok(Identity::Admin);
        }
        match self.sub.parse() {
            Ok(id) if id > 0 => Ok(Identity::User(UserId(id))),
            _ => Err(Problem::unauthorized(
                "the token's `sub` is not a user's id",
            )),
        }
    }
}

/// Who sent the request. As a handler's argument it refuses a request without a valid token
/// (401), where tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(Identity);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// Nobody is asked.
    Anybody,
    User(UserId),
    Admin,
}

impl Caller {
    /// The only user that the caller may act for; `None`: any.
    pub fn only(self) -> Option<UserId> {
        match self.0 {
            Identity::User(id) => Some(id),
            Identity::Anybody | Identity::Admin => None,
        }
    }

    pub fn may_act_for(self, user: UserId) -> bool {
        self.only().is_none_or(|only| only == user)
    }
}

/// A caller with the role `admin`. As a handler's argument it refuses all others (403).
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let auth = request.app_data::<Data<Auth>>();
        ready(match auth {
            Some(auth) => auth.caller(request),
            None => Err(Problem::forbidden("nobody can be told here")),
        })
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        ready(caller.and_then(|caller| match caller.only() {
            None => Ok(Self),
            Some(_) => Err(Problem::forbidden("the role `admin` is needed")),
        }))
    }
}

/// For `from_fn`: everything behind it needs the role `admin`.
pub async fn admins_only<B: MessageBody>(
    _: Admin,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::Timestamp;
    use crate::settings::Secret;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn auth() -> Auth {
        Auth::new(&AuthSettings {
            hs256_secret: Secret::new(SECRET),
            ..AuthSettings::default()
        })
        .unwrap()
    }

    fn in_an_hour() -> i64 {
        Timestamp::now().millis() / 1_000 + 3_600
    }

    fn token(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    fn good(claims: &Value) -> String {
        token(Algorithm::HS256, SECRET, claims)
    }

    fn caller(authorization: &str) -> Result<Caller, Problem> {
        let request = TestRequest::default().insert_header((AUTHORIZATION, authorization));
        auth().caller(&request.to_http_request())
    }

    #[test]
    fn a_user_acts_for_themselves_and_an_admin_for_all() {
        let user = good(&json!({ "sub": "7", "exp": in_an_hour() }));
        let user = caller(&format!("Bearer {user}")).unwrap();
        assert_eq!(user.only(), Some(UserId(7)));
        assert!(user.may_act_for(UserId(7)) && !user.may_act_for(UserId(8)));
        for role in [json!("admin"), json!(["clerk", "admin"])] {
            let admin = good(&json!({ "sub": "root", "role": role, "exp": in_an_hour() }));
            let admin = caller(&format!("bearer {admin}")).unwrap();
            assert!(admin.only().is_none());
        }
    }

    #[test]
    fn what_is_not_a_valid_token_is_refused() {
        let exp = in_an_hour();
        let claims = json!({ "sub": "7", "exp": exp });
        let expired = json!({ "sub": "7", "exp": exp - 7_200 });
        let early = json!({ "sub": "7", "exp": exp, "nbf": exp - 60 });
        let nobody = json!({ "sub": "somebody", "exp": exp });
        // {"alg":"none","typ":"JWT"}
        let body = good(&claims).split('.').nth(1).unwrap().to_owned();
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
        for (what, token) in [
            ("no token", String::new()),
            ("not a token", "x.y.z".to_owned()),
            (
                "another secret",
                token(Algorithm::HS256, &SECRET.replace('0', "1"), &claims),
            ),
            (
                "another algorithm",
                token(Algorithm::HS512, SECRET, &claims),
            ),
            ("no algorithm", unsigned),
            ("expired", good(&expired)),
            ("not yet valid", good(&early)),
            ("for ever", good(&json!({ "sub": "7" }))),
            ("no user", good(&nobody)),
        ] {
            assert!(caller(&format!("Bearer {token}")).is_err(), "{what}");
            assert!(caller(&format!("Basic {token}")).is_err(), "{what}");
        }
    }

    #[test]
    fn a_public_key_does_not_verify_what_was_signed_with_it_as_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        // The example key of RFC 7517, A.1.
        let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
        let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
        let key = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "1" });
        std::fs::write(&path, json!({ "keys": [key] }).to_string()).unwrap();
        let auth = Auth::new(&AuthSettings {
            jwks_file: Some(path),
            ..AuthSettings::default()
        })
        .unwrap();
        let forged = token(
            Algorithm::HS256,
            x,
            &json!({ "sub": "7", "exp": in_an_hour() }),
        );
        let request = TestRequest::default();
        let request = request.insert_header((AUTHORIZATION, format!("Bearer {forged}")));
        assert!(auth.caller(&request.to_http_request()).is_err());
    }

    #[test]
    fn settings_that_protect_nothing_are_refused() {
        let short = AuthSettings {
            hs256_secret: Secret::new("short"),
            ..AuthSettings::default()
        };
        assert!(matches!(Auth::new(&short), Err(AuthError::ShortSecret)));
        let missing = AuthSettings {
            jwks_file: Some("/does/not/exist".into()),
            ..AuthSettings::default()
        };
        assert!(matches!(Auth::new(&missing), Err(AuthError::Jwks { .. })));
    }
}

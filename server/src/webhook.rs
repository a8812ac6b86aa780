//! MLflow's webhooks, as hints to poll now. MLflow loses them when it restarts and never sends one again, so polling stays
//! the truth; whoever replays one within its time causes a poll and nothing else.
//!
//! Signed as MLflow 3 does (`mlflow/webhooks/delivery.py`): `X-MLflow-Signature` is `v1,` and the base64 of the HMAC-SHA256
//! of `DELIVERY_ID.TIMESTAMP.BODY`, with the values of `X-MLflow-Delivery-Id` and `X-MLflow-Timestamp` (epoch seconds).

use std::{fmt, time::Duration};

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// How far the time of a delivery may lie from ours: MLflow tries again for about a minute, and clocks differ.
const FRESHNESS: Duration = Duration::from_secs(300);

/// The longest body that is read; what MLflow sends has some hundred bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What MLflow signs with. Never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of these bytes, without the white space around them; `None` when nothing is left.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii();
        (!bytes.is_empty()).then(|| Self(bytes.to_vec()))
    }

    /// Whether `body`, with these headers, was sent now by someone who knows the secret.
    ///
    /// # Errors
    /// What is wrong, for the sender.
    pub fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let header = |name: &str, missing: &'static str| {
            let value = headers.get(name).map(|value| value.as_bytes());
            value.ok_or(missing)
        };
        let signature = header("x-mlflow-signature", "X-MLflow-Signature is missing")?;
        let delivery = header("x-mlflow-delivery-id", "X-MLflow-Delivery-Id is missing")?;
        let timestamp = header("x-mlflow-timestamp", "X-MLflow-Timestamp is missing")?;
        let tag = signature
            .strip_prefix(b"v1,")
            .and_then(|base64| STANDARD.decode(base64).ok())
            .ok_or("X-MLflow-Signature is not v1,BASE64")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| "no key")?;
        for part in [delivery, b".", timestamp, b".", body] {
            mac.update(part);
        }
        // In constant time.
        mac.verify_slice(&tag)
            .map_err(|_| "the signature is not of this body by our secret")?;
        let sent = std::str::from_utf8(timestamp)
            .ok()
            .and_then(|text| text.parse().ok())
            .and_then(|second| Timestamp::from_second(second).ok())
            .ok_or("X-MLflow-Timestamp is not a number of seconds")?;
        if now.duration_since(sent).unsigned_abs() > FRESHNESS {
            return Err("X-MLflow-Timestamp is more than five minutes off; are the clocks right?");
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: i64 = 1_764_043_200;
    const BODY: &[u8] = br#"{"entity": "model_version_alias", "action": "created"}"#;

    fn headers(signature: &str, timestamp: &str) -> HeaderMap {
        let pairs = [
            ("x-mlflow-signature", signature),
            ("x-mlflow-delivery-id", "d-1"),
            ("x-mlflow-timestamp", timestamp),
        ];
        let parsed = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        parsed.into_iter().collect()
    }

    /// Made by `mlflow.webhooks.delivery._generate_hmac_signature("s3cret", "d-1", "1764043200", BODY)` of MLflow 3.18.
    const SIGNATURE: &str = "v1,XE5wZg8u9wx6oOq1Yn+ndaeOyYmCVtMga4WJW84VdCQ=";

    fn check(
        secret: &str,
        headers: &HeaderMap,
        body: &[u8],
        after: i64,
    ) -> Result<(), &'static str> {
        let now = Timestamp::from_second(SENT + after).unwrap();
        Secret::new(secret.as_bytes())
            .unwrap()
            .check(headers, body, now)
    }

    #[test]
    fn what_mlflow_signs_is_believed() {
        let headers = headers(SIGNATURE, "1764043200");
        for after in [-299, 0, 299] {
            assert_eq!(check("s3cret", &headers, BODY, after), Ok(()));
        }
        assert_eq!(
            check(" s3cret\n", &headers, BODY, 0),
            Ok(()),
            "as a file ends"
        );
    }

    #[test]
    fn whatever_is_bent_missing_or_old_is_refused_and_says_why() {
        let good = headers(SIGNATURE, "1764043200");
        let bent = headers(SIGNATURE, "1764043201");
        let unversioned = headers(&SIGNATURE[3..], "1764043200");
        let short = headers(&SIGNATURE[..11], "1764043200");
        for (secret, headers, body, after, why) in [
            ("other", &good, BODY, 0, "secret"),
            ("s3cret", &good, b"{}".as_slice(), 0, "secret"),
            ("s3cret", &bent, BODY, 0, "secret"),
            ("s3cret", &short, BODY, 0, "secret"),
            ("s3cret", &unversioned, BODY, 0, "v1,BASE64"),
            ("s3cret", &HeaderMap::new(), BODY, 0, "missing"),
            ("s3cret", &good, BODY, 301, "five minutes"),
            ("s3cret", &good, BODY, -301, "five minutes"),
        ] {
            let said = check(secret, headers, body, after).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(format!("{:?}", Secret::new(b"s3cret")), "Some(Secret)");
        assert!(Secret::new(b" \n").is_none());
    }
}

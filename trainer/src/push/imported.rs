//! The way to the server of a model that was trained elsewhere: only a [`Faithful`] one goes.
//!
//! It passed none of the four stages, which judge how a model is made. It says what Python says of the same pickle, and
//! that cannot be claimed by hand, because its fields are private:
//!
//! ```compile_fail,E0451
//! use loadcast_model::artifact::Metadata;
//! use loadcast_trainer::stage::compare_with_python::Faithful;
//!
//! fn forge(model_pr: Vec<u8>, metadata: Metadata, compared: Faithful) -> Faithful {
//!     Faithful { model_pr, metadata, ..compared }
//! }
//! ```
//!
//! Nor can what Python read be pushed before it was compared:
//!
//! ```compile_fail,E0308
//! use loadcast_client::Client;
//! use loadcast_trainer::push::imported::push;
//! use loadcast_trainer::source::pickle::Imported;
//!
//! async fn skip_comparison(imported: Imported, client: &Client) {
//!     let _ = push(imported, client, None).await;
//! }
//! ```

use bytes::Bytes;
use loadcast_client::{Client, Verdict};
use loadcast_model::artifact::sha256_hex;

use super::{Receipt, expected_version, json, message, send};
use crate::error::Result;
use crate::stage::compare_with_python::Faithful;

/// Pushes an imported model: registered and, if an alias is moved, served when this returns.
///
/// As [`push`](super::push): the alias moves only if it still points where it pointed when this began, and the same
/// bytes, series and alias have the same idempotency key.
///
/// # Errors
/// [`Error::Server`](crate::error::Error::Server) when the server cannot be reached or refuses.
pub async fn push(faithful: &Faithful, client: &Client, alias: Option<&str>) -> Result<Receipt> {
    let series = faithful.metadata().series.name.to_string();
    let expected = expected_version(client, &series, alias).await?;
    // That it is to be served is decided by whoever imports it, as no gate has judged it.
    let verdict = match alias {
        Some(_) => Verdict::Promote,
        None => Verdict::CandidateOnly,
    };
    let model_pr = Bytes::copy_from_slice(faithful.model_pr());
    let key = key(faithful, alias);
    let metadata = faithful.metadata().clone();
    let message = message(metadata, key, verdict, alias, expected, model_pr);
    send(client, message).await
}

/// The key under which the same import is done once.
pub(crate) fn key(faithful: &Faithful, alias: Option<&str>) -> String {
    let metadata = faithful.metadata();
    let series = json(&metadata.series);
    let parts = [
        "import",
        &series,
        &metadata.sha256,
        &metadata.trainer_version,
        alias.unwrap_or(""),
    ];
    // A line each, as for a model of our own.
    sha256_hex(parts.join("\n").as_bytes())
}

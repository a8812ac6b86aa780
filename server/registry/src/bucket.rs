//! From `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX` to an object store.
//!
//! Endpoints, regions and credentials are the environment's, under the names that each provider's own tools read
//! (`AWS_*`, `GOOGLE_*`, `AZURE_*`); none is taken from a URL.

use std::{str::FromStr, sync::Arc, time::Duration};

use object_store::{
    ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path, prefix::PrefixStore,
};
use url::Url;

use crate::{
    environment::Environment,
    error::{Error, Result},
};

/// Whoever waits for a registry tries again by himself; these retries only bridge a dropped connection.
const RETRIES: usize = 2;

/// How long one call may go on with its retries; a single request ends after object_store's 30 s.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether `scheme` is one that [`open_bucket`] opens.
pub fn is_bucket(scheme: &str) -> bool {
    matches!(scheme, "s3" | "gs" | "az")
}

/// The objects under `url`. Talks to nobody yet.
///
/// # Errors
/// [`Error::InvalidUrl`] when the URL or a variable of the environment cannot be used.
pub fn open_bucket(url: &Url, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    let invalid = |reason: String| Error::InvalidUrl {
        url: url.to_string(),
        reason,
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(format!(
            "it names no bucket; write {}://BUCKET/PREFIX",
            url.scheme()
        )));
    }
    let address = url.as_str();
    let store: object_store::Result<Arc<dyn ObjectStore>> = match url.scheme() {
        "s3" => {
            // MLflow's own name for it counts where the general one is absent.
            let endpoint = environment
                .get("MLFLOW_S3_ENDPOINT_URL")
                .filter(|_| environment.get("AWS_ENDPOINT_URL").is_none());
            let mut builder = AmazonS3Builder::new().with_url(address);
            builder = options(environment, "AWS_").fold(builder, |builder, (key, value)| {
                builder.with_config(key, value)
            });
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            builder
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as _)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::new().with_url(address);
            options(environment, "GOOGLE_")
                .fold(builder, |builder, (key, value)| {
                    builder.with_config(key, value)
                })
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as _)
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::new().with_url(address);
            options(environment, "AZURE_")
                .fold(builder, |builder, (key, value)| {
                    builder.with_config(key, value)
                })
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as _)
        }
        other => return Err(invalid(format!("{other} is no bucket; use s3, gs or az"))),
    };
    let store = store.map_err(|error| invalid(error.to_string()))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;
    if prefix.as_ref().is_empty() {
        Ok(store)
    } else {
        Ok(Arc::new(PrefixStore::new(store, prefix)))
    }
}

/// The variables under `prefix` that object_store knows as its own keys.
fn options<'a, K: FromStr>(
    environment: &'a Environment,
    prefix: &'a str,
) -> impl Iterator<Item = (K, &'a str)> {
    environment
        .with_prefix(prefix)
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    }
}

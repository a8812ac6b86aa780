//! The flags that name a Prometheus and what is shown to it. Secrets come from files or the environment, never from a flag:
//! flags are read by whoever lists processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::access::{Access, Credentials};
use crate::client::{Limits, Prometheus};
use crate::error::{Error, Result};

/// The environment variable with the bearer token.
const TOKEN: &str = "LOADCAST_PROMETHEUS_TOKEN";

/// The environment variable with the password of basic authentication.
const PASSWORD: &str = "LOADCAST_PROMETHEUS_PASSWORD";

/// The most bytes of a file with a secret or a certificate.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A Prometheus, or what speaks its API.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Prometheus")]
pub struct Args {
    /// Its root, up to what stands before /api/v1; a proxy's path is kept
    #[arg(long, env = "LOADCAST_PROMETHEUS_URL", value_name = "URL")]
    prometheus_url: Option<String>,
    /// A file with the bearer token; the token itself may be in LOADCAST_PROMETHEUS_TOKEN
    #[arg(
        long,
        env = "LOADCAST_PROMETHEUS_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "prometheus_user"
    )]
    prometheus_token_file: Option<PathBuf>,
    /// The user of basic authentication; the password is in LOADCAST_PROMETHEUS_PASSWORD, or in a file
    #[arg(long, env = "LOADCAST_PROMETHEUS_USER", value_name = "NAME")]
    prometheus_user: Option<String>,
    /// A file with that user's password
    #[arg(
        long,
        env = "LOADCAST_PROMETHEUS_PASSWORD_FILE",
        value_name = "FILE",
        requires = "prometheus_user"
    )]
    prometheus_password_file: Option<PathBuf>,
    /// The tenant, sent as X-Scope-OrgID
    #[arg(long, env = "LOADCAST_PROMETHEUS_TENANT", value_name = "ID")]
    prometheus_tenant: Option<String>,
    /// Certificates that its certificate must rest on, in PEM [default: those of the system]
    #[arg(long, env = "LOADCAST_PROMETHEUS_CA", value_name = "FILE.pem")]
    prometheus_ca: Option<PathBuf>,
    /// A client certificate to show, in PEM
    #[arg(
        long,
        env = "LOADCAST_PROMETHEUS_CERT",
        value_name = "FILE.pem",
        requires = "prometheus_key"
    )]
    prometheus_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(
        long,
        env = "LOADCAST_PROMETHEUS_KEY",
        value_name = "FILE.pem",
        requires = "prometheus_cert"
    )]
    prometheus_key: Option<PathBuf>,
    /// How many questions are asked at once
    #[arg(long, env = "LOADCAST_PROMETHEUS_PARALLEL", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "COUNT")]
    prometheus_parallel: u8,
    /// How many samples are asked for at once; Prometheus refuses what its --query.max-samples forbids
    #[arg(long, env = "LOADCAST_PROMETHEUS_SAMPLES", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000), value_name = "COUNT")]
    prometheus_samples: u32,
}

impl Args {
    /// The Prometheus that the flags name; `None` where they name none.
    ///
    /// # Errors
    /// [`Error::Settings`] for a flag that cannot be used; [`Error::Source`] for a file that cannot be read.
    pub fn connect(&self) -> Result<Option<Arc<Prometheus>>> {
        self.connect_within(Limits::default())
    }

    /// The same within `limits`, but for what the flags say of them.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_within(&self, limits: Limits) -> Result<Option<Arc<Prometheus>>> {
        let Some(url) = &self.prometheus_url else {
            return Ok(None);
        };
        let limits = Limits {
            parallel: self.prometheus_parallel.into(),
            samples: usize::try_from(self.prometheus_samples).unwrap_or(usize::MAX),
            ..limits
        };
        Prometheus::new(url, self.access()?, limits).map(|prometheus| Some(Arc::new(prometheus)))
    }

    fn access(&self) -> Result<Access> {
        let mut access = Access::default().with_credentials(self.credentials()?)?;
        if let Some(tenant) = &self.prometheus_tenant {
            access = access.with_tenant(tenant)?;
        }
        if let Some(path) = &self.prometheus_ca {
            access = access.with_ca(file("--prometheus-ca", path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.prometheus_cert, &self.prometheus_key) {
            access = access.with_identity(
                &file("--prometheus-cert", certificate)?,
                &file("--prometheus-key", key)?,
            );
        }
        Ok(access)
    }

    fn credentials(&self) -> Result<Credentials> {
        if let Some(user) = &self.prometheus_user {
            let password = match &self.prometheus_password_file {
                Some(path) => text("--prometheus-password-file", path)?,
                None => secret(PASSWORD).ok_or_else(|| {
                    Error::settings(
                        "--prometheus-user stands without a password",
                        format!("put it in {PASSWORD}, or give --prometheus-password-file"),
                    )
                })?,
            };
            return Ok(Credentials::Basic {
                user: user.clone(),
                password,
            });
        }
        let token = match &self.prometheus_token_file {
            Some(path) => Some(text("--prometheus-token-file", path)?),
            None => secret(TOKEN),
        };
        Ok(token.map_or(Credentials::None, Credentials::Bearer))
    }
}

/// A variable of the environment; empty is unset.
fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn file(flag: &str, path: &Path) -> Result<Vec<u8>> {
    let unreadable = |what: &dyn std::fmt::Display| {
        Error::source(
            format!("{flag} {}: {what}", path.display()),
            "give a file that this user may read",
        )
    };
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(&error))?
        .len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(&format!(
            "{length} bytes are too many for a secret or a certificate"
        )));
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

fn text(flag: &str, path: &Path) -> Result<String> {
    String::from_utf8(file(flag, path)?).map_err(|_| {
        Error::source(
            format!("{flag} {}: it is no text", path.display()),
            "give a file with the secret and nothing else",
        )
    })
}

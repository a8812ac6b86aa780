//! Who we are towards Prometheus: credentials, certificates, tenant. What is secret is shown by no `Debug` and no error.

use std::fmt;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Identity, RequestBuilder};

use crate::error::{Error, Result};

/// The header by which Mimir, Cortex and Loki know a tenant.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// What is shown to Prometheus, and what it must show.
#[derive(Clone, Default)]
pub struct Access {
    credentials: Credentials,
    tenant: Option<HeaderValue>,
    ca: Vec<u8>,
    identity: Vec<u8>,
}

/// A token or a password.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
}

impl Access {
    /// Shows `credentials`, without the line end that files have.
    ///
    /// # Errors
    /// [`Error::Settings`] for a token that no header can carry, and an empty one.
    pub fn with_credentials(mut self, credentials: Credentials) -> Result<Self> {
        self.credentials = match credentials {
            Credentials::Bearer(token) => {
                let token = token.trim().to_owned();
                if token.is_empty() || HeaderValue::from_str(&token).is_err() {
                    return Err(Error::settings(
                        "the token for Prometheus is empty, or holds what no HTTP header can carry",
                        "check the file of --prometheus-token-file, or LOADCAST_PROMETHEUS_TOKEN",
                    ));
                }
                Credentials::Bearer(token)
            }
            Credentials::Basic { user, password } => Credentials::Basic {
                user,
                password: password.trim_end_matches(['\r', '\n']).to_owned(),
            },
            Credentials::None => Credentials::None,
        };
        Ok(self)
    }

    /// Asks as the tenant `name`: X-Scope-OrgID.
    ///
    /// # Errors
    /// [`Error::Settings`] for a name that no header can carry.
    pub fn with_tenant(mut self, name: &str) -> Result<Self> {
        let tenant = HeaderValue::from_str(name).map_err(|_| {
            Error::settings(
                "--prometheus-tenant holds what no HTTP header can carry",
                "write the tenant's name in plain letters",
            )
        })?;
        self.tenant = Some(tenant);
        Ok(self)
    }

    /// Trusts the certificates in `pem` and no others.
    #[must_use]
    pub fn with_ca(mut self, pem: Vec<u8>) -> Self {
        self.ca = pem;
        self
    }

    /// Shows the client certificate in `certificate`, of which `key` is the key; both PEM.
    #[must_use]
    pub fn with_identity(mut self, certificate: &[u8], key: &[u8]) -> Self {
        self.identity = [key, b"\n", certificate].concat();
        self
    }

    pub(crate) fn secure(&self, mut builder: ClientBuilder) -> Result<ClientBuilder> {
        if !self.ca.is_empty() {
            let certificates = Certificate::from_pem_bundle(&self.ca);
            let certificates = certificates.ok().filter(|found| !found.is_empty());
            let certificates = certificates.ok_or_else(|| {
                Error::settings(
                    "--prometheus-ca holds no certificate",
                    "give a file in PEM, with BEGIN CERTIFICATE",
                )
            })?;
            builder = builder.tls_certs_only(certificates);
        }
        if !self.identity.is_empty() {
            let identity = Identity::from_pem(&self.identity).map_err(|_| {
                Error::settings(
                    "--prometheus-cert and --prometheus-key are no certificate with its key",
                    "give both as files in PEM, the key without a password",
                )
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.bearer_auth(token),
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password)),
        };
        match &self.tenant {
            Some(tenant) => request.header(TENANT, tenant.clone()),
            None => request,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.credentials {
            Credentials::None => f.write_str("no credentials")?,
            Credentials::Bearer(_) => f.write_str("a token")?,
            Credentials::Basic { user, .. } => write!(f, "a password of user {user}")?,
        }
        match self.tenant.as_ref().map(HeaderValue::to_str) {
            Some(Ok(tenant)) => write!(f, ", tenant {tenant}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_broken_ones_not_repeated() {
        let bearer =
            |token: &str| Access::default().with_credentials(Credentials::Bearer(token.to_owned()));
        let access = bearer("s3cret\n").unwrap().with_tenant("team-a").unwrap();
        assert_eq!(access.to_string(), "a token, tenant team-a");
        assert!(!format!("{access:?}{:?}", access.credentials).contains("s3cret"));
        for broken in ["", "s3\ncret"] {
            let error = bearer(broken).unwrap_err();
            assert!(!error.to_string().contains("cret"), "{error}");
            assert!(error.remedy().contains("--prometheus-token-file"));
        }
        let nonsense = Access::default().with_ca(b"no certificate".to_vec());
        let error = nonsense.secure(reqwest::Client::builder()).unwrap_err();
        assert!(error.to_string().contains("--prometheus-ca"), "{error}");
    }
}

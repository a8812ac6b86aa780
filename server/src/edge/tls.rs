//! TLS on the gRPC port. The files are read again when they change, as when Kubernetes renews a secret: a new pair is used
//! from the next connection on, and a pair that does not fit together is not used at all.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often the files are looked at: a renewal is used well before what it renews expires.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// What a port speaks. gRPC needs HTTP/2; gRPC-web may come over HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate, its key and the authority of clients are.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the files say.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// TLS as the files last made sense.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    opened: Contents,
    config: ArcSwap<ServerConfig>,
}

impl Files {
    /// Those that `config` names; none when TLS is off.
    ///
    /// # Errors
    /// When one is named without another that it needs; the message names the flag.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>> {
        let (cert, key) = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => (cert.clone(), key.clone()),
            (None, None) => {
                ensure!(
                    config.tls_client_ca.is_none(),
                    "--tls-client-ca: give --tls-cert and --tls-key too"
                );
                return Ok(None);
            }
            (Some(_), None) => anyhow::bail!("--tls-cert: give --tls-key too"),
            (None, Some(_)) => anyhow::bail!("--tls-key: give --tls-cert too"),
        };
        let client_ca = config.tls_client_ca.clone();
        Ok(Some(Self {
            cert,
            key,
            client_ca,
        }))
    }

    fn read(&self) -> Result<Contents> {
        let read = |flag: &str, path: &Path| {
            std::fs::read(path)
                .with_context(|| format!("{flag} {}: cannot be read", path.display()))
        };
        let client_ca = self.client_ca.as_deref();
        Ok(Contents {
            cert: read("--tls-cert", &self.cert)?,
            key: read("--tls-key", &self.key)?,
            client_ca: client_ca
                .map(|path| read("--tls-client-ca", path))
                .transpose()?,
        })
    }
}

impl Contents {
    fn config(&self) -> Result<ServerConfig> {
        let chain = certificates("--tls-cert", &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .context("--tls-key: no private key in it; give one in PEM")?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("--tls-client-ca", authority)? {
                    roots.add(certificate).context("--tls-client-ca")?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .context("--tls-client-ca")?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .context("--tls-cert and --tls-key: they do not belong together")?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

fn certificates(flag: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{flag}: it is no PEM"))?;
    ensure!(
        !certificates.is_empty(),
        "{flag}: no certificate in it; give a chain in PEM"
    );
    Ok(certificates)
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they make no sense; the message names the flag.
    pub(crate) fn open(files: Files) -> Result<Arc<Self>> {
        let opened = files.read()?;
        let config = ArcSwap::from_pointee(opened.config()?);
        Ok(Arc::new(Self {
            files,
            opened,
            config,
        }))
    }

    /// Greets the peer at the other end of `io`.
    ///
    /// # Errors
    /// When it is no TLS, names no protocol that is spoken here, or shows no certificate where one is asked for.
    pub(super) async fn accept<C>(&self, io: C) -> std::io::Result<TlsStream<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(self.config.load_full())
            .accept(io)
            .await?;
        if stream.get_ref().1.alpn_protocol().is_none() {
            return Err(std::io::Error::other("no protocol was named (ALPN)"));
        }
        Ok(stream)
    }

    /// Reads the files again and again until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut last: Option<Contents> = None;
        let mut ticks = tokio::time::interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else {
                continue;
            };
            // In the middle of a renewal a file may be missing; what is used meanwhile is what was.
            let Ok(contents) = read else { continue };
            if *last.as_ref().unwrap_or(&self.opened) != contents {
                match contents.config() {
                    Ok(config) => {
                        self.config.store(Arc::new(config));
                        tracing::info!("the certificate was renewed");
                    }
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::error!(error, "the new certificate is not used, the old one is");
                    }
                }
            }
            last = Some(contents);
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_with_the_key_of_another_is_refused() {
        let pair = || {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let cert = params.self_signed(&key).unwrap().pem();
            (cert.into_bytes(), key.serialize_pem().into_bytes())
        };
        let ((cert, key), (other_cert, _)) = (pair(), pair());
        let contents = |cert| Contents {
            cert,
            key: key.clone(),
            client_ca: None,
        };
        assert!(contents(cert).config().is_ok());
        assert!(contents(other_cert).config().is_err());
    }
}

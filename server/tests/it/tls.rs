//! TLS on the gRPC port: who is let in, and certificates that are renewed while it serves.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use loadcast_proto::{
    externalscaler::{ScaledObjectRef, external_scaler_client::ExternalScalerClient},
    health::{HealthCheckRequest, health_client::HealthClient},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use tonic::transport::{Channel, Endpoint};

use crate::support::TestServer;

/// Signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn sign(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.cert).unwrap();
        std::fs::write(folder.join("tls.key"), &self.key).unwrap();
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

/// A server with the files in `folder`; with `client_ca` it asks clients for certificates.
async fn server(folder: &Path, client_ca: bool) -> TestServer {
    let flag = |name: &str, file: &str| format!("--{name}={}", folder.join(file).display());
    let mut flags = vec![flag("tls-cert", "tls.crt"), flag("tls-key", "tls.key")];
    if client_ca {
        flags.push(flag("tls-client-ca", "ca.crt"));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await
}

/// Greets the server at `addr`, trusting `authority`, as `own` if anybody, naming `protocols`.
async fn greet(
    addr: SocketAddr,
    authority: &Authority,
    own: Option<&Pair>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(vec![pair.der()], key)
                .unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(addr).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}

/// A channel over `stream`, which is good for one connection.
async fn channel(stream: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(stream);
    let connect = tower::service_fn(move |_| {
        let stream = stream.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("it is closed")))
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connect).await
}

async fn is_answered(channel: &Channel) -> bool {
    let mut health = HealthClient::new(channel.clone());
    health.check(HealthCheckRequest::default()).await.is_ok()
}

#[tokio::test]
async fn grpc_is_answered_over_tls_and_not_without_nor_without_a_named_protocol() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.sign().write(folder.path());
    let server = server(folder.path(), false).await;
    let stream = greet(server.grpc, &authority, None, &[b"h2"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(is_answered(&channel(stream).await.unwrap()).await);
    let other = greet(server.grpc, &authority, None, &[b"smtp"]).await;
    assert!(other.is_err(), "a foreign protocol");
    let none = greet(server.grpc, &authority, None, &[]).await;
    if let Ok(stream) = none {
        let answered = match channel(stream).await {
            Ok(channel) => is_answered(&channel).await,
            Err(_) => false,
        };
        assert!(!answered, "no protocol");
    }
    let plain = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    let answered = match plain.connect().await {
        Ok(channel) => is_answered(&channel).await,
        Err(_) => false,
    };
    assert!(!answered, "without TLS");
}

#[tokio::test]
async fn rule_9_keda_is_answered_over_tls_that_agrees_on_h2_and_asks_for_no_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.sign().write(folder.path());
    let server = server(folder.path(), false).await;
    let stream = greet(server.grpc, &authority, None, &[b"h2"]);
    let channel = channel(stream.await.unwrap()).await.unwrap();
    let mut keda = ExternalScalerClient::new(channel);
    let metadata = [
        ("series", "shop.web.cpu"),
        ("target", "0.7"),
        ("enableTLS", "true"),
    ];
    let object = ScaledObjectRef {
        name: "web".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: metadata
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    let specs = keda.get_metric_spec(object).await.unwrap().into_inner();
    assert_eq!(specs.metric_specs[0].target_size_float, 0.7);
}

#[tokio::test]
async fn where_clients_are_asked_for_certificates_only_those_that_the_authority_signed_come_in() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.sign().write(folder.path());
    std::fs::write(folder.path().join("ca.crt"), &authority.pem).unwrap();
    let server = server(folder.path(), true).await;
    for (own, expected) in [
        (Some(authority.sign()), true),
        (Some(Authority::new().sign()), false),
        (None, false),
    ] {
        let stream = greet(server.grpc, &authority, own.as_ref(), &[b"h2"]).await;
        let answered = match stream {
            // A client learns with the first bytes that it was refused.
            Ok(stream) => match channel(stream).await {
                Ok(channel) => is_answered(&channel).await,
                Err(_) => false,
            },
            Err(_) => false,
        };
        assert_eq!(answered, expected);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_from_the_next_connection_on() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let first = authority.sign();
    first.write(folder.path());
    let server = server(folder.path(), false).await;
    let shown = async || {
        let stream = greet(server.grpc, &authority, None, &[b"h2"])
            .await
            .unwrap();
        let certificates = stream.get_ref().1.peer_certificates().unwrap();
        let certificate = certificates[0].clone().into_owned();
        (stream, certificate)
    };
    let (stream, certificate) = shown().await;
    assert_eq!(certificate, first.der());
    let before = channel(stream).await.unwrap();
    // The key of another certificate: as between two renames.
    let second = authority.sign();
    std::fs::write(folder.path().join("tls.crt"), &second.cert).unwrap();
    let until = async |expected: &Pair| {
        let coming = async {
            while shown().await.1 != expected.der() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, coming).await.unwrap();
    };
    std::fs::write(folder.path().join("tls.key"), &second.key).unwrap();
    until(&second).await;
    assert!(is_answered(&before).await, "who was there stays");
    let third = authority.sign();
    third.write(folder.path());
    until(&third).await;
}

#[test]
fn half_of_a_pair_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = crate::support::command(folder.path())
        .arg("--tls-cert=nowhere.pem")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--tls-cert: give --tls-key too"), "{said}");
}

//! TLS towards signalling servers: the system's certificates, and those of KUBEs that signed their own.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Opens TLS; reads the system's certificates when it is first needed.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    trusted: Vec<Vec<u8>>,
    connector: Arc<tokio::sync::OnceCell<TlsConnector>>,
}

impl Tls {
    pub(crate) fn trusting(trusted: Vec<Vec<u8>>) -> Self {
        Self { trusted, connector: Arc::default() }
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let trusted = self.trusted.clone();
        let connector = self
            .connector
            .get_or_try_init(|| async {
                // Reading some hundred files is no work for the runtime's threads.
                tokio::task::spawn_blocking(move || connector(&trusted)).await.map_err(io::Error::other)?
            })
            .await?;
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        connector.connect(name, stream).await
    }
}

fn connector(trusted: &[Vec<u8>]) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // Certificates of the system that cannot be read are not trusted; the others are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in trusted {
        roots.add(CertificateDer::from(certificate.clone())).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

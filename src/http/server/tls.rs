//! TLS, with the certificate that its files have at the moment.

use crate::config::TlsFiles;
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{fmt, fs, io, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// The time after which a renewed certificate is found.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts TLS connections. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate that clients are shown, and its files.
struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    shown: ArcSwap<CertifiedKey>,
    /// The contents of the files at the start.
    at_start: Pem,
}

impl Tls {
    /// Reads the certificate from these files; fails with a sentence that says what is wrong with them.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pem = Pem::read(&files)?;
        let shown = ArcSwap::from_pointee(pem.certified(&files, &provider)?);
        let certificate = Arc::new(Certificate { files, provider: provider.clone(), shown, at_start: pem });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: Arc::new(config).into(), certificate })
    }

    /// Performs the handshake with one client.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await?
    }

    /// Looks for a renewed certificate until it is stopped. One that can't be used is logged once, and the old one stays.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        let mut seen = Ok(self.certificate.at_start.clone());
        while stop.run_until_cancelled(sleep(REFRESH_INTERVAL)).await.is_some() {
            let certificate = self.certificate.clone();
            if let Ok(found) = spawn_blocking(move || Pem::read(&certificate.files)).await
                && found != seen
            {
                self.certificate.renew(&found);
                seen = found;
            }
        }
    }
}

impl Certificate {
    fn renew(&self, found: &Result<Pem, String>) {
        let found = found.as_ref().map_err(String::clone);
        match found.and_then(|pem| pem.certified(&self.files, &self.provider)) {
            Ok(certified) => {
                self.shown.store(Arc::new(certified));
                tracing::info!("the certificate was renewed");
            }
            Err(problem) => tracing::error!("the certificate stays the old one: {problem}"),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The contents of the two files.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        let read = |setting: &str, path: &Path| {
            fs::read(path).map_err(|error| format!("{setting}: can't read {}: {error}", path.display()))
        };
        Ok(Self {
            certificate: read("TLS_CERT_FILE", &files.certificate)?,
            key: read("TLS_KEY_FILE", &files.key)?,
        })
    }

    fn certified(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("TLS_CERT_FILE: {certificate} is not PEM: {error}"))?;
        if chain.is_empty() {
            return Err(format!("TLS_CERT_FILE: there is no certificate in {certificate}"));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| format!("TLS_KEY_FILE: there is no private key in {key}, or it can't be read"))?;
        CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("TLS_KEY_FILE: the key in {key} does not belong to the certificate in {certificate}")
            }
            // The error names what is wrong with either, and none of their contents.
            error => format!("TLS_CERT_FILE: {certificate}, with the key in {key}, can't be used: {error}"),
        })
    }
}

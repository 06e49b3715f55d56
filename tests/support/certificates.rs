//! Certificates of a test's own authorities, and the peers that use them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// The two paths.
    pub(crate) fn paths(&self) -> [&str; 2] {
        [&self.cert, &self.key].map(|path| path.to_str().expect("paths of tests are text"))
    }
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valid {
    Now,
    NoLonger,
}

/// An authority, its certificate in `ca.crt` of a folder.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one; its files, and those that it signs, go to a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder of the test");
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let cert = params.self_signed(&key).expect("valid parameters");
        std::fs::write(folder.join("ca.crt"), cert.pem()).expect("a folder of the test");
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// The path of its certificate.
    pub(crate) fn path(&self) -> String {
        self.folder.join("ca.crt").to_str().expect("paths of tests are text").to_owned()
    }

    /// Signs a new certificate for clients and servers, in files of this name; replaces old ones.
    pub(crate) fn sign(&self, name: &str, valid: Valid) -> Files {
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(if valid == Valid::Now { 4000 } else { 2020 }, 1, 1);
        params.not_before = date_time_ymd(2010, 1, 1);
        let cert = params.signed_by(&key, &self.issuer).expect("valid parameters");
        let path = |ending| self.folder.join(format!("{name}.{ending}"));
        let files = Files { cert: path("crt"), key: path("key") };
        std::fs::write(&files.cert, cert.pem()).expect("a folder of the test");
        std::fs::write(&files.key, key.serialize_pem()).expect("a folder of the test");
        files
    }
}

/// Takes any certificate: these tests are of the server.
#[derive(Debug)]
struct AnyServer(CryptoProvider);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's configuration: with a certificate or none, for these versions.
pub(crate) fn client(
    files: Option<&Files>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("known versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(ring::default_provider())));
    let Some(files) = files else { return Arc::new(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_file_iter(&files.cert).expect("a file of the test");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
    Arc::new(builder.with_client_auth_cert(chain, key).expect("they belong together"))
}

/// A session over a socket; its handshake begins with the first bytes.
pub(crate) fn session(
    config: Arc<ClientConfig>,
    socket: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(config, name).expect("a valid configuration"), socket)
}

//! Whom peers must be: checks of their certificates, and that they have the keys of these.
//!
//! The library checks certificates of version 3; `authorities` has what else counts.

use std::sync::Arc;

use pkcs8::der::{Decode, Encode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_cert::{Certificate, Version};

use super::Unusable;
use super::authorities::{Authorities, Peer, identifier};
use crate::settings::ClientAuth;

/// Whether a handshake is signed by the key of a certificate of version 1, in TLS 1.2.
fn is_signed_with_key_of(
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let check = || {
        let key = old(cert)?.tbs_certificate.subject_public_key_info;
        let (algorithm, key) = (identifier(&key.algorithm)?, key.subject_public_key);
        let (_, possible) =
            algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme)?;
        let mut fitting =
            possible.iter().filter(|one| one.public_key_alg_id().as_ref() == algorithm);
        let key = key.as_bytes()?;
        Some(fitting.any(|one| one.verify_signature(key, message, signed.signature()).is_ok()))
    };
    check().unwrap_or(false)
}

/// The certificate if it is of version 1.
fn old(cert: &CertificateDer<'_>) -> Option<Certificate> {
    let parsed = Certificate::from_der(cert).ok()?;
    (parsed.tbs_certificate.version == Version::V1).then_some(parsed)
}

/// Whatever a certificate is worth, the peer must have its key: these checks are the same for all
/// peers. The implementing type has a field `algorithms`.
macro_rules! check_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.algorithms;
            verify_tls12_signature(message, cert, signed, algorithms).or_else(|error| {
                match is_signed_with_key_of(message, cert, signed, algorithms) {
                    true => Ok(HandshakeSignatureValid::assertion()),
                    false => Err(error),
                }
            })
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.algorithms;
            verify_tls13_signature(message, cert, signed, algorithms).or_else(|error| {
                let key = old(cert).map(|old| old.tbs_certificate.subject_public_key_info);
                let Some(Ok(key)) = key.map(|key| key.to_der()) else { return Err(error) };
                let key = SubjectPublicKeyInfoDer::from(key);
                verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
            })
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// Checks a master's certificate as Redis does: one of the CAs must have signed it, whatever name it
/// has. Masters move between addresses that no certificate names.
#[derive(Debug)]
pub(super) struct Masters {
    pub(super) authorities: Arc<Authorities>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Masters {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (authorities, algorithms) = (&self.authorities, &self.algorithms);
        let valid = authorities.valid_roots(now);
        let roots = valid.as_ref().unwrap_or(authorities.roots());
        let checked = ParsedCertificate::try_from(own).and_then(|own| {
            verify_server_cert_signed_by_trust_anchor(&own, roots, between, now, algorithms.all)
        });
        checked
            .or_else(|error| authorities.or_old(own, Peer::Server, now, algorithms, error))
            .map(|()| ServerCertVerified::assertion())
    }

    check_keys!();
}

/// Takes any server's certificate.
#[derive(Debug)]
pub(super) struct Anyone {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anyone {
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

    check_keys!();
}

/// Checks clients' certificates.
#[derive(Debug)]
pub(super) struct Clients {
    /// By all CAs; `None` if there are none, as the trusted certificates may be no CA's.
    library: Option<Arc<dyn ClientCertVerifier>>,
    authorities: Arc<Authorities>,
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
    is_mandatory: bool,
}

impl Clients {
    /// `None`: clients are asked for no certificate.
    ///
    /// # Errors
    /// If the library cannot use the CAs.
    pub(super) fn new(
        auth: ClientAuth,
        authorities: &Arc<Authorities>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Self>>, Unusable> {
        if auth == ClientAuth::No {
            return Ok(None);
        }
        let algorithms = provider.signature_verification_algorithms;
        let is_mandatory = auth == ClientAuth::Yes;
        let authorities = Arc::clone(authorities);
        let roots = Arc::clone(authorities.roots());
        let library = match roots.is_empty() {
            true => None,
            false => Some(
                checker(roots, &provider)
                    .map_err(|error| Unusable::new("tls-ca-cert-file", error.to_string()))?,
            ),
        };
        Ok(Some(Arc::new(Self { library, authorities, provider, algorithms, is_mandatory })))
    }

    /// What the library says, by the CAs that are valid now.
    fn check_by_library(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let unknown = || Error::from(CertificateError::UnknownIssuer);
        let checker = match self.authorities.valid_roots(now) {
            None => self.library.clone().ok_or_else(unknown)?,
            Some(valid) => checker(Arc::new(valid), &self.provider).map_err(|_| unknown())?,
        };
        checker.verify_client_cert(own, between, now)
    }
}

/// The library's check of clients.
///
/// # Errors
/// If there are no CAs.
fn checker(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build()
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.library.as_ref().map_or(&[], |library| library.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_by_library(own, between, now).or_else(|error| {
            self.authorities.or_old(own, Peer::Client, now, &self.algorithms, error)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    check_keys!();
}

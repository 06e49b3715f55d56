//! Whom peers must be: checks of their certificates.
//!
//! The library checks certificates of version 3. OpenSSL's tools make version 1 unless they are asked
//! for extensions, and Redis's own script for test certificates does that. Such a certificate is
//! accepted here if one of the CAs itself has signed it, and so is a certificate that is itself among the
//! CAs', as one for everything is: both are what OpenSSL accepts, and what Redis's users have.

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
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_cert::certificate::Version;
use x509_cert::{Certificate, spki::AlgorithmIdentifierOwned};

use super::Unusable;
use crate::settings::ClientAuth;

/// The certificates of CAs, in the library's form and as they are.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// The verdict on a certificate that the library has refused with `error`.
    fn or_old(
        &self,
        own: &CertificateDer<'_>,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
        error: Error,
    ) -> Result<(), Error> {
        let Ok(parsed) = Certificate::from_der(own) else { return Err(error) };
        let is_trusted = self.trusted.iter().any(|trusted| trusted == own);
        let is_signed = || {
            parsed.tbs_certificate.version == Version::V1
                && self.trusted.iter().any(|by| is_signed_by(&parsed, by, algorithms))
        };
        if !is_trusted && !is_signed() {
            return Err(error);
        }
        let validity = &parsed.tbs_certificate.validity;
        let now = now.as_secs();
        if now < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }
}

/// An algorithm's identifier as the library has it: without tag and length.
fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    // Longer ones are of algorithms that the library does not have.
    let (header, rest) = der.split_at_checked(2)?;
    (usize::from(header[1]) == rest.len()).then(|| rest.to_vec())
}

/// Whether a CA's certificate has signed another one.
fn is_signed_by(
    signed: &Certificate,
    by: &CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let check = || {
        let by = Certificate::from_der(by).ok()?.tbs_certificate;
        if by.subject != signed.tbs_certificate.issuer {
            return None;
        }
        let key = &by.subject_public_key_info;
        let key_algorithm = identifier(&key.algorithm)?;
        let signature_algorithm = identifier(&signed.signature_algorithm)?;
        let message = signed.tbs_certificate.to_der().ok()?;
        let (key, signature) = (key.subject_public_key.as_bytes()?, signed.signature.as_bytes()?);
        let mut fitting = algorithms.all.iter().filter(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.signature_alg_id().as_ref() == signature_algorithm
        });
        Some(fitting.any(|algorithm| algorithm.verify_signature(key, &message, signature).is_ok()))
    };
    check().unwrap_or(false)
}

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
        let (roots, all) = (&self.authorities.roots, self.algorithms.all);
        let checked = ParsedCertificate::try_from(own).and_then(|own| {
            verify_server_cert_signed_by_trust_anchor(&own, roots, between, now, all)
        });
        checked
            .or_else(|error| self.authorities.or_old(own, now, &self.algorithms, error))
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
    library: Arc<dyn ClientCertVerifier>,
    authorities: Arc<Authorities>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Clients {
    /// `None`: clients are asked for no certificate.
    ///
    /// # Errors
    /// If there are no CAs.
    pub(super) fn new(
        auth: ClientAuth,
        authorities: &Arc<Authorities>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Self>>, Unusable> {
        if auth == ClientAuth::No {
            return Ok(None);
        }
        let algorithms = provider.signature_verification_algorithms;
        let roots = Arc::clone(&authorities.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::Yes | ClientAuth::No => builder,
        };
        let failed = |error: rustls::server::VerifierBuilderError| {
            Unusable::new("tls-ca-cert-file", error.to_string())
        };
        let library = builder.build().map_err(failed)?;
        let authorities = Arc::clone(authorities);
        Ok(Some(Arc::new(Self { library, authorities, algorithms })))
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.library.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.library.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.library.verify_client_cert(own, between, now).or_else(|error| {
            self.authorities.or_old(own, now, &self.algorithms, error)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    check_keys!();
}

//! Whose certificates count: the CAs', and what they vouch for that the library refuses.
//!
//! The library checks certificates of version 3. OpenSSL's tools make version 1 unless they are asked
//! for extensions, and Redis's own script for test certificates does that. Such a certificate is
//! accepted here if one of the CAs itself has signed it, and so is a certificate that is itself among
//! the trusted ones, as one for everything is: both are what OpenSSL accepts, and what Redis's users
//! have. The rules are OpenSSL's:
//!
//! - Each certificate involved must be valid now, the CA's as well: the library leaves that out, so it
//!   is given only those that are.
//! - A CA signs only if its extensions say so, or if it is an old one that signed itself. Where its
//!   extensions restrict names, it vouches for no certificate of version 1, whose names are not
//!   checked.
//! - A certificate of version 1 has no extensions, names one algorithm, and is in its one possible
//!   encoding, so that what was signed is what was read.
//! - Extensions about the use of a key must permit this one.

use std::sync::Arc;

use pkcs8::der::asn1::ObjectIdentifier;
use pkcs8::der::{Decode, Encode};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints};
use x509_cert::{Certificate, TbsCertificate, Version, spki::AlgorithmIdentifierOwned};

/// What a peer is: certificates may be for one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Server,
    Client,
}

impl Peer {
    /// The purpose in the extension for extended uses of keys (RFC 5280, 4.2.1.12).
    fn purpose(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::Server => "1.3.6.1.5.5.7.3.1",
            Self::Client => "1.3.6.1.5.5.7.3.2",
        })
    }
}

/// A trusted certificate.
#[derive(Debug)]
struct Trusted {
    der: CertificateDer<'static>,
    parsed: Certificate,
    /// Whether it is a CA's; others are trusted only as themselves.
    signs: bool,
}

/// The trusted certificates.
#[derive(Debug)]
pub(super) struct Authorities {
    trusted: Vec<Trusted>,
    /// All CAs, in the library's form.
    roots: Arc<RootCertStore>,
}

/// Why a certificate is not trusted.
#[derive(Debug)]
pub(super) enum NotTrusted {
    NoAuthority,
    Unusable(Error),
}

impl Authorities {
    pub(super) fn new() -> Self {
        Self { trusted: Vec::new(), roots: Arc::new(RootCertStore::empty()) }
    }

    /// Trusts a certificate that is a CA's, or signed by itself. Whether it was new.
    ///
    /// # Errors
    /// It is none, or the library cannot use it.
    pub(super) fn trust(&mut self, der: CertificateDer<'static>) -> Result<bool, NotTrusted> {
        if self.trusted.iter().any(|trusted| trusted.der == der) {
            return Ok(false);
        }
        let parsed = Certificate::from_der(&der).map_err(|_| NotTrusted::NoAuthority)?;
        let signs = is_authority(&parsed.tbs_certificate);
        let is_itself = || {
            let tbs = &parsed.tbs_certificate;
            tbs.subject == tbs.issuer && tbs.get::<BasicConstraints>().is_ok_and(|it| it.is_none())
        };
        if !signs && !is_itself() {
            return Err(NotTrusted::NoAuthority);
        }
        if signs {
            let roots = Arc::make_mut(&mut self.roots);
            roots.add(der.clone()).map_err(NotTrusted::Unusable)?;
        }
        self.trusted.push(Trusted { der, parsed, signs });
        Ok(true)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// How many there are, and how many of them are CAs'.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.trusted.len(), self.roots.len())
    }

    /// All CAs, whether they are valid now or not.
    pub(super) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// The CAs that are valid now; `None`: all of them are.
    pub(super) fn valid_roots(&self, now: UnixTime) -> Option<RootCertStore> {
        let is_valid =
            |trusted: &&Trusted| check_validity(&trusted.parsed.tbs_certificate, now).is_ok();
        let signing = || self.trusted.iter().filter(|trusted| trusted.signs);
        if signing().all(|trusted| is_valid(&trusted)) {
            return None;
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(
            signing().filter(is_valid).map(|trusted| trusted.der.clone()),
        );
        Some(roots)
    }

    /// The verdict on a certificate that the library has refused with `error`.
    ///
    /// # Errors
    /// The same error, or what is wrong with a certificate that these rules are for.
    pub(super) fn or_old(
        &self,
        own: &CertificateDer<'_>,
        peer: Peer,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
        error: Error,
    ) -> Result<(), Error> {
        let Ok(parsed) = Certificate::from_der(own) else { return Err(error) };
        let is_trusted = || {
            self.trusted.iter().any(|trusted| trusted.der == *own)
                && is_for(&parsed.tbs_certificate, peer)
                && may_shake(&parsed.tbs_certificate, peer)
        };
        let is_signed = || {
            is_plain(&parsed, own)
                && self.trusted.iter().any(|by| {
                    let by_tbs = &by.parsed.tbs_certificate;
                    by.signs
                        && check_validity(by_tbs, now).is_ok()
                        && is_for(by_tbs, peer)
                        && matches!(by_tbs.get::<NameConstraints>(), Ok(None))
                        && is_signed_by(&parsed, by_tbs, algorithms)
                })
        };
        if !is_trusted() && !is_signed() {
            return Err(error);
        }
        check_validity(&parsed.tbs_certificate, now)
    }
}

/// Whether a certificate may sign others.
fn is_authority(tbs: &TbsCertificate) -> bool {
    // Absent, it permits all.
    let Ok(key_usage) = tbs.get::<KeyUsage>() else { return false };
    let may_sign = key_usage.as_ref().is_none_or(|(_, usage)| usage.key_cert_sign());
    match tbs.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca && may_sign,
        // Old ones of CAs do not say so.
        Ok(None) => match tbs.version {
            Version::V1 => tbs.subject == tbs.issuer,
            Version::V2 | Version::V3 => key_usage.is_some() && may_sign,
        },
        Err(_) => false,
    }
}

/// Whether a certificate's extended uses, if it has them, include what the peer is.
fn is_for(tbs: &TbsCertificate, peer: Peer) -> bool {
    match tbs.get::<ExtendedKeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.0.contains(&peer.purpose())),
        Err(_) => false,
    }
}

/// Whether a certificate's key may be used in a handshake.
fn may_shake(tbs: &TbsCertificate, peer: Peer) -> bool {
    match tbs.get::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| {
            usage.digital_signature()
                || usage.key_agreement()
                || peer == Peer::Server && usage.key_encipherment()
        }),
        Err(_) => false,
    }
}

/// Whether a certificate is a sound one of version 1.
fn is_plain(parsed: &Certificate, own: &CertificateDer<'_>) -> bool {
    let tbs = &parsed.tbs_certificate;
    tbs.version == Version::V1
        && tbs.extensions.is_none()
        && tbs.signature == parsed.signature_algorithm
        && parsed.to_der().is_ok_and(|der| der == own.as_ref())
}

fn check_validity(tbs: &TbsCertificate, now: UnixTime) -> Result<(), Error> {
    let now = now.as_secs();
    if now < tbs.validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > tbs.validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// An algorithm's identifier as the library has it: without tag and length.
pub(super) fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    // Longer ones are of algorithms that the library does not have.
    let (header, rest) = der.split_at_checked(2)?;
    (usize::from(header[1]) == rest.len()).then(|| rest.to_vec())
}

/// Whether a CA's certificate has signed another one.
fn is_signed_by(
    signed: &Certificate,
    by: &TbsCertificate,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let check = || {
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

#[cfg(test)]
mod tests;

//! Certificates and keys from PEM files; notes what was read, so that changed files are noticed and
//! the metrics know when each certificate expires.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::pem::PemLabel;
use pkcs8::der::{Decode, SecretDocument};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::Certificate as Parsed;

use super::Unusable;
use super::authorities::{Authorities, NotTrusted};
use crate::node::certificates::Certificate;
use crate::settings::Secret;
use crate::telemetry::log::log;

/// A file's time of change, length and number, by which a replaced file is told from the old one.
pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

/// The stamp of a file or folder; `None` if it is missing.
pub(super) fn stamp(path: &Path) -> Stamp {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len(), data.ino()))
}

/// A certificate with its key: the parameters that name the files, and their values.
#[derive(Debug)]
pub(super) struct Named<'s> {
    pub(super) purpose: &'static str,
    pub(super) cert: (&'static str, &'s str),
    pub(super) key: (&'static str, &'s str),
    pub(super) pass: Option<&'s Secret>,
}

/// Reads files and notes what it has read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) certificates: Vec<Certificate>,
    /// Each file and folder as it was before it was read.
    pub(super) stamps: Vec<(PathBuf, Stamp)>,
}

impl Reader {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.stamps.push((path.to_owned(), stamp(path)));
        fs::read(path)
    }

    /// Reads a certificate, those behind it in its file, and its key.
    ///
    /// # Errors
    /// If a file is missing or invalid, or the key is another certificate's.
    pub(super) fn identity(
        &mut self,
        named: &Named<'_>,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>, Unusable> {
        let (cert, key) = (named.cert, named.key);
        let of_cert = |what: &dyn std::fmt::Display| {
            Unusable::new(cert.0, format!("Failed to load certificate: {}: {what}", cert.1))
        };
        let of_key = |what: &dyn std::fmt::Display| {
            Unusable::new(key.0, format!("Failed to load private key: {}: {what}", key.1))
        };
        let bytes = self.read(Path::new(cert.1)).map_err(|error| of_cert(&error))?;
        let chain = certificates(&bytes).map_err(|error| of_cert(&error))?;
        let first = chain.first().ok_or_else(|| of_cert(&"it has no certificate"))?;
        Parsed::from_der(first).map_err(|error| of_cert(&error))?;
        chain.iter().for_each(|one| self.note(named.purpose, cert.1, one));
        let bytes = self.read(Path::new(key.1)).map_err(|error| of_key(&error))?;
        let pass = named.pass.and_then(Secret::reveal);
        let private = private_key(&bytes, pass).map_err(|reason| of_key(&reason))?;
        let signing = provider.key_provider.load_private_key(private);
        let identity = CertifiedKey::new(chain, signing.map_err(|error| of_key(&error))?);
        match identity.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(of_key(&format!("it is not the key of {}", cert.1)));
            }
            // OpenSSL's clients take certificates of version 1, others do not.
            Err(error) => log!(Warning, "{}: some peers will refuse it: {error}", cert.1),
        }
        Ok(Arc::new(identity))
    }

    /// Reads the certificates of CAs from a file and from the files of a folder.
    ///
    /// # Errors
    /// If a path is unreadable, or one that is given has no CA's certificate.
    pub(super) fn authorities(
        &mut self,
        file: &str,
        folder: &str,
    ) -> Result<Arc<Authorities>, Unusable> {
        let failed = |parameter, path: &str, what: &dyn std::fmt::Display| {
            let reason =
                format!("Failed to configure CA certificate(s) file/directory: {path}: {what}");
            Unusable::new(parameter, reason)
        };
        const NONE: &str = "it has no certificate of a CA";
        let mut all = Authorities::new();
        if !file.is_empty() {
            let of_file = |what: &dyn std::fmt::Display| failed("tls-ca-cert-file", file, what);
            let bytes = self.read(Path::new(file)).map_err(|error| of_file(&error))?;
            let found = certificates(&bytes).map_err(|error| of_file(&error))?;
            found.into_iter().for_each(|one| self.trust(file, one, &mut all));
            if all.is_empty() {
                return Err(of_file(&NONE));
            }
        }
        if !folder.is_empty() {
            let of_folder = |what: &dyn std::fmt::Display| failed("tls-ca-cert-dir", folder, what);
            self.stamps.push((folder.into(), stamp(Path::new(folder))));
            for path in files(folder).map_err(|error| of_folder(&error))? {
                // A folder may hold other files as well.
                let Ok(bytes) = self.read(&path) else { continue };
                let found = certificates(&bytes).unwrap_or_default();
                let path = path.to_string_lossy();
                found.into_iter().for_each(|one| self.trust(&path, one, &mut all));
            }
            if all.is_empty() {
                return Err(of_folder(&NONE));
            }
        }
        Ok(Arc::new(all))
    }

    /// Trusts a certificate if it is a CA's: the library would let any certificate sign others.
    fn trust(&mut self, path: &str, one: CertificateDer<'static>, all: &mut Authorities) {
        match all.trust(one.clone()) {
            Ok(true) => self.note("ca", path, &one),
            Ok(false) => {}
            Err(NotTrusted::NoAuthority) => {
                log!(Warning, "{path}: one of its certificates is not a CA's, and not trusted");
            }
            Err(NotTrusted::Unusable(error)) => {
                log!(Warning, "{path}: a CA's certificate is unusable: {error}");
            }
        }
    }

    /// Keeps what the metrics show of a certificate.
    fn note(&mut self, purpose: &'static str, file: &str, one: &CertificateDer<'_>) {
        let Ok(parsed) = Parsed::from_der(one) else { return };
        let parsed = parsed.tbs_certificate;
        let expires = parsed.validity.not_after.to_unix_duration().as_secs();
        let serial = parsed.serial_number.as_bytes().iter().map(|byte| format!("{byte:02x}"));
        let certificate = Certificate {
            purpose,
            file: file.to_owned(),
            subject: parsed.subject.to_string(),
            serial: serial.collect(),
            expires_s: i64::try_from(expires).unwrap_or(i64::MAX),
        };
        // A series of its own needs its own labels.
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }
}

/// The files of a folder, in the order of their names.
fn files(folder: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// All certificates of a file.
fn certificates(
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(bytes).collect()
}

/// The private key of a file.
///
/// # Errors
/// In words for the operator.
fn private_key(bytes: &[u8], pass: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let what =
            "it is encrypted in an old way; convert it with: openssl pkcs8 -topk8 -v2 aes256";
        return Err(what.to_owned());
    }
    let encrypted = EncryptedPrivateKeyInfo::PEM_LABEL;
    let Some(start) = text.find(&format!("-----BEGIN {encrypted}-----")) else {
        return PrivateKeyDer::from_pem_slice(bytes).map_err(|error| error.to_string());
    };
    let pass = pass.ok_or("it is encrypted, and no passphrase is set")?;
    let end = format!("-----END {encrypted}-----");
    let len = text[start..].find(&end).ok_or("it has no end")? + end.len();
    let (_, document) =
        SecretDocument::from_pem(&text[start..start + len]).map_err(|error| error.to_string())?;
    let sealed = EncryptedPrivateKeyInfo::from_der(document.as_bytes())
        .map_err(|error| error.to_string())?;
    // The library's reasons differ by what the garbage looks like.
    let open = sealed
        .decrypt(pass)
        .map_err(|error| format!("the passphrase does not open it: {error}"))?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(open.as_bytes().to_vec())))
}

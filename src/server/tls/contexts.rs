//! What handshakes go by, made from the settings: all of it, or nothing.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};

use super::Unusable;
use super::ciphers::Choice;
use super::material::{Named, Reader};
use super::resumption::Resumption;
use crate::settings::{Admin, ClientAuth, Settings, Tls};

/// The configurations of handshakes.
#[derive(Debug)]
pub(super) struct Contexts {
    /// For clients.
    pub(super) server: Option<Arc<ServerConfig>>,
    /// For the link to a master.
    pub(super) client: Option<Arc<ClientConfig>>,
    pub(super) admin: Option<Arc<ServerConfig>>,
    /// The files and the certificates that these came from.
    pub(super) read: Reader,
    /// The settings that these came from.
    pub(super) made_from: (Tls, Admin),
    /// Settings that have less effect than they seem to, for the log.
    pub(super) warnings: Vec<String>,
}

/// Whether the settings use TLS at all.
pub(super) fn is_used(settings: &Settings) -> bool {
    serves(&settings.tls) || settings.admin.tls
}

/// Whether the settings use it for clients or the link to a master: one certificate is for both.
fn serves(tls: &Tls) -> bool {
    tls.port != 0 || tls.replication
}

impl Contexts {
    /// Reads all that the settings name.
    ///
    /// # Errors
    /// The first setting that cannot be honoured.
    pub(super) fn new(tls: &Tls, admin: &Admin) -> Result<Self, Unusable> {
        check(tls, admin)?;
        let choice = Choice::new(tls)?;
        let mut read = Reader::default();
        let authorities = read.authorities(&tls.ca_cert_file, &tls.ca_cert_dir)?;
        let maker = Maker { tls, choice: &choice, authorities: &authorities };
        let mut contexts = (None, None, None);
        if serves(tls) {
            let own = read.identity(&server_files(tls), &choice.provider)?;
            contexts.0 = Some(maker.server(Arc::clone(&own), tls.auth_clients)?);
            let separate = !tls.client_cert_file.is_empty() && !tls.client_key_file.is_empty();
            let identity = match separate {
                true => read.identity(&client_files(tls), &choice.provider)?,
                false => own,
            };
            contexts.1 = Some(maker.client(identity)?);
        }
        if admin.tls {
            let own = read.identity(&admin_files(tls, admin), &choice.provider)?;
            contexts.2 = Some(maker.server(own, admin.tls_auth_clients)?);
        }
        let made_from = (tls.clone(), admin.clone());
        let (server, client, admin) = contexts;
        Ok(Self { server, client, admin, read, made_from, warnings: choice.warnings })
    }
}

/// Checks that the settings name what others of them need.
fn check(tls: &Tls, admin: &Admin) -> Result<(), Unusable> {
    let own_files = !admin.tls_cert_file.is_empty();
    if serves(tls) || admin.tls && !own_files {
        if tls.cert_file.is_empty() {
            return Err(Unusable::new("tls-cert-file", "No tls-cert-file configured!"));
        }
        if tls.key_file.is_empty() {
            return Err(Unusable::new("tls-key-file", "No tls-key-file configured!"));
        }
    }
    if own_files && admin.tls_key_file.is_empty() {
        return Err(Unusable::new("admin-tls-key-file", "No admin-tls-key-file configured!"));
    }
    let asks = serves(tls) && (tls.replication || tls.auth_clients != ClientAuth::No);
    let admin_asks = admin.tls && admin.tls_auth_clients != ClientAuth::No;
    if (asks || admin_asks) && tls.ca_cert_file.is_empty() && tls.ca_cert_dir.is_empty() {
        let parameter = match () {
            () if !asks => "admin-tls-auth-clients",
            () if tls.replication => "tls-replication",
            () => "tls-auth-clients",
        };
        let reason = "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when \
                      tls-replication, tls-auth-clients or admin-tls-auth-clients are enabled!";
        return Err(Unusable::new(parameter, reason));
    }
    Ok(())
}

fn server_files(tls: &Tls) -> Named<'_> {
    Named {
        purpose: "server",
        cert: ("tls-cert-file", &tls.cert_file),
        key: ("tls-key-file", &tls.key_file),
        pass: Some(&tls.key_file_pass),
    }
}

fn client_files(tls: &Tls) -> Named<'_> {
    Named {
        purpose: "client",
        cert: ("tls-client-cert-file", &tls.client_cert_file),
        key: ("tls-client-key-file", &tls.client_key_file),
        pass: Some(&tls.client_key_file_pass),
    }
}

fn admin_files<'s>(tls: &'s Tls, admin: &'s Admin) -> Named<'s> {
    if admin.tls_cert_file.is_empty() {
        return Named { purpose: "admin", ..server_files(tls) };
    }
    Named {
        purpose: "admin",
        cert: ("admin-tls-cert-file", &admin.tls_cert_file),
        key: ("admin-tls-key-file", &admin.tls_key_file),
        pass: None,
    }
}

/// What all configurations share.
struct Maker<'s> {
    tls: &'s Tls,
    choice: &'s Choice,
    authorities: &'s Arc<RootCertStore>,
}

impl Maker<'_> {
    fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.choice.provider)
    }

    fn server(
        &self,
        own: Arc<CertifiedKey>,
        auth: ClientAuth,
    ) -> Result<Arc<ServerConfig>, Unusable> {
        let builder = ServerConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&self.choice.versions)
            .map_err(no_cipher)?;
        let mut config = match self.client_check(auth)? {
            Some(check) => builder.with_client_cert_verifier(check),
            None => builder.with_no_client_auth(),
        }
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.ignore_client_order = self.tls.prefer_server_ciphers;
        if self.tls.session_caching {
            let (max, timeout) = (self.tls.session_cache_size, self.tls.session_cache_timeout_secs);
            config.session_storage = Arc::new(Resumption::new(max, timeout));
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }

    fn client_check(
        &self,
        auth: ClientAuth,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, Unusable> {
        if auth == ClientAuth::No {
            return Ok(None);
        }
        let authorities = Arc::clone(self.authorities);
        let builder = WebPkiClientVerifier::builder_with_provider(authorities, self.provider());
        let builder = match auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::Yes | ClientAuth::No => builder,
        };
        let check = builder.build();
        check.map(Some).map_err(|error| Unusable::new("tls-ca-cert-file", error.to_string()))
    }

    fn client(&self, identity: Arc<CertifiedKey>) -> Result<Arc<ClientConfig>, Unusable> {
        let check = ByAuthority {
            authorities: Arc::clone(self.authorities),
            algorithms: self.choice.provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&self.choice.versions)
            .map_err(no_cipher)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(check))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.enable_sni = false;
        Ok(Arc::new(config))
    }
}

fn no_cipher(error: Error) -> Unusable {
    Unusable::new("tls-protocols", format!("these versions have none of the ciphers: {error}"))
}

/// Checks a master's certificate as Redis does: one of the CAs must have signed it, whatever name it
/// has. Masters move between addresses that no certificate names.
#[derive(Debug)]
struct ByAuthority {
    authorities: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ByAuthority {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let own = ParsedCertificate::try_from(own)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &own,
            &self.authorities,
            between,
            now,
            algorithms,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

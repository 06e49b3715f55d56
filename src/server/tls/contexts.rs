//! What handshakes go by, made from the settings: all of it, or nothing.

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, Error, ServerConfig, StreamOwned};

use super::Unusable;
use super::authorities::Authorities;
use super::ciphers::Choice;
use super::material::{Named, Reader};
use super::peers::{Anyone, Clients, Masters};
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
        let choice = Choice::new(&tls.protocols, &tls.ciphers, &tls.ciphersuites)?;
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
    authorities: &'s Arc<Authorities>,
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
        let mut config = match Clients::new(auth, self.authorities, self.provider())? {
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

    fn client(&self, identity: Arc<CertifiedKey>) -> Result<Arc<ClientConfig>, Unusable> {
        let check = Masters {
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

/// A session whose peer may be anyone: for a question without secrets, whose answer is not secret
/// either.
///
/// # Errors
/// If the library has no such configuration.
pub(super) fn unverified(
    stream: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let provider = Arc::new(ring::default_provider());
    let check = Anyone { algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check))
        .with_no_client_auth();
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream))
}

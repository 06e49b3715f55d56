//! TLS: for clients, for replication in both directions, and for the admin server.
//!
//! | File | Owns |
//! |---|---|
//! | `contexts` | what handshakes go by, made from the settings |
//! | `material` | certificates and keys from files |
//! | `authorities` | whose certificates count |
//! | `peers` | checks of peers' certificates |
//! | `ciphers` | versions and ciphers by OpenSSL's names |
//! | `handshakes` | the thread of handshakes with clients, and their bounds |
//! | `session` | a client's session after its handshake, which threads share |
//! | `resumption` | sessions kept for clients that come back |
//!
//! A new configuration replaces the old one as a whole, once all of its files are read: then new
//! handshakes go by it. Sessions stay as they are.

mod authorities;
mod ciphers;
mod contexts;
mod handshakes;
mod material;
mod peers;
mod resumption;
mod session;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::node::Node;
use crate::node::host::SettingRefused;
use crate::settings::Settings;
use crate::telemetry::log::log;
use contexts::Contexts;

pub(super) use handshakes::Handshakes;
pub(super) use session::{Session, TlsStream};

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(60);

/// Why a setting cannot be honoured.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The parameter's name.
    parameter: &'static str,
    /// In words for the operator.
    reason: String,
}

impl Unusable {
    fn new(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self { parameter, reason: reason.into() }
    }
}

/// Either end of a link to a master.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The configurations in use; none while TLS is off.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    contexts: ArcSwapOption<Contexts>,
    /// There is a new configuration.
    configured: Notify,
}

/// What [`Tls::commit`] puts to use.
#[derive(Debug)]
pub(super) struct Prepared(Option<Contexts>);

impl Tls {
    /// Reads what a starting server's settings name.
    ///
    /// # Errors
    /// The setting that cannot be honoured, with its place.
    pub(super) fn start(settings: &Settings) -> Result<Self, String> {
        let tls = Self::default();
        if contexts::is_used(settings) {
            let contexts = Contexts::new(&settings.tls, &settings.admin).map_err(|unusable| {
                let place = settings.origins.place(unusable.parameter);
                let reason = unusable.reason;
                format!("{reason} ({place})\nFailed to configure TLS. Check logs for more info.")
            })?;
            warn(&contexts);
            tls.contexts.store(Some(Arc::new(contexts)));
        }
        Ok(tls)
    }

    /// Reads what changed settings name, if they use TLS. `named` are the parameters that the client
    /// has set: files may have changed even where their names have not.
    ///
    /// # Errors
    /// In Redis's words; the log has the reason.
    pub(super) fn prepare(
        &self,
        new: &Settings,
        named: &[&'static str],
    ) -> Result<Prepared, SettingRefused> {
        let concerns = |name: &&&str| name.starts_with("tls-") || name.starts_with("admin-tls-");
        let argument = named.iter().find(concerns).filter(|_| contexts::is_used(new));
        let Some(argument) = argument else { return Ok(Prepared(None)) };
        let contexts = Contexts::new(&new.tls, &new.admin).map_err(|unusable| {
            log!(Warning, "{} ('{}')", unusable.reason, unusable.parameter);
            let reason = "Unable to update TLS configuration. Check server logs.".to_owned();
            SettingRefused { argument, reason }
        })?;
        Ok(Prepared(Some(contexts)))
    }

    /// Puts to use what is prepared.
    pub(super) fn commit(&self, Prepared(contexts): Prepared, node: &Node) {
        if let Some(contexts) = contexts {
            warn(&contexts);
            self.contexts.store(Some(Arc::new(contexts)));
            self.show(node);
            self.configured.notify_one();
        }
    }

    /// Lists the certificates in the metrics.
    pub(super) fn show(&self, node: &Node) {
        let contexts = self.contexts.load();
        let certificates = contexts.as_ref().map(|all| all.read.certificates.clone());
        node.certificates.set(certificates.unwrap_or_default());
    }

    /// Looks for changed files, forever.
    pub(super) async fn watch(&self, node: &Node) {
        let mut refused = None;
        loop {
            match self.contexts.load().is_some() {
                true => sleep(LOOK).await,
                false => self.configured.notified().await,
            }
            self.look(node, &mut refused);
        }
    }

    /// Reads the files again if any has changed. `refused`: the state of the files that was found
    /// unusable before; it is not logged again.
    fn look(&self, node: &Node, refused: &mut Option<Vec<material::Stamp>>) {
        let Some(old) = self.contexts.load_full() else { return };
        let stamps = old.read.stamps.iter().map(|(path, _)| material::stamp(path));
        let stamps: Vec<material::Stamp> = stamps.collect();
        if stamps.iter().eq(old.read.stamps.iter().map(|(_, stamp)| stamp)) {
            *refused = None;
            return;
        }
        match Contexts::new(&old.made_from.0, &old.made_from.1) {
            Ok(contexts) => {
                *refused = None;
                // CONFIG SET may have been faster, and has read the files as well.
                let seen = self.contexts.compare_and_swap(&old, Some(Arc::new(contexts)));
                if seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &old)) {
                    log!(Notice, "TLS certificates have changed: new connections use the new ones");
                    self.show(node);
                }
            }
            Err(unusable) if refused.as_ref() != Some(&stamps) => {
                let Unusable { parameter, reason } = unusable;
                log!(
                    Warning,
                    "TLS certificates have changed, but the old ones stay in use: {reason} \
                     ('{parameter}')"
                );
                *refused = Some(stamps);
            }
            Err(_) => {}
        }
    }

    /// The configuration for clients.
    fn server(&self) -> Option<Arc<ServerConfig>> {
        self.contexts.load().as_ref().and_then(|all| all.server.clone())
    }

    /// What accepts handshakes with the admin server's clients; none if that server is plain.
    pub(crate) fn admin(&self) -> Option<TlsAcceptor> {
        self.contexts.load().as_ref().and_then(|all| all.admin.clone()).map(TlsAcceptor::from)
    }

    /// Secures a connection to a master, and checks the master's certificate.
    pub(super) async fn connect(
        &self,
        host: &str,
        peer: SocketAddr,
        stream: TcpStream,
    ) -> io::Result<impl Wire + use<>> {
        let config = self.contexts.load().as_ref().and_then(|all| all.client.clone());
        let config = config.ok_or_else(|| io::Error::other("TLS is not configured"))?;
        // Neither sent nor checked; the library asks for one.
        let name = match host.parse::<IpAddr>() {
            Ok(ip) => ServerName::from(ip),
            Err(_) => ServerName::try_from(host.to_owned())
                .unwrap_or_else(|_| ServerName::from(peer.ip())),
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

/// A session whose peer may be anyone.
///
/// # Errors
/// If the library has no such configuration.
pub(crate) fn unverified(
    stream: std::net::TcpStream,
) -> Result<impl io::Read + io::Write + use<>, rustls::Error> {
    contexts::unverified(stream)
}

fn warn(contexts: &Contexts) {
    contexts.warnings.iter().for_each(|warning| log!(Warning, "{warning}"));
}

#[cfg(test)]
mod tests;

//! Where a client comes from.

/// A client's origin; never changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) id: u64,
    pub(crate) address: String,
    pub(crate) local_address: String,
    pub(crate) fd: i32,
    /// Unix milliseconds.
    pub(crate) connected_ms: i64,
    pub(crate) unix_socket: bool,
    /// What is sent is encrypted.
    pub(crate) tls: bool,
}

impl Origin {
    /// Whether the client is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.address.parse::<std::net::SocketAddr>();
        self.unix_socket || address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }
}

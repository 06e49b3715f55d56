//! The certificates that the server has loaded, for the metrics. The outer layer reads them.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// What it is for: `server`, `client`, `ca` or `admin`.
    pub(crate) purpose: &'static str,
    /// The file that it was read from.
    pub(crate) file: String,
    pub(crate) subject: String,
    /// In hexadecimal.
    pub(crate) serial: String,
    /// When it expires, in Unix seconds.
    pub(crate) expires_s: i64,
}

impl Certificate {
    /// Days that are left at a time; negative once it has expired.
    pub(crate) fn days_left(&self, now_s: i64) -> f64 {
        self.expires_s.saturating_sub(now_s) as f64 / 86_400.0
    }
}

/// All certificates in use.
#[derive(Debug, Default)]
pub(crate) struct Certificates(ArcSwap<Vec<Certificate>>);

impl Certificates {
    pub(crate) fn set(&self, all: Vec<Certificate>) {
        self.0.store(Arc::new(all));
    }

    pub(crate) fn all(&self) -> Arc<Vec<Certificate>> {
        self.0.load_full()
    }
}

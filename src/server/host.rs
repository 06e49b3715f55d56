//! What commands ask of the outer layer.

use crate::settings;
use crate::telemetry::log::Level;

/// The log's level of a setting.
pub(super) fn level(level: settings::LogLevel) -> Option<Level> {
    match level {
        settings::LogLevel::Debug => Some(Level::Debug),
        settings::LogLevel::Verbose => Some(Level::Verbose),
        settings::LogLevel::Notice => Some(Level::Notice),
        settings::LogLevel::Warning => Some(Level::Warning),
        settings::LogLevel::Nothing => None,
    }
}

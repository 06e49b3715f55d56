//! The `user default …` line, which Redis's CONFIG REWRITE always adds: accepted if it describes
//! the default user as it is without the line. Other users, and other rights of this one, need ACL.

use sha2::{Digest, Sha256};

use super::layer::Line;
use super::values::Settings;

const NO_ACL: &str = "limpid cannot honour users other than 'default' yet: there is no ACL";
const OTHER_RIGHTS: &str = "limpid cannot honour a default user other than 'on ~* &* +@all', with \
                            'nopass' or one password, yet: there is no ACL";

/// How the default user authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultUser {
    /// Without a password.
    NoPass,
    /// By the password with this SHA-256 digest, in hexadecimal digits.
    Digest(String),
}

impl DefaultUser {
    /// The name of such lines.
    pub(super) const PARAMETER: &'static str = "user";

    /// The way of authentication, as `nopass` or `#` and the digest.
    ///
    /// # Errors
    /// If the line says more than `requirepass` can express.
    pub(super) fn canonical(words: &[String]) -> Result<Vec<String>, String> {
        let [name, rules @ ..] = words else { return Err(NO_ACL.to_owned()) };
        if name != "default" {
            return Err(NO_ACL.to_owned());
        }
        let (mut on, mut keys, mut channels, mut commands) = (false, false, false, false);
        let mut ways: Vec<String> = Vec::new();
        for rule in rules {
            match rule.to_ascii_lowercase().as_str() {
                "on" => on = true,
                "~*" | "allkeys" => keys = true,
                "&*" | "allchannels" => channels = true,
                "+@all" | "allcommands" => commands = true,
                "sanitize-payload" | "skip-sanitize-payload" => {}
                "nopass" => ways.push("nopass".to_owned()),
                digest if is_digest(digest) => ways.push(digest.to_owned()),
                _ => match rule.strip_prefix('>') {
                    Some(password) => ways.push(format!("#{}", digest(password))),
                    None => return Err(OTHER_RIGHTS.to_owned()),
                },
            }
        }
        match ways.as_slice() {
            [_] if on && keys && channels && commands => Ok(ways),
            _ => Err(OTHER_RIGHTS.to_owned()),
        }
    }

    pub(super) fn named(way: &str) -> Self {
        way.strip_prefix('#').map_or(Self::NoPass, |digest| Self::Digest(digest.to_owned()))
    }

    /// The arguments of the line for these settings.
    pub(super) fn line(settings: &Settings) -> String {
        let way = match settings.security.requirepass.reveal() {
            None => "nopass".to_owned(),
            Some(password) => format!("#{}", digest(password)),
        };
        format!("default on {way} ~* &* +@all")
    }

    /// Whether a line describes the default user other than it is now.
    pub(super) fn is_outdated(line: &Line, settings: &Settings) -> bool {
        line.name.eq_ignore_ascii_case(Self::PARAMETER)
            && Self::canonical(&line.words)
                .is_ok_and(|way| way.iter().any(|way| Self::named(way).agree(settings).is_err()))
    }

    /// Checks that the settings agree with this authentication.
    ///
    /// # Errors
    /// Why they do not.
    pub(super) fn agree(&self, settings: &Settings) -> Result<(), String> {
        match (self, settings.security.requirepass.reveal()) {
            (Self::NoPass, None) => Ok(()),
            (Self::NoPass, Some(_)) => {
                Err("'nopass' contradicts 'requirepass': Redis would serve without a password"
                    .into())
            }
            (Self::Digest(known), Some(password)) if *known == digest(password) => Ok(()),
            (Self::Digest(_), Some(_)) => Err("the password is not that of 'requirepass'".into()),
            (Self::Digest(_), None) => {
                Err("a password is only known from 'requirepass' yet, which is not set".into())
            }
        }
    }
}

fn is_digest(rule: &str) -> bool {
    rule.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn digest(password: &str) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Versions and ciphers by their names in the settings, which are OpenSSL's.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

use super::Unusable;

/// A cipher of TLS 1.2, and the words of OpenSSL's lists that include it.
struct Cipher {
    suite: CipherSuite,
    name: &'static str,
    groups: &'static [&'static str],
}

/// What all have in common.
const ALL: &[&str] = &[
    "ALL", "DEFAULT", "HIGH", "FIPS", "TLSv1.2", "ECDH", "ECDHE", "EECDH", "kECDHE", "kEECDH",
    "AEAD",
];
const AES_128: &[&str] = &["AES", "AESGCM", "AES128"];
const AES_256: &[&str] = &["AES", "AESGCM", "AES256"];
const CHACHA: &[&str] = &["CHACHA20"];
const OF_ECDSA: &[&str] = &["aECDSA", "ECDSA"];
const OF_RSA: &[&str] = &["aRSA", "RSA"];

#[rustfmt::skip]
const CIPHERS: &[Cipher] = &[
    Cipher { suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, name: "ECDHE-ECDSA-AES256-GCM-SHA384", groups: AES_256 },
    Cipher { suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, name: "ECDHE-RSA-AES256-GCM-SHA384", groups: AES_256 },
    Cipher { suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, name: "ECDHE-ECDSA-CHACHA20-POLY1305", groups: CHACHA },
    Cipher { suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, name: "ECDHE-RSA-CHACHA20-POLY1305", groups: CHACHA },
    Cipher { suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, name: "ECDHE-ECDSA-AES128-GCM-SHA256", groups: AES_128 },
    Cipher { suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, name: "ECDHE-RSA-AES128-GCM-SHA256", groups: AES_128 },
];

/// Names of TLS 1.3's ciphers.
const SUITES: &[(&str, CipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
];

/// Words for ciphers none of which limpid has: to exclude them changes nothing.
const ABSENT: &[&str] = &[
    "aNULL",
    "eNULL",
    "NULL",
    "ADH",
    "AECDH",
    "aDH",
    "aDSS",
    "DSS",
    "aPSK",
    "kPSK",
    "PSK",
    "kRSA",
    "kDHE",
    "kEDH",
    "DHE",
    "EDH",
    "DH",
    "kDH",
    "SRP",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "LOW",
    "MEDIUM",
    "MD5",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA384",
    "RC2",
    "RC4",
    "DES",
    "3DES",
    "IDEA",
    "SEED",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "AESCCM",
    "AESCCM8",
    "SSLv2",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "GOST94",
    "GOST89MAC",
    "CBC",
];

/// The strongest of OpenSSL's security levels that all of limpid's ciphers and keys reach.
const LEVEL_MAX: u32 = 2;

impl Cipher {
    /// Whether a word of a list stands for this cipher; `A+B` is what both stand for.
    fn is(&self, word: &str) -> bool {
        if word == self.name {
            return true;
        }
        let signed = if self.name.contains("-ECDSA-") { OF_ECDSA } else { OF_RSA };
        word.split('+')
            .all(|part| [ALL, self.groups, signed].iter().any(|groups| groups.contains(&part)))
    }
}

/// Versions and ciphers.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    /// What is missing from the lists, for the log.
    pub(super) warnings: Vec<String>,
}

impl Choice {
    /// What the lists of `tls-protocols`, `tls-ciphers` and `tls-ciphersuites` ask for.
    ///
    /// # Errors
    /// If the lists demand what limpid does not have, or leave nothing.
    pub(super) fn new(protocols: &str, ciphers: &str, suites: &str) -> Result<Self, Unusable> {
        let versions = versions(protocols)?;
        let mut warnings = Vec::new();
        let mut wanted = old_suites(ciphers, &mut warnings)?;
        let new = new_suites(suites, &mut warnings)?;
        // Those of the newer version first, as OpenSSL has them.
        wanted.splice(0..0, new);
        let mut provider = ring::default_provider();
        let suite = |wanted: &CipherSuite| {
            provider.cipher_suites.iter().copied().find(|suite| suite.suite() == *wanted)
        };
        let suites: Vec<SupportedCipherSuite> = wanted.iter().filter_map(suite).collect();
        provider.cipher_suites = suites;
        Ok(Self { provider: Arc::new(provider), versions, warnings })
    }
}

fn versions(names: &str) -> Result<Vec<&'static SupportedProtocolVersion>, Unusable> {
    let unusable = |reason: String| Unusable::new("tls-protocols", reason);
    let mut versions = Vec::new();
    for name in names.split_ascii_whitespace() {
        match name.to_ascii_lowercase().as_str() {
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1" | "tlsv1.1" => {
                let reason = format!("limpid does not offer {name}, which is broken: use TLSv1.2");
                return Err(unusable(reason));
            }
            _ => {
                return Err(unusable(format!(
                    "Invalid tls-protocols specified: {name}. Use a combination of 'TLSv1.2' and \
                     'TLSv1.3'."
                )));
            }
        }
    }
    if versions.is_empty() {
        versions = vec![&TLS13, &TLS12];
    }
    Ok(versions)
}

fn new_suites(list: &str, warnings: &mut Vec<String>) -> Result<Vec<CipherSuite>, Unusable> {
    if list.is_empty() {
        return Ok(SUITES.iter().map(|(_, suite)| *suite).collect());
    }
    let mut suites = Vec::new();
    for name in list.split([':', ' ']).filter(|name| !name.is_empty()) {
        match SUITES.iter().find(|(known, _)| *known == name) {
            Some((_, suite)) => suites.push(*suite),
            None => warnings.push(format!("'tls-ciphersuites': limpid has no cipher {name}")),
        }
    }
    match suites.is_empty() {
        true => Err(Unusable::new(
            "tls-ciphersuites",
            format!("Failed to configure ciphersuites: {list}: limpid has none of these"),
        )),
        false => Ok(suites),
    }
}

/// Evaluates a list as OpenSSL does: words add ciphers, `-` removes them, `!` for good, and `+`
/// moves them to the end.
fn old_suites(list: &str, warnings: &mut Vec<String>) -> Result<Vec<CipherSuite>, Unusable> {
    let unusable = |reason: &str| {
        Unusable::new("tls-ciphers", format!("Failed to configure ciphers: {reason}"))
    };
    let list = if list.is_empty() { "DEFAULT" } else { list };
    let mut chosen: Vec<&Cipher> = Vec::new();
    let mut banned: Vec<&Cipher> = Vec::new();
    let mut missing = Vec::new();
    for word in list.split([':', ',', ';', ' ']).filter(|word| !word.is_empty()) {
        if let Some(command) = word.strip_prefix('@') {
            at_command(command, &mut chosen).map_err(|reason| unusable(&reason))?;
            continue;
        }
        let (action, name) = match word.split_at_checked(1) {
            Some((action @ ("!" | "-" | "+"), name)) => (action, name),
            _ => ("", word),
        };
        let known: Vec<&Cipher> = CIPHERS.iter().filter(|cipher| cipher.is(name)).collect();
        let is_in = |list: &[&Cipher], one: &Cipher| list.iter().any(|of| of.name == one.name);
        if known.is_empty() && action.is_empty() {
            missing.push(name);
        }
        if known.is_empty() && matches!(action, "!" | "-") && !is_absent(name) {
            return Err(unusable(&format!("limpid does not know what '{word}' excludes")));
        }
        match action {
            "!" | "-" => {
                chosen.retain(|cipher| !is_in(&known, cipher));
                if action == "!" {
                    banned.extend(known);
                }
            }
            "+" => {
                let (moved, kept): (Vec<_>, Vec<_>) =
                    chosen.into_iter().partition(|cipher| is_in(&known, cipher));
                chosen = [kept, moved].concat();
            }
            _ => {
                let new = known.into_iter().filter(|cipher| !is_in(&banned, cipher));
                let new: Vec<&Cipher> = new.filter(|cipher| !is_in(&chosen, cipher)).collect();
                chosen.extend(new);
            }
        }
    }
    if chosen.is_empty() {
        return Err(unusable(&format!("{list}: limpid has none of these")));
    }
    let lacks = |name: &&str| format!("'tls-ciphers': limpid has no cipher {name}");
    warnings.extend(missing.iter().map(lacks));
    Ok(chosen.iter().map(|cipher| cipher.suite).collect())
}

/// `@STRENGTH` sorts, `@SECLEVEL=n` demands a level.
fn at_command(command: &str, chosen: &mut [&Cipher]) -> Result<(), String> {
    if command == "STRENGTH" {
        chosen.sort_by_key(|cipher| cipher.groups.contains(&"AES128"));
        return Ok(());
    }
    let level = command.strip_prefix("SECLEVEL=").and_then(|level| level.parse::<u32>().ok());
    match level {
        Some(0..=LEVEL_MAX) => Ok(()),
        Some(level) => Err(format!("limpid has no ciphers of security level {level}")),
        None => Err(format!("limpid does not know '@{command}'")),
    }
}

/// Whether a word that names none of limpid's ciphers names others.
fn is_absent(word: &str) -> bool {
    let words = |part: &str| ABSENT.contains(&part) || CIPHERS.iter().any(|of| of.is(part));
    // Names of single ciphers have dashes.
    word.split('+').all(words) || word.contains('-')
}

#[cfg(test)]
mod tests {
    use super::{Choice, CipherSuite};

    fn choice(
        protocols: &str,
        ciphers: &str,
        suites: &str,
    ) -> Result<(Vec<CipherSuite>, usize), String> {
        let choice = Choice::new(protocols, ciphers, suites).map_err(|unusable| unusable.reason)?;
        let suites = choice.provider.cipher_suites.iter().map(|suite| suite.suite()).collect();
        Ok((suites, choice.warnings.len()))
    }

    /// The ciphers of TLS 1.2 that a list leaves, by short names.
    fn old(list: &str) -> Result<Vec<String>, String> {
        let (suites, _) = choice("", list, "")?;
        let names = suites.iter().map(|suite| format!("{suite:?}"));
        let names = names.filter_map(|name| Some(name.strip_prefix("TLS_ECDHE_")?.to_owned()));
        Ok(names.map(|name| name.replace("_WITH_", " ")).collect())
    }

    #[test]
    fn lists_are_read_as_openssl_reads_them() {
        let all = old("").unwrap();
        assert_eq!(all.len(), 6);
        assert_eq!(old("DEFAULT").unwrap(), all);
        assert_eq!(old("HIGH:!aNULL:!MD5:!3DES").unwrap(), all);
        assert_eq!(old("EECDH+AESGCM,EECDH+CHACHA20:@STRENGTH").unwrap().len(), 6);
        let one = ["RSA AES_128_GCM_SHA256"];
        assert_eq!(old("ECDHE-RSA-AES128-GCM-SHA256").unwrap(), one);
        assert_eq!(old("ALL:!ECDSA:-AES256:!CHACHA20").unwrap(), one);
        assert_eq!(old("!AES128:ALL:AES128").unwrap().len(), 4, "what is excluded stays so");
        assert_eq!(old("-AES128:ALL").unwrap().len(), 6, "what is removed may come back");
        let moved = old("AESGCM+RSA:+AES256").unwrap();
        assert_eq!(moved, ["RSA AES_128_GCM_SHA256", "RSA AES_256_GCM_SHA384"]);
    }

    #[test]
    fn what_limpid_lacks_is_warned_of_or_refused() {
        let (_, warned) = choice("", "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA256", "").unwrap();
        assert_eq!(warned, 1);
        assert!(old("AES128-SHA256:kRSA").unwrap_err().contains("limpid has none of these"));
        assert!(old("ALL:!FOO").unwrap_err().contains("'!FOO'"));
        assert!(old("ALL:@SECLEVEL=5").unwrap_err().contains("level 5"));
        assert!(old("ALL:@SECLEVEL=1").is_ok());
        let (suites, warned) =
            choice("", "", "TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256").unwrap();
        assert_eq!((suites[0], warned), (CipherSuite::TLS13_AES_128_GCM_SHA256, 1));
        assert_eq!(suites.len(), 7);
        assert!(choice("", "", "TLS_AES_128_CCM_SHA256").unwrap_err().contains("none of these"));
    }

    #[test]
    fn versions_are_named_in_any_case_and_old_ones_refused() {
        assert!(choice("tlsv1.2 TLSv1.3", "", "").is_ok());
        assert!(
            choice("TLSv1.1 TLSv1.2", "", "").unwrap_err().contains("TLSv1.1, which is broken")
        );
        assert!(choice("SSLv3", "", "").unwrap_err().starts_with("Invalid tls-protocols"));
    }
}

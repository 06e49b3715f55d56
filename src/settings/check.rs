//! Checks of text settings: the required form of each kind of text, so that its reader can use it.
//! Knows no parameter.

use super::lag::Lag;

/// The purpose of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The path of a file or folder.
    Path,
    /// The path of a Unix socket, which the system stores in 108 bytes with a zero.
    SocketPath,
    /// Names between blanks, colons and the like, as of ciphers.
    Names,
    /// The name of the append only file, and of its folder.
    AofFile,
    AofFolder,
    /// A name or an address to listen on, without a port.
    Host,
    /// An address that a node announces for itself, or nothing. INFO shows it between commas.
    AnnouncedHost,
    /// A bearer token, sent in an HTTP header.
    Token,
    /// The maximum lag of a replica, or nothing.
    Lag,
    /// The prefix of metric names.
    MetricsPrefix,
    /// The URL of a collector, or nothing.
    HttpEndpoint,
    /// The name under which the system's log shows this program.
    SyslogIdent,
    /// The template of the process's title.
    TitleTemplate,
}

/// Maximum length of a Unix socket's path.
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Check {
    /// # Errors
    /// Why the text is invalid.
    pub(super) fn accept(self, text: &str) -> Result<(), String> {
        let fits = match self {
            Self::Path => !text.contains('\0'),
            Self::SocketPath => !text.contains('\0') && text.len() <= SOCKET_PATH_BYTES_MAX,
            Self::Names => text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
            Self::AofFile | Self::AofFolder if text.is_empty() => {
                return Err(self.must_not_be_empty());
            }
            Self::AofFile | Self::AofFolder => is_base_name(text),
            Self::Host => is_host(text),
            Self::AnnouncedHost => text.is_empty() || is_host(text),
            Self::Token => text.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::Lag => text.is_empty() || Lag::parse(text).is_some(),
            Self::MetricsPrefix => is_metric_name(text),
            Self::HttpEndpoint => text.is_empty() || is_http_endpoint(text),
            Self::SyslogIdent => !text.chars().any(char::is_control),
            Self::TitleTemplate => is_title_template(text),
        };
        if fits { Ok(()) } else { Err(self.demand().to_owned()) }
    }

    fn must_not_be_empty(self) -> String {
        let name = if self == Self::AofFile { "appendfilename" } else { "appenddirname" };
        format!("{name} can't be empty")
    }

    fn demand(self) -> &'static str {
        match self {
            Self::Path => "argument must be a path, without a zero byte",
            Self::SocketPath => "argument must be a path of at most 107 bytes",
            Self::Names => "argument must be of visible ASCII characters and blanks",
            Self::AofFile => "appendfilename can't be a path, just a filename",
            Self::AofFolder => "appenddirname can't be a path, just a dirname",
            Self::Host | Self::AnnouncedHost => "argument must be a host name or an address",
            Self::Token => "argument must be of visible ASCII characters, without blanks",
            Self::Lag => "argument must be a size as 1MB or a time as 50ms",
            Self::MetricsPrefix => {
                "argument must be of letters, digits and underscores, and begin with no digit"
            }
            Self::HttpEndpoint => "argument must be as http://host:4318",
            Self::SyslogIdent => "argument must have no control characters",
            Self::TitleTemplate => "template format is invalid or contains unknown variables",
        }
    }
}

/// What a title's template may name between braces.
const TITLE_VARIABLES: &[&str] =
    &["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

/// Whether every variable is known, and something is left where those may be empty that can.
fn is_title_template(text: &str) -> bool {
    let value = |variable: &str| match variable {
        "title" | "server-mode" => Some(String::new()),
        known => TITLE_VARIABLES.contains(&known).then(|| "x".to_owned()),
    };
    title(text, value).is_some_and(|title| !title.is_empty())
}

/// The text of a title's template: `{name}` stands for the variable's value, `{{` for a brace.
/// `None` if a variable is unknown, or a brace is not closed.
#[must_use]
pub fn title(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        if let Some(after) = after.strip_prefix('{') {
            text.push('{');
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}')?;
        text += &value(name)?;
        rest = after;
    }
    text += rest;
    Some(text.trim_matches(' ').to_owned())
}

/// Whether a text names a file within a folder.
fn is_base_name(text: &str) -> bool {
    !text.contains(['/', '\\', '\0'])
}

/// Whether a text may name a host; does not resolve it.
pub(super) fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_*%[]".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed)
}

/// Whether a text may begin a metric's name.
fn is_metric_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    text.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && text.bytes().all(word)
}

fn is_http_endpoint(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else { return false };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        // Colons within the brackets of an IPv6 address separate no port.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, "80"),
    };
    is_host(host)
        && !host.contains(['*', '%'])
        && port.parse::<u16>().is_ok_and(|port| port != 0)
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::Check;

    #[test]
    fn texts_are_refused_that_their_reader_could_not_use() {
        let long = "s".repeat(108);
        for (check, good, bad) in [
            (Check::Path, &["", "/a b"][..], &["a\0b"][..]),
            (Check::SocketPath, &["", "/run/s"], &["\0", &long]),
            (Check::Names, &["", "ALL:!aNULL", "TLSv1.2 TLSv1.3"], &["é", "a\nb", "\0"]),
            (Check::Host, &["::1", "*", "a-b.c", "fe80::1%lo"], &["", "a b", "é", "a,b", "a\n"]),
            (Check::AnnouncedHost, &["", "10.0.0.1"], &["a b", "a,b=c"]),
            (Check::AofFile, &["a.aof"], &["", "a/b", "/a", "\0"]),
            (Check::AofFolder, &["a"], &["", "./a"]),
            (Check::Token, &["", "a+/=~"], &["é", "a b", "a\r"]),
            (Check::Lag, &["", "1MB", "50ms", "2s"], &["5 min", "x", "-1", "1e999", "."]),
            (Check::MetricsPrefix, &["redis", "_a:b1"], &["", "1a", "a b", "é", "a-b"]),
            (
                Check::HttpEndpoint,
                &["", "http://a", "http://[::1]:4318", "http://a:1/v1/x"],
                &[
                    "https://a",
                    "a:4318",
                    "http://",
                    "http://a:0",
                    "http://a:x",
                    "http://a b",
                    "http://:1",
                ],
            ),
        ] {
            for text in good {
                assert_eq!(check.accept(text), Ok(()), "{check:?} {text:?}");
            }
            for text in bad {
                assert!(check.accept(text).is_err(), "{check:?} {text:?}");
            }
        }
    }
}

//! `limpid-server healthcheck`: queries an admin server, for images without another HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::server::tls;

/// The URL if none is given.
const DEFAULT: &str = "http://127.0.0.1:9121/readyz";
/// Either end of a connection.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// Timeout of an answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Requests a URL, `http://host:port/path` or with `https`; returns the answer's status line on success.
///
/// # Errors
/// Why there is no answer or no success, in words for the operator.
pub fn probe(url: Option<&str>) -> Result<String, String> {
    let url = url.unwrap_or(DEFAULT);
    let (secured, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(format!("{url}: not an http URL")),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let failed = |what: &dyn std::fmt::Display| format!("{url}: {what}");
    let address = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{}", if secured { 443 } else { 80 })
    };
    let address = address.to_socket_addrs().map_err(|error| failed(&error))?.next();
    let address = address.ok_or_else(|| failed(&"no such address"))?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(|error| failed(&error))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| failed(&error))?;
    let mut stream: Box<dyn Wire> = match secured {
        true => Box::new(tls::unverified(stream).map_err(|error| failed(&error))?),
        false => Box::new(stream),
    };
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| failed(&error))?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().ok_or_else(|| failed(&"no answer"))?.map_err(|e| failed(&e))?;
    if status.split(' ').nth(1) == Some("200") {
        return Ok(status);
    }
    let reason = lines.map_while(Result::ok).last().unwrap_or_default();
    Err(failed(&format!("{status} {reason}")))
}

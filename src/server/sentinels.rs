//! Asks the sentinels known from before a restart who the master is, while this node's role is not
//! confirmed: their next own message may be seconds away.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::standing::{Answer, KnownSentinel};
use crate::telemetry::log::log;

/// Timeout for a sentinel's answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two rounds of questions.
const INTERVAL: Duration = Duration::from_millis(200);
/// Maximum number of fields, and of bytes in a field, of an answer.
const FIELDS_MAX: usize = 256;
const FIELD_BYTES_MAX: usize = 64 * 1024;

/// Starts asking on a separate thread, if there is anything to ask.
pub(super) fn ask(node: &Arc<Node>) {
    if node.standing.is_confirmed() || node.standing.sentinels().is_empty() {
        return;
    }
    let node = Arc::clone(node);
    let asker = std::thread::Builder::new().name("sentinels".into());
    let spawned = asker.spawn(move || {
        while is_wanted(&node) {
            // An absent sentinel may be up by the next round.
            let sentinels = node.standing.sentinels();
            let answers: Vec<_> = sentinels.iter().map(|one| ask_one(one).ok()).collect();
            node.hear_answers(&answers);
            std::thread::sleep(INTERVAL);
        }
    });
    if let Err(error) = spawned {
        log!(Warning, "Sentinels are not asked, but waited for: {error}");
    }
}

fn is_wanted(node: &Node) -> bool {
    !node.standing.is_confirmed()
        && !node.is_replica()
        && !node.admission.has(Condition::ShuttingDown)
}

/// A sentinel's view of its master, and the local address used to ask.
fn ask_one(sentinel: &KnownSentinel) -> io::Result<(Answer, SocketAddr)> {
    let address = sentinel.address.parse().map_err(|_| malformed("address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let name = &sentinel.master_name;
    let request = format!("*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n${}\r\n{name}\r\n", name.len());
    stream.write_all(request.as_bytes())?;
    let local = stream.local_addr()?;
    let fields = fields(&mut BufReader::new(stream))?;
    let field = |name: &'static str| fields.get(name).ok_or_else(|| malformed(name));
    let answer = Answer {
        host: field("ip")?.clone(),
        port: field("port")?.parse().map_err(|_| malformed("port"))?,
        config_epoch: field("config-epoch")?.parse().map_err(|_| malformed("config-epoch"))?,
        // Any other flags: it is down, or being replaced.
        settled: field("flags")? == "master",
        others: field("num-other-sentinels")?.parse().map_err(|_| malformed("sentinels"))?,
    };
    Ok((answer, local))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The names and values of an array reply.
fn fields(from: &mut impl BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut line = String::new();
    let mut number = |from: &mut dyn BufRead, mark: char| -> io::Result<usize> {
        line.clear();
        from.take(64).read_line(&mut line)?;
        let digits = line.strip_prefix(mark).map(str::trim_end);
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("length"))
    };
    let count = number(from, '*')?;
    if count > FIELDS_MAX {
        return Err(malformed("length"));
    }
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let len = number(from, '$')?;
        if len > FIELD_BYTES_MAX {
            return Err(malformed("length"));
        }
        let mut word = vec![0; len + 2];
        from.read_exact(&mut word)?;
        word.truncate(len);
        words.push(String::from_utf8(word).map_err(|_| malformed("text"))?);
    }
    let pairs = words.as_chunks::<2>().0.iter();
    Ok(pairs.map(|[name, value]| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_names_and_values() {
        let text = b"*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$4\r\n6379\r\n";
        let read = fields(&mut &text[..]).expect("an answer");
        assert_eq!(read["ip"], "127.0.0.1");
        assert_eq!(read["port"], "6379");
        for wrong in ["", "-NOAUTH\r\n", "*1\r\n$5\r\nip", "*999999\r\n", "*1\r\n$999999\r\n"] {
            assert!(fields(&mut wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}

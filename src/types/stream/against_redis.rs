//! The same commands to a stream here and in a redis-server 7.0.15, which must agree to the byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reply {
    Line(String),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Self>),
}

/// A running server, ended when dropped.
struct Real {
    process: Child,
    connection: BufReader<TcpStream>,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Real {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--rdbcompression", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let connection = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { process, connection: BufReader::new(connection.unwrap()) }
    }

    fn send(&mut self, args: &[Vec<u8>]) {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend(format!("${}\r\n", arg.len()).bytes());
            request.extend(arg);
            request.extend(b"\r\n");
        }
        self.connection.get_mut().write_all(&request).unwrap();
    }

    fn receive(&mut self) -> Reply {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().unwrap();
        match kind {
            "+" | "-" => Reply::Line(rest.to_owned()),
            ":" => Reply::Int(number()),
            _ if number() < 0 => Reply::Nil,
            "*" => Reply::Array((0..number()).map(|_| self.receive()).collect()),
            _ => {
                let mut bytes = vec![0; number() as usize + 2];
                self.connection.read_exact(&mut bytes).unwrap();
                bytes.truncate(number() as usize);
                Reply::Bulk(bytes)
            }
        }
    }

    fn call(&mut self, args: &[Vec<u8>]) -> Reply {
        self.send(args);
        self.receive()
    }

    /// A command in words.
    fn words(&mut self, command: &str) -> Reply {
        let args: Vec<Vec<u8>> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.call(&args)
    }

    /// The value that DUMP gives for the key `s`, without type and footer.
    fn dump(&mut self) -> Vec<u8> {
        let Reply::Bulk(payload) = self.words("DUMP s") else { panic!("the key exists") };
        assert_eq!(payload[0], 19);
        payload[1..payload.len() - 10].to_vec()
    }
}

/// A field of a reply that is a list of names and values.
fn field(reply: &Reply, name: &str) -> Reply {
    let Reply::Array(items) = reply else { panic!("{reply:?}") };
    let at = items.iter().position(|item| *item == Reply::Bulk(name.as_bytes().to_vec()));
    items[at.unwrap() + 1].clone()
}

fn put_len(out: &mut Vec<u8>, len: u64) {
    match len {
        ..64 => out.push(len as u8),
        64..16_384 => out.extend((len as u16 | 0x4000).to_be_bytes()),
        16_384..=0xffff_ffff => {
            out.push(0x80);
            out.extend((len as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend(len.to_be_bytes());
        }
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_len(out, id.ms);
    put_len(out, id.seq);
}

/// The stream as RDB type 19 stores it.
fn stored(stream: &Stream) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, stream.blocks_len() as u64);
    for (first, pack) in stream.blocks() {
        put_string(&mut out, &first.to_bytes());
        put_string(&mut out, pack);
    }
    let counters = stream.counters();
    put_len(&mut out, counters.length);
    put_id(&mut out, counters.last_id);
    put_id(&mut out, counters.first_id);
    put_id(&mut out, counters.max_deleted_id);
    put_len(&mut out, counters.entries_added);
    put_len(&mut out, stream.groups().len() as u64);
    for (name, group) in stream.groups().iter() {
        put_string(&mut out, name);
        put_id(&mut out, group.last_id);
        put_len(&mut out, group.entries_read.unwrap_or(-1) as u64);
        put_len(&mut out, group.pending_len() as u64);
        for (id, pending) in group.pending_from(StreamId::MIN) {
            out.extend(id.to_bytes());
            out.extend(pending.delivered_ms.to_le_bytes());
            put_len(&mut out, pending.deliveries);
        }
        put_len(&mut out, group.consumers_len() as u64);
        for (_, consumer) in group.consumers() {
            put_string(&mut out, consumer.name());
            out.extend(consumer.seen_ms.to_le_bytes());
            put_len(&mut out, consumer.pending_len() as u64);
            consumer.pending_from(StreamId::MIN).for_each(|id| out.extend(id.to_bytes()));
        }
    }
    out
}

/// Reads what [`stored`] writes.
struct Stored<'a>(&'a [u8]);

impl Stored<'_> {
    fn bytes(&mut self, len: usize) -> &[u8] {
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    fn len(&mut self) -> u64 {
        let [first] = self.array();
        match first {
            ..64 => first.into(),
            64..128 => u16::from_be_bytes([first & 0x3f, self.array::<1>()[0]]).into(),
            0x80 => u32::from_be_bytes(self.array()).into(),
            0x81 => u64::from_be_bytes(self.array()),
            _ => panic!("a string in another encoding"),
        }
    }

    fn string(&mut self) -> Vec<u8> {
        let len = self.len() as usize;
        self.bytes(len).to_vec()
    }

    fn id(&mut self) -> StreamId {
        StreamId::new(self.len(), self.len())
    }

    fn raw_id(&mut self) -> StreamId {
        StreamId::from_bytes(self.array())
    }

    fn stream(&mut self) -> Stream {
        let mut builder = StreamBuilder::default();
        for _ in 0..self.len() {
            let first = StreamId::from_bytes(self.string().try_into().unwrap());
            builder.block(first, self.string()).unwrap();
        }
        let length = self.len();
        let (last_id, first_id, max_deleted_id) = (self.id(), self.id(), self.id());
        let entries_added = self.len();
        let counters = Counters { length, last_id, first_id, max_deleted_id, entries_added };
        builder.counters(counters).unwrap();
        for _ in 0..self.len() {
            let name = self.string();
            let (last_id, read) = (self.id(), self.len() as i64);
            let mut group = GroupBuilder::new(last_id, (read != -1).then_some(read));
            for _ in 0..self.len() {
                let (id, ms) = (self.raw_id(), i64::from_le_bytes(self.array()));
                group.pending(id, ms, self.len()).unwrap();
            }
            for _ in 0..self.len() {
                let (name, ms) = (self.string(), i64::from_le_bytes(self.array()));
                group.consumer(&name, ms).unwrap();
                (0..self.len()).for_each(|_| group.claim(self.raw_id()).unwrap());
            }
            builder.group(&name, group).unwrap();
        }
        assert!(self.0.is_empty());
        builder.finish()
    }
}

/// A generator of small numbers, by its seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

struct Both {
    real: Real,
    stream: Stream,
    random: Random,
    limits: BlockLimits,
}

impl Both {
    fn id_around(&mut self) -> StreamId {
        let (first, last) = (self.stream.counters().first_id, self.stream.last_id());
        let ms = first.ms + self.random.below((last.ms.saturating_sub(first.ms)).min(1 << 40) + 3);
        StreamId::new(ms, self.random.below(4))
    }

    /// The id of an entry, mostly.
    fn known_id(&mut self) -> StreamId {
        let around = self.id_around();
        let entry = self.stream.range(around, StreamId::MAX).next();
        entry.map_or(around, |entry| entry.id)
    }

    fn text(&mut self) -> Vec<u8> {
        match self.random.below(5) {
            0 => (self.random.below(1 << 17) as i64 - 65_536).to_string().into_bytes(),
            1 => self.random.below(u64::MAX).to_string().into_bytes(),
            2 => vec![b'v'; self.random.below(300) as usize],
            _ => format!("text{}", self.random.below(3)).into_bytes(),
        }
    }

    fn add(&mut self) {
        let last = self.stream.last_id();
        let jump = [0, 0, 1, 1, 2, 300, 1 << 33][self.random.below(7) as usize];
        let id = match jump {
            0 => StreamId::new(last.ms, last.seq + 1 + self.random.below(3)),
            _ => StreamId::new(last.ms + jump, self.random.below(200)),
        };
        let fields = if self.random.below(4) > 0 { 2 } else { 1 + self.random.below(3) };
        let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..fields)
            .map(|n| {
                let odd = self.random.below(12) == 0;
                let name = if odd { self.text() } else { format!("f{n}").into_bytes() };
                (name, self.text())
            })
            .collect();
        let mut args = vec![b"XADD".to_vec(), b"s".to_vec(), id.to_string().into_bytes()];
        pairs.iter().for_each(|(field, value)| args.extend([field.clone(), value.clone()]));
        assert_eq!(self.real.call(&args), Reply::Bulk(id.to_string().into_bytes()));
        let pairs = pairs.iter().map(|(field, value)| (&field[..], &value[..]));
        self.stream.append(id, pairs, self.limits).unwrap();
    }

    fn delete(&mut self) {
        let id = self.known_id();
        let reply = self.real.words(&format!("XDEL s {id}"));
        assert_eq!(reply, Reply::Int(self.stream.delete(id).into()), "{id}");
    }

    fn trim(&mut self) {
        let (until, words) = if self.random.below(2) == 0 {
            let excess = self.random.below(60);
            let length = self.stream.len().saturating_sub(excess);
            (Until::Length(length), ["MAXLEN".to_owned(), length.to_string()])
        } else {
            let mut id = self.known_id();
            if self.random.below(3) > 0 {
                id.ms = self.stream.counters().first_id.ms + self.random.below(300);
            }
            (Until::Id(id), ["MINID".to_owned(), id.to_string()])
        };
        let limit = self.random.below(100);
        let [kind, threshold] = words;
        let (trim, sign, suffix) = match self.random.below(3) {
            0 => (Trim { until, precision: Precision::Exact, limit: 0 }, "=", String::new()),
            1 => {
                let limit = Trim::default_limit(self.limits.entries);
                (Trim { until, precision: Precision::Approximate, limit }, "~", String::new())
            }
            _ => {
                let trim = Trim { until, precision: Precision::Approximate, limit };
                (trim, "~", format!(" LIMIT {limit}"))
            }
        };
        let reply = self.real.words(&format!("XTRIM s {kind} {sign} {threshold}{suffix}"));
        assert_eq!(reply, Reply::Int(self.stream.trim(trim).entries as i64), "{trim:?}");
    }

    /// Has a consumer read, as XREADGROUP does.
    fn read(&mut self) {
        let (group, consumer) = (self.random.below(2), self.random.below(3));
        let (count, no_ack) = (1 + self.random.below(8), self.random.below(4) == 0);
        let words = if no_ack { "NOACK " } else { "" };
        let command =
            format!("XREADGROUP GROUP g{group} c{consumer} COUNT {count} {words}STREAMS s >");
        let reply = self.real.words(&command);
        let (counters, name) = (self.stream.counters(), format!("g{group}").into_bytes());
        let Some(from) = self.stream.groups().get(&name).map(|group| group.last_id) else {
            return;
        };
        let from = from.successor().unwrap();
        let new = self.stream.range(from, StreamId::MAX).take(count as usize);
        let ids: Vec<StreamId> = new.map(|entry| entry.id).collect();
        assert_eq!(ids.is_empty(), reply == Reply::Nil);
        if ids.is_empty() {
            // The server does not even create the consumer.
            return;
        }
        self.stream.groups_mut().update(&name, |group| {
            let consumer = format!("c{consumer}").into_bytes();
            let new = group.create_consumer(&consumer, 0);
            let number = new.or_else(|| group.number(&consumer)).unwrap();
            for id in ids {
                group.advance(&counters, id);
                if !no_ack {
                    group.deliver(id, number, 0);
                }
            }
        });
    }

    /// Acknowledges or claims something that is pending.
    fn settle(&mut self) {
        let name = format!("g{}", self.random.below(2));
        let around = self.id_around();
        let Some(group) = self.stream.groups().get(name.as_bytes()) else { return };
        let Some((id, _)) = group.pending_from(around).next() else { return };
        let consumer = self.random.below(3);
        let (own, is_claim) = (format!("c{consumer}").into_bytes(), self.random.below(2) == 0);
        let Some(number) = group.number(&own) else { return };
        if !is_claim || !self.stream.contains(id) {
            assert_eq!(self.real.words(&format!("XACK s {name} {id}")), Reply::Int(1));
            let groups = self.stream.groups_mut();
            assert_eq!(groups.update(name.as_bytes(), |group| group.acknowledge(id)), Some(true));
            return;
        }
        let command = format!("XCLAIM s {name} c{consumer} 0 {id} TIME 77 RETRYCOUNT 5 JUSTID");
        self.real.words(&command);
        let pending = Pending { consumer: number, delivered_ms: 77, deliveries: 5 };
        self.stream.groups_mut().update(name.as_bytes(), |group| group.set_pending(id, pending));
    }

    fn set_group(&mut self) {
        let (name, id) = (format!("g{}", self.random.below(2)), self.id_around());
        let read = self.random.below(4) as i64 * 10 - 1;
        let known = self.stream.groups().get(name.as_bytes()).is_some();
        let verb = if known { "SETID" } else { "CREATE" };
        let reply = self.real.words(&format!("XGROUP {verb} s {name} {id} ENTRIESREAD {read}"));
        assert_eq!(reply, Reply::Line("OK".to_owned()));
        let group = Group::new(id, (read != -1).then_some(read));
        if !self.stream.groups_mut().create(name.as_bytes(), group) {
            self.stream.groups_mut().update(name.as_bytes(), |group| {
                (group.last_id, group.entries_read) = (id, (read != -1).then_some(read));
            });
        }
    }

    fn remove_consumer(&mut self) {
        let (name, consumer) = (self.random.below(2), self.random.below(3));
        let (group, consumer) = (format!("g{name}"), format!("c{consumer}"));
        let reply = self.real.words(&format!("XGROUP DELCONSUMER s {group} {consumer}"));
        let groups = self.stream.groups_mut();
        let remove = |group: &mut Group| group.remove_consumer(consumer.as_bytes());
        if let Some(removed) = groups.update(group.as_bytes(), remove) {
            let pending = removed.map_or(0, |consumer| consumer.pending_len());
            assert_eq!(reply, Reply::Int(pending as i64));
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..16 => self.add(),
            16..25 => self.delete(),
            25..27 => self.trim(),
            27..32 => self.read(),
            32..37 => self.settle(),
            37..39 => self.set_group(),
            _ => self.remove_consumer(),
        }
    }

    /// Compares all but the times, which the server takes from its clock.
    fn compare(&mut self) {
        let dump = self.real.dump();
        let theirs = Stored(&dump).stream();
        assert!(stored(&theirs) == dump, "a stream that is loaded is stored as it was");
        assert_eq!(self.stream.counters(), theirs.counters());
        assert!(self.stream.blocks().eq(theirs.blocks()));
        let groups = |stream: &Stream| -> Vec<_> {
            let groups = stream.groups().iter();
            groups.map(|(name, group)| (name.to_vec(), without_times(group))).collect()
        };
        assert_eq!(groups(&self.stream), groups(&theirs));
        self.compare_info();
    }

    fn compare_info(&mut self) {
        let info = self.real.words("XINFO STREAM s");
        assert_eq!(field(&info, "radix-tree-keys"), Reply::Int(self.stream.blocks_len() as i64));
        let nodes = self.stream.radix_nodes() as i64;
        assert_eq!(field(&info, "radix-tree-nodes"), Reply::Int(nodes));
        let ends =
            [("first-entry", self.stream.first_entry()), ("last-entry", self.stream.last_entry())];
        for (name, entry) in ends {
            let expected = entry.map_or(Reply::Nil, |entry| {
                let texts = entry.fields.flat_map(|(field, value)| [field, value]);
                let texts = texts.map(|text| Reply::Bulk(text.to_vec())).collect();
                let id = entry.id.to_string().into_bytes();
                Reply::Array(vec![Reply::Bulk(id), Reply::Array(texts)])
            });
            assert_eq!(field(&info, name), expected);
        }
        let Reply::Array(groups) = self.real.words("XINFO GROUPS s") else {
            panic!("the key exists")
        };
        for (info, (_, group)) in groups.iter().zip(self.stream.groups().iter()) {
            let number = |number: Option<i64>| number.map_or(Reply::Nil, Reply::Int);
            assert_eq!(field(info, "entries-read"), number(group.entries_read));
            let lag = group.lag(&self.stream.counters());
            assert_eq!(field(info, "lag"), number(lag), "{:?} {group:?}", self.stream.counters());
        }
    }
}

/// A group's state, but for times and numbers of consumers.
fn without_times(group: &Group) -> String {
    let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
        let name = String::from_utf8_lossy(group.consumer(pending.consumer).name());
        format!(" {id} {name} {}", pending.deliveries)
    });
    let consumers = group.consumers().map(|(_, consumer)| {
        let ids = consumer.pending_from(StreamId::MIN).map(|id| format!(" {id}"));
        let name = String::from_utf8_lossy(consumer.name());
        format!("\n{name}{}", ids.collect::<String>())
    });
    let own = format!("{} {:?}", group.last_id, group.entries_read);
    own + &pending.chain(consumers).collect::<String>()
}

#[test]
#[ignore = "starts a redis-server 7.0.15 and runs for some seconds"]
fn streams_are_what_they_are_in_redis() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    let mut real = Real::start();
    for seed in 0..seeds {
        let mut random = Random(seed);
        let limits = BlockLimits {
            bytes: [0, 200, 1000, 4096][random.below(4) as usize],
            entries: [0, 1, 10, 100][random.below(4) as usize],
        };
        real.words("FLUSHALL");
        real.words(&format!("CONFIG SET stream-node-max-bytes {}", limits.bytes));
        real.words(&format!("CONFIG SET stream-node-max-entries {}", limits.entries));
        let mut both = Both { real, stream: Stream::default(), random, limits };
        both.add();
        for step in 0..600 {
            both.step();
            if step % 10 == 0 {
                both.compare();
            }
        }
        both.compare();
        real = both.real;
    }
}

#[test]
#[ignore = "starts a redis-server 7.0.15 and prints what a million entries take"]
fn a_million_entries_take_no_more_than_in_redis() {
    let (mut real, mut stream) = (Real::start(), Stream::default());
    let used = |real: &mut Real| {
        let Reply::Bulk(info) = real.words("INFO memory") else { panic!("INFO answers") };
        let info = String::from_utf8(info).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<f64>().unwrap()
    };
    let before = used(&mut real);
    let fields = |n: u64| [format!("s{:04}", n % 10_000), n.to_string()];
    for batch in 0..1000 {
        let numbers = batch * 1000..(batch + 1) * 1000;
        for n in numbers.clone() {
            let [sensor, value] = fields(n);
            let args = ["XADD", "s", "*", "sensor", &sensor, "value", &value];
            real.send(&args.map(|arg| arg.as_bytes().to_vec()));
        }
        for n in numbers {
            let Reply::Bulk(id) = real.receive() else { panic!("XADD answers with an id") };
            let ([sensor, value], id) = (fields(n), StreamId::parse(&id, 0).unwrap());
            let pairs = [(&b"sensor"[..], sensor.as_bytes()), (&b"value"[..], value.as_bytes())];
            stream.append(id, pairs.into_iter(), tests::DEFAULT_LIMITS).unwrap();
        }
    }
    let theirs = (used(&mut real) - before) / 1e6;
    let ours = stream.allocated_bytes() as f64 / 1e6;
    let blocks = stream.blocks_len();
    let above = stream.blocks().filter(|(_, pack)| pack.len() > 2048).count();
    println!("{theirs:.2} in Redis, {ours:.2} here; {above} of {blocks} blocks exceed 2,048 bytes");
    assert!(ours <= theirs);
}

//! Memory and processor time of all data types, side by side with redis-server 7.0.15.
//!
//! `cargo bench --bench values` prints the tables in the README. Memory: growth of `used_memory`
//! per member or key, mean over N, 1.25, 1.5 and 1.75 N, as a segmented table's fill swings. CPU:
//! the server's own, from the operating system, at depth 16 from 50 connections, one worker; medians
//! of five interleaved rounds. How long a command on a collection of 10 M members holds its lock: its
//! time in the slow log. Loading: an RDB file of 5 M mixed keys. `-- memory`, `-- cpu`, `-- locks`
//! and `-- load` measure that alone; `-- quick` is a smoke test; `-- only WORD` takes the rows that
//! have the word in their name. `-- beside PATH` measures one more server's CPU in the same rounds,
//! a newer Redis or Valkey; it may be given more than once.
#![allow(clippy::print_stdout, reason = "the results")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod support;

use std::io::Write;

use support::{Client, Server, command, median};

/// Commands in one write.
const BATCH: usize = 1000;

/// A pseudo-random number that follows from another (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number of a permutation of 0 to `count`.
fn shuffled(number: usize, count: usize) -> usize {
    // A step without a common divisor with the count visits every number once.
    let mut step = count / 2 + 1 + (random(count as u64) % 1000) as usize;
    while gcd(step, count) != 1 {
        step += 1;
    }
    (number as u128 * step as u128 % count as u128) as usize
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Makes the commands that add a number's part of the data.
type Fill = fn(number: usize, count: usize) -> Vec<String>;

/// A case of memory: what is added, how many times, and how many bytes each may take.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    count: usize,
    bytes_max: f64,
    fill: Fill,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn numbered(head: &[&str], count: usize, name: impl Fn(usize) -> Vec<String>) -> Vec<String> {
    let mut all = words(head);
    (0..count).for_each(|number| all.extend(name(number)));
    all
}

const CASES: &[Case] = &[
    Case {
        name: "sorted set of integers, in order",
        count: 1_000_000,
        bytes_max: 34.0,
        fill: |number, _| words(&["ZADD", "z", &number.to_string(), &number.to_string()]),
    },
    Case {
        name: "sorted set of 20-byte members, random order",
        count: 1_000_000,
        bytes_max: 52.0,
        fill: |number, count| {
            let score = random(number as u64) as f64 / 1e6;
            let member = format!("member:{:013}", shuffled(number, count));
            words(&["ZADD", "z", &score.to_string(), &member])
        },
    },
    Case {
        name: "hash of 16-byte fields and values",
        count: 1_000_000,
        bytes_max: 60.0,
        fill: |number, _| {
            words(&["HSET", "h", &format!("field:{number:010}"), &format!("value:{number:010}")])
        },
    },
    Case {
        name: "set of 16-byte members",
        count: 1_000_000,
        bytes_max: 43.0,
        fill: |number, _| words(&["SADD", "s", &format!("member:{number:09}")]),
    },
    Case {
        name: "list of 16-byte elements",
        count: 1_000_000,
        bytes_max: 18.2,
        fill: |number, _| words(&["RPUSH", "l", &format!("element:{number:08}")]),
    },
    Case {
        name: "stream",
        count: 1_000_000,
        bytes_max: 21.2,
        fill: |number, _| {
            let id = format!("{}-{}", 1_700_000_000_000_u64 + number as u64 / 10, number % 10);
            let sensor = format!("s{:04}", number % 1000);
            words(&["XADD", "x", &id, "sensor", &sensor, "value", &(number % 500).to_string()])
        },
    },
    Case {
        name: "hashes of 5 fields",
        count: 100_000,
        bytes_max: 125.0,
        fill: |number, _| {
            words(&[
                "HSET",
                &format!("user:{number:09}"),
                "name",
                &format!("name-{number}"),
                "age",
                &(number % 90).to_string(),
                "city",
                &format!("city-{}", number % 500),
                "score",
                &(number % 10_000).to_string(),
                "seen",
                &(1_700_000_000 + number).to_string(),
            ])
        },
    },
    Case {
        name: "sorted sets of 20",
        count: 100_000,
        bytes_max: 333.0,
        fill: |number, _| {
            let member = |nth: usize| {
                let seed = (number * 20 + nth) as u64;
                vec![
                    (random(seed) % 10_000).to_string(),
                    format!("m{:06}", random(seed) % 1_000_000),
                ]
            };
            numbered(&["ZADD", &format!("board:{number:08}")], 20, member)
        },
    },
    Case {
        name: "sets of 10 words",
        count: 100_000,
        bytes_max: 172.0,
        fill: |number, _| {
            let word = |nth: usize| vec![format!("tag-{:05}", (number * 7 + nth * 31) % 100_000)];
            numbered(&["SADD", &format!("tags:{number:09}")], 10, word)
        },
    },
    Case {
        name: "sets of 10 integers",
        count: 100_000,
        bytes_max: 92.0,
        fill: |number, _| {
            let id = |nth: usize| vec![(number * 10 + nth).to_string()];
            numbered(&["SADD", &format!("ids:{number:010}")], 10, id)
        },
    },
    Case {
        name: "lists of 10",
        count: 100_000,
        bytes_max: 205.0,
        fill: |number, _| {
            let job = |nth: usize| vec![format!("job-{:08}", number * 10 + nth)];
            numbered(&["RPUSH", &format!("queue:{number:08}")], 10, job)
        },
    },
    Case {
        name: "strings with an expiry",
        count: 500_000,
        bytes_max: 76.0,
        fill: |number, _| {
            let (key, value) = (format!("session:{number:08}"), format!("value:{number:010}"));
            words(&["SET", &key, &value, "EX", "100000"])
        },
    },
];

/// Sends the commands of all numbers below a count.
fn fill(server: &Server, count: usize, make: impl Fn(usize) -> Vec<String>) {
    let mut client = server.connect();
    for start in (0..count).step_by(BATCH) {
        let mut bytes = Vec::new();
        let end = (start + BATCH).min(count);
        for number in start..end {
            let words = make(number);
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            command(&mut bytes, &words);
        }
        client.writer.write_all(&bytes).expect("it reads");
        for _ in start..end {
            skip_reply(&mut client);
        }
    }
}

/// Reads one reply, which must be no error.
fn skip_reply(client: &mut Client) {
    let line = client.line();
    assert!(!line.starts_with('-'), "{line}");
    match line.split_at(1) {
        ("$", len) if len != "-1" => drop(client.line()),
        ("*", len) if len != "-1" => {
            (0..len.parse().expect("a length")).for_each(|_: usize| skip_reply(client));
        }
        _ => {}
    }
}

/// Bytes per unit, mean over four counts.
fn bytes_each(start: fn() -> Server, case: &Case, count: usize) -> f64 {
    let counts = [count, count * 5 / 4, count * 3 / 2, count * 7 / 4];
    let each = counts.map(|count| {
        let server = start();
        let mut client = server.connect();
        let before = client.info("memory", "used_memory");
        fill(&server, count, |number| (case.fill)(number, count));
        (client.info("memory", "used_memory") - before) as f64 / count as f64
    });
    each.iter().sum::<f64>() / each.len() as f64
}

fn memory(divisor: usize, wanted: &dyn Fn(&str) -> bool) {
    println!("\n| bytes per member or key | Redis 7.0.15 | limpid | at most |\n|---|---|---|---|");
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        let count = case.count / divisor;
        let redis = bytes_each(|| Server::redis(&[]), case, count);
        let limpid = bytes_each(|| Server::limpid(1, &[]), case, count);
        println!("| {} | {redis:.1} | {limpid:.1} | {:.1} |", case.name, case.bytes_max);
    }
}

/// A load: the command, its keyspace of random numbers, and what it needs before each round.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    requests: usize,
    numbers: usize,
    command: &'static str,
    prepare: &'static [&'static str],
    /// Number of elements that a preparing command with `#` makes.
    elements: usize,
}

const fn load(name: &'static str, numbers: usize, command: &'static str) -> Load {
    Load { name, requests: 1_000_000, numbers, command, prepare: &[], elements: 0 }
}

impl Load {
    const fn on(mut self, prepare: &'static [&'static str], elements: usize) -> Self {
        self.prepare = prepare;
        self.elements = elements;
        self
    }

    const fn requests(mut self, requests: usize) -> Self {
        self.requests = requests;
        self
    }
}

const LOADS: &[Load] = &[
    load("INCR", 100_000, "INCR counter:__rand_int__"),
    load(
        "MSET of 10",
        100_000,
        "MSET a:__rand_int__ v b:__rand_int__ v c:__rand_int__ v d:__rand_int__ v e:__rand_int__ v \
         f:__rand_int__ v g:__rand_int__ v h:__rand_int__ v i:__rand_int__ v j:__rand_int__ v",
    )
    .requests(300_000),
    load("LPUSH", 1, "LPUSH l element:00000001"),
    load("LPOP", 1, "LPOP l").on(&["RPUSH l element:#"], 1_000_000),
    load("RPOPLPUSH", 1, "RPOPLPUSH l l").on(&["RPUSH l element:#"], 100_000),
    load("LRANGE 100", 1, "LRANGE l 0 99").on(&["RPUSH l element:#"], 10_000).requests(200_000),
    load("SADD", 1_000_000, "SADD s member:__rand_int__"),
    load("SPOP", 1, "SPOP s").on(&["SADD s member:#"], 1_000_000),
    load("SISMEMBER", 1_000_000, "SISMEMBER s member:__rand_int__")
        .on(&["SADD s member:#"], 1_000_000),
    load("HSET", 1_000_000, "HSET h field:__rand_int__ value:0000000001"),
    load("HGET", 1_000_000, "HGET h field:__rand_int__").on(&["HSET h field:# value:#"], 1_000_000),
    load("HGETALL of 20", 1, "HGETALL h").on(&["HSET h field:# value:#"], 20).requests(400_000),
    load("ZADD", 1_000_000, "ZADD z __rand_int__ member:__rand_int__"),
    load("ZRANK", 1_000_000, "ZRANK z member:__rand_int__").on(&["ZADD z # member:#"], 1_000_000),
    load("ZRANGE 100", 1, "ZRANGE z 1000 1099")
        .on(&["ZADD z # member:#"], 100_000)
        .requests(200_000),
    load("ZPOPMIN", 1, "ZPOPMIN z").on(&["ZADD z # member:#"], 1_000_000),
    load("XADD", 1_000_000, "XADD x * sensor s__rand_int__ value 17"),
    load("XREAD", 1, "XREAD COUNT 10 STREAMS x 0")
        .on(&["XADD x 1-# sensor s1 value 17"], 10_000)
        .requests(400_000),
    load(
        "EVAL of SET and GET",
        100_000,
        "EVAL redis.call('SET',KEYS[1],ARGV[1])return(redis.call('GET',KEYS[1])) 1 \
         key:__rand_int__ value:0000000001",
    )
    .requests(400_000),
];

/// Prepares a load's data.
fn prepare(server: &Server, load: &Load) {
    server.connect().ask(&["FLUSHALL"]);
    for line in load.prepare {
        fill(server, load.elements, |number| {
            // Stream ids begin at 1.
            let number = format!("{:012}", number + usize::from(line.starts_with("XADD")));
            line.split(' ').map(|word| word.replace('#', &number)).collect()
        });
    }
}

/// CPU in microseconds per request, and requests per second.
fn measure(server: &Server, load: &Load, divisor: usize) -> (f64, f64) {
    prepare(server, load);
    let requests = load.requests / divisor;
    let before = server.cpu_nanos();
    let rate = server.load_command(load.command, 16, requests, load.numbers);
    ((server.cpu_nanos() - before) as f64 / 1000.0 / requests as f64, rate)
}

/// The same for MULTI, four commands and EXEC, sixteen transactions at a time.
fn measure_transactions(server: &Server, divisor: usize) -> (f64, f64) {
    const CLIENTS: usize = 50;
    let rounds = 200_000 / divisor / 16 / CLIENTS;
    let requests = rounds * 16 * CLIENTS;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    let mut bytes = Vec::new();
    for _ in 0..16 {
        command(&mut bytes, &[b"MULTI"]);
        command(&mut bytes, &[b"INCR", b"counter"]);
        command(&mut bytes, &[b"SET", b"key:000000000001", b"value:0000000001"]);
        command(&mut bytes, &[b"GET", b"key:000000000001"]);
        command(&mut bytes, &[b"INCR", b"counter:2"]);
        command(&mut bytes, &[b"EXEC"]);
    }
    let (before, began) = (server.cpu_nanos(), std::time::Instant::now());
    for _ in 0..rounds {
        for client in &mut clients {
            client.writer.write_all(&bytes).expect("it reads");
        }
        for client in &mut clients {
            (0..16 * 6).for_each(|_| skip_reply(client));
        }
    }
    let cpu = (server.cpu_nanos() - before) as f64 / 1000.0 / requests as f64;
    (cpu, requests as f64 / began.elapsed().as_secs_f64())
}

/// Microseconds of processor time per request, and requests per second.
type Measured = (f64, f64);

/// Redis, limpid, and what is measured beside them.
fn cpu(rounds: usize, divisor: usize, beside: &[&str], wanted: &dyn Fn(&str) -> bool) {
    let mut servers = vec![Server::redis(&[]), Server::limpid(1, &[])];
    servers.extend(beside.iter().map(|program| Server::rival(program)));
    print!("\n| depth 16 | Redis µs CPU | limpid µs CPU | ratio | Redis req/s | limpid req/s |");
    beside.iter().for_each(|program| print!(" {program} µs CPU | limpid's ratio |"));
    println!("\n|---|---|---|---|---|---|{}", "---|---|".repeat(beside.len()));
    let show = |name: &str, measure: &dyn Fn(&Server) -> Measured| {
        let round = |_| servers.iter().map(measure).collect();
        let rounds: Vec<Vec<Measured>> = (0..rounds).map(round).collect();
        let of = |pick: &dyn Fn(&[Measured]) -> f64| {
            median(rounds.iter().map(|round| pick(round)).collect())
        };
        print!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            of(&|round| round[0].0),
            of(&|round| round[1].0),
            of(&|round| round[1].0 / round[0].0),
            of(&|round| round[0].1),
            of(&|round| round[1].1),
        );
        for at in 2..servers.len() {
            print!(" {:.2} | {:.2} |", of(&|all| all[at].0), of(&|all| all[1].0 / all[at].0));
        }
        println!();
    };
    for load in LOADS.iter().filter(|load| wanted(load.name)) {
        show(load.name, &|server| measure(server, load, divisor));
    }
    if wanted("MULTI of 4") {
        show("MULTI of 4", &|server| measure_transactions(server, divisor));
    }
}

/// How the members of a large collection are added, and commands on it. `#` is a number.
const LARGE: &[(&str, &str, &[&str])] = &[
    ("list", "RPUSH big element:#", &["LPUSH big x", "LSET big 5000000 x", "LPOP big"]),
    ("set", "SADD big member:#", &["SADD big x", "SREM big x", "SPOP big", "SRANDMEMBER big"]),
    ("hash", "HSET big field:# #", &["HSET big x 1", "HDEL big x", "HRANDFIELD big"]),
    (
        "sorted set",
        "ZADD big # member:#",
        &["ZADD big 7 x", "ZRANK big x", "ZREM big x", "ZPOPMIN big"],
    ),
    ("stream", "XADD big 1-# field #", &["XADD big * a 1", "XLEN big"]),
];

/// Microseconds that a command took in the server.
fn timed(client: &mut Client, line: &str) -> u64 {
    client.ask(&["SLOWLOG", "RESET"]);
    let words: Vec<&str> = line.split(' ').collect();
    let mut bytes = Vec::new();
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    command(&mut bytes, &args);
    client.writer.write_all(&bytes).expect("it reads");
    skip_reply(client);
    let mut bytes = Vec::new();
    command(&mut bytes, &[b"SLOWLOG", b"GET", b"10"]);
    client.writer.write_all(&bytes).expect("it reads");
    let entries: usize = client.line()[1..].parse().expect("an array");
    let mut micros = 0;
    for _ in 0..entries {
        assert_eq!(client.line(), "*6");
        let lines: Vec<String> = (0..3).map(|_| client.line()).collect();
        let mut name = String::new();
        let count: usize = client.line()[1..].parse().expect("arguments");
        for at in 0..count {
            client.line();
            let word = client.line();
            if at == 0 {
                name = word;
            }
        }
        (0..4).for_each(|_| drop(client.line()));
        if name.eq_ignore_ascii_case(words[0]) {
            micros = lines[2][1..].parse().expect("microseconds");
        }
    }
    micros
}

fn locks(divisor: usize, wanted: &dyn Fn(&str) -> bool) {
    let members = 10_000_000 / divisor;
    println!("\n| {members} members | command | µs in the server |\n|---|---|---|");
    for (kind, add, commands) in LARGE.iter().filter(|(kind, ..)| wanted(kind)) {
        let server = Server::limpid(2, &["--slowlog-log-slower-than", "0"]);
        fill(&server, members, |number| {
            let number = format!("{:012}", number + 1);
            add.split(' ').map(|word| word.replace('#', &number)).collect()
        });
        let mut client = server.connect();
        let show = |what: &str, micros: u64| println!("| {kind} | {what} | {micros} |");
        for line in *commands {
            show(line, timed(&mut client, line));
        }
        client.ask(&["BGSAVE"]);
        let line = commands[0];
        show(&format!("{line}, first after BGSAVE began"), timed(&mut client, line));
        support::wait_for("the save", || client.info("persistence", "rdb_bgsave_in_progress") == 0);
        for line in ["COPY big copy", "RENAME big large", "UNLINK copy", "FLUSHALL"] {
            show(line, timed(&mut client, line));
        }
    }
}

/// Fills a server with mixed keys, saves, and measures how long either server takes to load that.
fn load_time(divisor: usize) {
    let keys = 5_000_000 / divisor;
    let source = Server::limpid(2, &[]);
    fill(&source, keys, |number| {
        let key = format!("key:{number:09}");
        match number % 10 {
            0..6 => words(&["SET", &key, &format!("value:{number:010}")]),
            6 => {
                numbered(&["HSET", &key], 5, |nth| vec![format!("field-{nth}"), number.to_string()])
            }
            7 => numbered(&["RPUSH", &key], 8, |nth| vec![format!("job-{nth}-{number}")]),
            8 => numbered(&["SADD", &key], 8, |nth| vec![format!("tag-{nth}-{number}")]),
            _ => numbered(&["ZADD", &key], 8, |nth| vec![nth.to_string(), format!("m{number}")]),
        }
    });
    source.connect().ask(&["SAVE"]);
    let file = source.folder().join("dump.rdb");
    let load = |start: &dyn Fn(&[&str]) -> Server| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(&file, folder.path().join("dump.rdb")).expect("a copy");
        let began = std::time::Instant::now();
        let server = start(&["--dir", folder.path().to_str().expect("a path")]);
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(server.connect().ask(&["DBSIZE"]), format!(":{keys}"));
        seconds
    };
    println!("\n| load {keys} mixed keys | seconds |\n|---|---|");
    for round in 0..3 {
        let redis = load(&|arguments| Server::redis(arguments));
        let limpid = load(&|arguments| Server::limpid(2, arguments));
        println!(
            "| round {round}: Redis, limpid, ratio | {redis:.2}, {limpid:.2}, {:.2} |",
            limpid / redis
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |word: &str| arguments.iter().any(|argument| argument == word);
    let only = arguments.iter().position(|argument| argument == "only");
    let only = only.and_then(|at| arguments.get(at + 1)).map(String::as_str);
    let wanted = |name: &str| only.is_none_or(|word| name.contains(word));
    let (rounds, divisor) = if given("quick") { (1, 10) } else { (5, 1) };
    let parts = ["cpu", "memory", "locks", "load"];
    let all = !parts.iter().any(|part| given(part));
    if all || given("cpu") {
        let beside = arguments.windows(2).filter(|pair| pair[0] == "beside");
        let beside: Vec<&str> = beside.map(|pair| pair[1].as_str()).collect();
        cpu(rounds, divisor, &beside, &wanted);
    }
    if all || given("memory") {
        memory(divisor, &wanted);
    }
    if all || given("locks") {
        locks(divisor, &wanted);
    }
    if all || given("load") {
        load_time(divisor);
    }
}

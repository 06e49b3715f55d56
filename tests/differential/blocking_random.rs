//! Scripts of [`blocking`](crate::blocking) that are drawn.

use crate::random::Random;

const BLOCKERS: &[char] = &['a', 'b', 'c', 'd', 'e'];
const STEPS: usize = 40;

/// Clients that wait without a timeout, among writers; in the end all are released. Without SWAPDB:
/// Redis serves the keys that it makes ready in the order of a table with a random seed.
pub(crate) fn random_script(random: &mut Random) -> Vec<String> {
    let mut steps = Vec::new();
    let mut clock = 1;
    for _ in 0..STEPS {
        let step = match random.below(12) {
            0..6 => {
                let client = *random.pick(BLOCKERS);
                format!("{client}? {}", waiting(random, clock))
            }
            6..11 => format!("{} {}", random.pick(&['p', 'q']), writing(random, &mut clock)),
            _ => {
                let commands: Vec<String> =
                    (0..random.between(1, 5)).map(|_| writing(random, &mut clock)).collect();
                format!("{} MULTI ; {} ; EXEC", random.pick(&['p', 'q']), commands.join(" ; "))
            }
        };
        steps.push(step);
    }
    for client in BLOCKERS {
        let way = if random.percent(50) { "TIMEOUT" } else { "ERROR" };
        steps.push(format!("p CLIENT UNBLOCK @{client} {way}"));
    }
    steps
}

fn list(random: &mut Random) -> String {
    key(random, "l")
}

/// A key of a type's own, or seldom of another's.
fn key(random: &mut Random, of: &str) -> String {
    let of = if random.percent(6) { *random.pick(&["l", "z", "s"]) } else { of };
    format!("{of}{}", random.below(3))
}

fn keys(random: &mut Random, of: &str) -> String {
    let keys: Vec<String> = (0..random.between(1, 3)).map(|_| key(random, of)).collect();
    keys.join(" ")
}

fn end(random: &mut Random) -> &'static str {
    if random.percent(50) { "LEFT" } else { "RIGHT" }
}

fn counted(random: &mut Random, of: &str) -> String {
    let keys = keys(random, of);
    format!("{} {keys}", keys.split(' ').count())
}

fn waiting(random: &mut Random, clock: usize) -> String {
    let id = match random.below(4) {
        0 => "0".to_owned(),
        1 => format!("{}-0", clock + random.below(3)),
        _ => "$".to_owned(),
    };
    match random.below(12) {
        0 => format!("BLPOP {} 0", keys(random, "l")),
        1 => format!("BRPOP {} 0", keys(random, "l")),
        2 | 3 => {
            let (source, target) = (list(random), list(random));
            format!("BLMOVE {source} {target} {} {} 0", end(random), end(random))
        }
        4 => format!("BRPOPLPUSH {} {} 0", list(random), list(random)),
        5 => {
            let keys = counted(random, "l");
            format!("BLMPOP 0 {keys} {} COUNT {}", end(random), random.between(1, 3))
        }
        6 => format!("BZPOPMIN {} 0", keys(random, "z")),
        7 => format!("BZPOPMAX {} 0", keys(random, "z")),
        8 => {
            let keys = counted(random, "z");
            let side = *random.pick(&["MIN", "MAX"]);
            format!("BZMPOP 0 {keys} {side} COUNT {}", random.between(1, 3))
        }
        9 => format!("XREAD BLOCK 0 STREAMS {} {id}", key(random, "s")),
        10 => {
            let (one, other) = (key(random, "s"), key(random, "s"));
            format!("XREAD COUNT 2 BLOCK 0 STREAMS {one} {other} {id} $")
        }
        _ => {
            let consumer = *random.pick(&["alice", "bob"]);
            format!("XREADGROUP GROUP g {consumer} BLOCK 0 STREAMS {} >", key(random, "s"))
        }
    }
}

fn writing(random: &mut Random, clock: &mut usize) -> String {
    let values: Vec<String> =
        (0..random.between(1, 4)).map(|_| random.below(100).to_string()).collect();
    let values = values.join(" ");
    let of = *random.pick(&["l", "z", "s"]);
    let (one, other) = (key(random, of), key(random, of));
    match random.below(40) {
        0..6 => format!("{} {} {values}", random.pick(&["LPUSH", "RPUSH"]), list(random)),
        6 | 7 => format!("LMOVE {} {} {} {}", list(random), list(random), end(random), end(random)),
        8 => format!("{} {}", random.pick(&["LPOP", "RPOP"]), list(random)),
        9..14 => {
            let score = random.below(20);
            format!("ZADD {} {score} {} {} x", key(random, "z"), random.below(9), random.below(20))
        }
        14 => format!("ZINCRBY {} 2 m", key(random, "z")),
        15 => format!("ZUNIONSTORE {} 2 {} {}", one, key(random, "z"), key(random, "z")),
        16..22 => {
            *clock += random.below(3);
            format!("XADD {} {clock}-* f {}", key(random, "s"), random.below(100))
        }
        22..25 => format!("XGROUP CREATE {} g $ MKSTREAM", key(random, "s")),
        25 => format!("XGROUP DESTROY {} g", key(random, "s")),
        26 => format!("XTRIM {} MAXLEN 1", key(random, "s")),
        27 => format!("DEL {one}"),
        28 => format!("UNLINK {one} {other}"),
        29 => format!("RENAME {one} {other}"),
        30 => format!("COPY {one} {other} REPLACE"),
        31 => format!("SET {one} text"),
        32 => format!("SORT {} ALPHA STORE {one}", list(random)),
        33 | 34 => format!("MOVE {one} 1"),
        35 => format!("PEXPIRE {one} -1"),
        36 => format!("CLIENT UNBLOCK @{}", random.pick(BLOCKERS)),
        37 => format!("LRANGE {} 0 -1", list(random)),
        38 => format!("SELECT {}", random.below(2)),
        _ => format!("EXISTS {one} {other}"),
    }
}

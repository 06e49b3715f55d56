//! The corpus: scripts with what a redis-server 7.0.15 answered to each.

use bstr::BStr;

use crate::scripting::sha::sha1_hex;

const CASES: [&str; 6] = [
    include_str!("cases/values.lua"),
    include_str!("cases/errors.lua"),
    include_str!("cases/sandbox.lua"),
    include_str!("cases/language.lua"),
    include_str!("cases/shebangs.lua"),
    include_str!("cases/functions.lua"),
];

/// What a case asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    Eval,
    /// FUNCTION LOAD, then FCALL of `function` if there is one.
    Library {
        function: Option<&'a [u8]>,
    },
}

/// A script or library with its input.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) body: &'a [u8],
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) args: Vec<&'a [u8]>,
    /// Whether the client speaks RESP3.
    pub(super) three: bool,
    /// Whether the script may call DEBUG.
    pub(super) debug: bool,
}

/// Reads all cases. Each begins with a line `--@ kind options…`, where the kind is `eval` or
/// `library`, and options are `3` (the client speaks RESP3), `debug`,
/// `fcall=name`, `keys=a,b`, `args=a,b`.
pub(super) fn cases() -> Vec<Case<'static>> {
    CASES.iter().flat_map(|text| text.split("--@ ").skip(1)).map(case).collect()
}

fn case(text: &'static str) -> Case<'static> {
    let (head, body) = text.split_once('\n').unwrap();
    let mut words = head.split_whitespace();
    let mut case = Case {
        kind: match words.next().unwrap() {
            "eval" => Kind::Eval,
            "library" => Kind::Library { function: None },
            kind => panic!("{kind} is no kind of case"),
        },
        body: body.strip_suffix('\n').unwrap_or(body).as_bytes(),
        keys: Vec::new(),
        args: Vec::new(),
        three: false,
        debug: false,
    };
    for option in words {
        match option.split_once('=') {
            Some(("fcall", name)) => case.kind = Kind::Library { function: Some(name.as_bytes()) },
            Some(("keys", keys)) => case.keys = keys.split(',').map(str::as_bytes).collect(),
            Some(("args", args)) => case.args = args.split(',').map(str::as_bytes).collect(),
            None if option == "3" => case.three = true,
            None if option == "debug" => case.debug = true,
            _ => panic!("{option} is no option"),
        }
    }
    case
}

const EXPECTED: &str = include_str!("cases/expected.txt");

/// The recorded replies, in the order of the cases, one escaped line each.
pub(super) fn expected() -> Vec<&'static str> {
    EXPECTED.lines().collect()
}

/// What was recorded for the random programs of each seed from 0.
pub(super) fn expected_of_programs() -> Vec<&'static str> {
    include_str!("cases/programs.txt").lines().collect()
}

/// Replies longer than this are recorded by their hash, in bytes.
const RECORDED_MAX: usize = 1500;

/// A reply as one line of text.
pub(super) fn escaped(reply: &[u8]) -> String {
    if reply.len() > RECORDED_MAX {
        return format!("{} bytes, SHA-1 {}", reply.len(), BStr::new(&sha1_hex(reply)));
    }
    reply.escape_ascii().to_string()
}

//! Users declared in a configuration file: whether a real server starts, with which users, and
//! what it says if not.

use std::io::Read;
use std::process::{Command, Stdio};

use super::draw::Draw;
use super::real::{Real, Reply, Rows};
use super::{NAMES, setting, slices, sorted};
use crate::acl::rules::split_rules;
use crate::acl::{Basis, Commands, Declarations, PubsubDefault, Users};

/// What a server does with these lines: its users, or what it said before it ended.
fn started(dir: &std::path::Path, lines: &[Vec<u8>]) -> Result<(Vec<String>, Vec<u8>), Vec<u8>> {
    let (conf, log) = (dir.join("redis.conf"), dir.join("log"));
    let port = Real::free_port();
    let settings = format!("port {port}\nbind 127.0.0.1\nsave \"\"\n");
    std::fs::write(&conf, [settings.as_bytes(), &lines.join(&b'\n')].concat()).unwrap();
    let output = std::fs::File::create(&log).unwrap();
    let mut process = Command::new("redis-server")
        .arg(conf)
        .stderr(Stdio::from(output.try_clone().unwrap()))
        .stdout(Stdio::from(output))
        .spawn()
        .unwrap();
    let said = || {
        let mut said = Vec::new();
        std::fs::File::open(&log).unwrap().read_to_end(&mut said).unwrap();
        said
    };
    for _ in 0..1_000 {
        if process.try_wait().unwrap().is_some() {
            return Err(said());
        }
        // A server listens before it loads its users, and may yet end: then it answers nothing.
        if let Some(mut connection) = Real::try_connect(port)
            && let Reply::Array(lines) = connection.words("ACL LIST")
        {
            process.kill().unwrap();
            process.wait().unwrap();
            return Ok((lines.iter().map(|line| sorted(line.bytes())).collect(), said()));
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    panic!("neither ends nor answers: {}", String::from_utf8_lossy(&said()));
}

/// The users' lines and the notices, or the error.
type Declared = Result<(Vec<String>, Vec<Vec<u8>>), Vec<u8>>;

/// `None` if quotes do not match, which the reader of the file refuses.
fn declared(lines: &[Vec<u8>], basis: &Basis<'_>) -> Option<Declared> {
    let mut declarations = Declarations::default();
    for line in lines {
        let words = split_rules(line)?;
        if let Err(error) = declarations.add(&words[1], &slices(&words[2..]), basis) {
            return Some(Err(error));
        }
    }
    Some(declarations.apply(&Users::new(basis), basis).map(|(users, notices)| {
        (users.lines(basis.commands).iter().map(|line| sorted(line)).collect(), notices)
    }))
}

#[test]
#[ignore = "needs a real server"]
fn declared_users_are_as_in_redis() {
    let real = Real::start();
    let rows = Rows::fetch(&mut real.connect());
    let commands = Commands::new(&rows);
    let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
    let mut draw = Draw(setting("ACL_SEED", 1));
    let (mut starts, mut compared, mut refusals) = (0, 0, 0);
    for _ in 0..300 {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for _ in 0..=draw.below(3) {
            let rules = draw.rules(&rows);
            let name = draw.of(&[NAMES, &["\"a b\""]].concat());
            lines.push([format!("user {name} ").into_bytes(), rules.join(&b' ')].concat());
        }
        // A default user who may list the others.
        lines.push(b"user default on nopass +@all".to_vec());
        if lines.iter().flatten().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            continue;
        }
        let Some(ours) = declared(&lines, &basis) else { continue };
        let contains = |said: &[u8], text: &[u8]| said.windows(text.len()).any(|at| at == text);
        let text = String::from_utf8_lossy(&lines.join(&b'\n')).into_owned();
        match (started(real.dir.path(), &lines), ours) {
            (Ok((users, said)), Ok((lines, notices))) => {
                starts += 1;
                compared += users.len();
                assert_eq!(users, lines, "{text}");
                assert!(notices.iter().all(|notice| contains(&said, notice)), "{text}");
            }
            (Err(said), Err(error)) => {
                refusals += 1;
                let said_text = String::from_utf8_lossy(&said);
                let error_text = String::from_utf8_lossy(&error);
                assert!(contains(&said, &error), "{text}\n{said_text}\n{error_text}");
            }
            (real, ours) => panic!("{text}\n{real:?}\n{ours:?}"),
        }
    }
    println!("{starts} starts with {compared} users, {refusals} refusals");
    assert!(starts > 20 && refusals > 20);
}

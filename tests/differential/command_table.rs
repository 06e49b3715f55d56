//! Every command that limpid lists and Redis has: the whole reply of COMMAND INFO.

use crate::command_form::{FIELDS, NAME, SUBCOMMANDS, sorted_command_infos};
use crate::exceptions::{is_uncommon, is_uncommon_name};
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{session::ARGS, subject};

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn command_info_says_what_redis_says() {
    let reference = Server::redis(ARGS);
    let subject = Server::start(subject(), ARGS);
    let mut differences = Vec::new();
    for name in names(&subject) {
        let ask = |server: &Server| {
            let reply = server.call(&[b"COMMAND", b"INFO", &name]).unwrap();
            sorted_command_infos(reply).items().and_then(|mut infos| infos.pop())
        };
        let shown = String::from_utf8_lossy(&name).into_owned();
        match (ask(&reference), ask(&subject)) {
            (Some(Reply::Array(left)), Some(Reply::Array(right))) => {
                compare(&shown, &left, &right, &mut differences);
            }
            (left, right) => differences.push(format!("{shown}: {left:?} and {right:?}")),
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

/// COMMAND LIST without what Redis 7.0 lacks, and without subcommands: their containers include them.
fn names(server: &Server) -> Vec<Vec<u8>> {
    let listed = server.call(&[b"COMMAND", b"LIST"]).unwrap().items().unwrap();
    let mut names: Vec<_> = listed.iter().map(|name| name.text().unwrap().to_vec()).collect();
    names.retain(|name| !name.contains(&b'|') && !is_uncommon_name(name));
    names.sort();
    assert!(!names.is_empty(), "no commands are listed");
    names
}

fn compare(name: &str, left: &[Reply], right: &[Reply], differences: &mut Vec<String>) {
    if left.len() != right.len() {
        differences.push(format!("{name}: {} and {} fields", left.len(), right.len()));
    }
    for (index, (left, right)) in left.iter().zip(right).enumerate() {
        let field = FIELDS.get(index).copied().unwrap_or("a further field");
        if index == SUBCOMMANDS {
            compare_subcommands(name, left, right, differences);
        } else if left != right {
            differences.push(format!("{name}, {field}:\n  {left}\n  {right}"));
        }
    }
}

/// Both must have the same subcommands, except for the excepted ones, with the same descriptions.
fn compare_subcommands(name: &str, left: &Reply, right: &Reply, differences: &mut Vec<String>) {
    let infos = |reply: &Reply| -> Vec<Vec<Reply>> {
        reply.items().unwrap_or_default().iter().filter_map(Reply::items).collect()
    };
    let (lefts, rights) = (infos(left), infos(right));
    let is_in = |infos: &[Vec<Reply>], name: &Reply| infos.iter().any(|info| info[NAME] == *name);
    let rights: Vec<_> = rights.into_iter().filter(|info| !is_uncommon(&info[NAME])).collect();
    for info in rights.iter().filter(|info| !is_in(&lefts, &info[NAME])) {
        differences.push(format!("{name}: Redis has no {}", info[NAME]));
    }
    for left in lefts.iter().filter(|info| !is_uncommon(&info[NAME])) {
        match rights.iter().find(|right| right[NAME] == left[NAME]) {
            Some(right) => compare(&format!("{}", left[NAME]), left, right, differences),
            None => differences.push(format!("{name}: without {}", left[NAME])),
        }
    }
}

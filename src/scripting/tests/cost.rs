//! What a script costs, beside the work of its host.

use std::hint::black_box;
use std::rc::Rc;

use super::wire::Wire;
use crate::scripting::{
    CallError, Environment, Host, Input, Interrupt, LogLevel, Propagation, Random, Resp, Scripts,
};

/// A host that does nothing: SET gives a status, all else a string.
struct Idle;

impl Host for Idle {
    fn call(&mut self, argv: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), CallError> {
        let status = argv[0] == b"SET";
        reply.extend_from_slice(if status { b"+OK\r\n" } else { b"$5\r\nvalue\r\n" });
        Ok(())
    }

    fn set_resp(&mut self, _: Resp) {}

    fn set_repl(&mut self, _: Propagation) {}

    fn acl_check_cmd(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn interrupted(&mut self) -> Option<Interrupt> {
        None
    }
}

#[test]
#[ignore = "measures; run it in a release build"]
fn cost_of_scripts() {
    let mut scripts = Scripts::new(Rc::new(Random::new()), Environment::default()).unwrap();
    let input = Input { keys: &[b"key:000001"], args: &[b"value"] };
    for (name, body, inner) in [
        ("empty", "return 1", 1),
        ("set and get", "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])", 1),
        ("array of 100", "local t = {} for i = 1, 100 do t[i] = 'v' end return t", 100),
        ("pcall", "for i = 1, 1000 do pcall(type, i) end", 1000),
        ("rawset", "local t = {} for i = 1, 1000 do rawset(t, 1, i) end", 1000),
        ("rawget", "local t = {} for i = 1, 1000 do rawget(t, 1) end", 1000),
        ("next", "local t = {} for i = 1, 1000 do next(t) end", 1000),
        ("insert", "local t = {} for i = 1, 1000 do table.insert(t, i) end", 1000),
        ("unpack", "local t = {1,2,3} for i = 1, 1000 do unpack(t) end", 1000),
        ("pairs", "local t = {} for i = 1, 1000 do pairs(t) end", 1000),
        ("rawequal", "local t = {} for i = 1, 1000 do rawequal(t, t) end", 1000),
        ("call", "for i = 1, 1000 do redis.call('GET', 'k') end", 1000),
    ] {
        let id = scripts.load(body.as_bytes()).unwrap();
        let rounds = 200_000 / inner;
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = cpu_ns();
            for _ in 0..rounds {
                let mut wire = Wire::new(false);
                scripts.run(id, input, &mut Idle, black_box(&mut wire));
            }
            best = best.min((cpu_ns() - start) / f64::from(rounds));
        }
        println!("{name}: {best:.0} ns a run, {:.0} ns each", best / f64::from(inner));
    }
}

/// Processor time of the process, in ns.
fn cpu_ns() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let thread = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or(stat);
    thread.split_whitespace().next().unwrap().parse().unwrap()
}

//! The environment against what a redis-server 7.0.15 answered to the same scripts.

mod behaviour;
mod corpus;
mod cost;
mod deprecated;
mod direct;
mod programs;
mod store;
mod wire;

use corpus::{Case, Kind, cases, escaped, expected, expected_of_programs};
use wire::{Ours, Theirs};

/// Random programs whose answers are recorded.
const PROGRAMS: u64 = 400;

#[test]
fn scripts_answer_as_recorded_from_redis() {
    let (cases, expected) = (cases(), expected());
    assert_eq!(cases.len(), expected.len());
    let mut ours = Ours::new();
    let pairs = cases.iter().zip(expected);
    let failures: String =
        pairs.filter_map(|(case, expected)| difference(&mut ours, case, expected)).collect();
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn random_programs_answer_as_recorded_from_redis() {
    let expected = expected_of_programs();
    assert_eq!(expected.len() as u64, PROGRAMS);
    let mut ours = Ours::new();
    let failures: String = (0..PROGRAMS)
        .zip(expected)
        .filter_map(|(seed, expected)| {
            let body = programs::program(seed);
            difference(&mut ours, &program_case(&body), expected)
        })
        .collect();
    assert!(failures.is_empty(), "{failures}");
}

/// Runs many more random programs here and by a redis-server 7.0.15 on port 21010.
#[test]
#[ignore = "needs redis-server 7.0.15; takes a minute"]
fn random_programs_answer_as_redis_does() {
    let (mut ours, mut theirs) = (Ours::new(), Theirs::start(21010));
    let mut failures = String::new();
    for seed in 0..20_000 {
        let body = programs::program(seed);
        let case = program_case(&body);
        let expected = escaped(&theirs.answer(&case));
        let difference = difference(&mut ours, &case, &expected);
        failures.extend(difference.map(|text| format!("seed {seed}\n{text}")));
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The recorded answers are those of a redis-server 7.0.15 on port 21000. With `LIMPID_RECORD` in the
/// environment they are recorded anew.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn the_recorded_answers_are_those_of_redis() {
    let records = std::env::var_os("LIMPID_RECORD").is_some();
    let keep = |path: String, text: String| match records {
        true => std::fs::write(path, text).unwrap(),
        false => assert!(std::fs::read_to_string(&path).unwrap() == text, "{path}"),
    };
    let mut theirs = Theirs::start(21000);
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scripting/tests/cases");
    let lines: String = cases().iter().map(|case| escaped(&theirs.answer(case)) + "\n").collect();
    keep(format!("{directory}/expected.txt"), lines);
    let programs = (0..PROGRAMS).map(|seed| {
        let body = programs::program(seed);
        escaped(&theirs.answer(&program_case(&body))) + "\n"
    });
    keep(format!("{directory}/programs.txt"), programs.collect());
}

fn program_case(body: &str) -> Case<'_> {
    Case {
        kind: Kind::Eval,
        body: body.as_bytes(),
        keys: vec![b"k1", b"k2"],
        args: vec![b"v"],
        three: false,
        debug: false,
    }
}

/// Both answers and the script, if they differ.
fn difference(ours: &mut Ours, case: &Case<'_>, expected: &str) -> Option<String> {
    let answer = escaped(&ours.answer(case));
    let body = String::from_utf8_lossy(case.body);
    (answer != expected).then(|| format!("{body}\n  redis: {expected}\n  here:  {answer}\n\n"))
}

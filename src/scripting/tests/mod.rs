//! The environment against what a redis-server 7.0.15 answered to the same scripts.

mod corpus;
mod store;
mod wire;

use corpus::{cases, escaped, expected};
use wire::{Ours, Theirs};

#[test]
fn scripts_answer_as_recorded_from_redis() {
    let (cases, expected) = (cases(), expected());
    assert_eq!(cases.len(), expected.len());
    let mut ours = Ours::new();
    let mut failures = String::new();
    for (case, expected) in cases.iter().zip(&expected) {
        let answer = escaped(&ours.answer(case));
        if answer != *expected {
            let body = String::from_utf8_lossy(case.body);
            failures += &format!("{body}\n  redis: {expected}\n  here:  {answer}\n\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Records the replies of a redis-server 7.0.15 on port 21000.
#[test]
#[ignore = "writes cases/expected.txt; needs redis-server 7.0.15"]
fn record_the_answers_of_redis() {
    let mut theirs = Theirs::start(21000);
    let mut lines = String::new();
    for case in &cases() {
        lines += &escaped(&theirs.answer(case));
        lines.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scripting/tests/cases/expected.txt");
    std::fs::write(path, lines).unwrap();
}

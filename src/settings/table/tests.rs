use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::super::field::Field;
use super::super::kind::Kind;
use super::super::parameter::{Change, Exposure, Standing};
use super::super::values::Settings;
use super::{P, PARAMETERS};

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn names_and_aliases_are_unique_and_found() {
    let mut seen = HashSet::new();
    for parameter in PARAMETERS {
        for name in parameter.names() {
            assert!(seen.insert(name), "{name} is there twice");
            assert_eq!(name, name.to_ascii_lowercase());
            let found = P::named(&name.to_ascii_uppercase()).map(|found| found.name);
            assert_eq!(found, Some(parameter.name));
        }
    }
}

#[test]
fn variables_of_the_environment_are_unique() {
    let names = PARAMETERS.iter().flat_map(P::names);
    let mut seen = HashSet::new();
    for name in names {
        assert!(seen.insert(name.replace('-', "_")), "{name}");
    }
}

#[test]
fn each_default_is_canonical_and_is_what_settings_begin_with() {
    let settings = Settings::default();
    for parameter in PARAMETERS.iter().filter(|p| p.change != Change::FileOnly) {
        let words = parameter.default_words().unwrap();
        let canonical = parameter.kind.canonical(&words);
        assert_eq!(canonical.map(|w| w.join(" ")).as_deref(), Ok(parameter.default));
        if let Standing::Honoured(field) = parameter.standing {
            assert_eq!((field.text)(&settings), parameter.default, "{}", parameter.name);
        }
    }
}

#[test]
fn fields_hold_all_that_the_bounds_admit() {
    let mut settings = Settings::default();
    for parameter in PARAMETERS {
        let Standing::Honoured(field) = parameter.standing else {
            continue;
        };
        let bounds = match parameter.kind {
            Kind::Integer { min, max } => [min.to_string(), max.to_string()],
            Kind::Memory { min, max } => [min.to_string(), max.to_string()],
            Kind::FileMode => ["0".to_owned(), "777".to_owned()],
            Kind::Bool => ["yes".to_owned(), "no".to_owned()],
            Kind::Choice(names) => [names[0].to_owned(), names[names.len() - 1].to_owned()],
            _ => continue,
        };
        for bound in bounds {
            (field.assign)(&mut settings, &words(&[&bound])).unwrap();
            // Redis never keeps a backlog of less than 16 kB.
            let text = match (parameter.name, bound.as_str()) {
                ("repl-backlog-size", "1") => "16384".to_owned(),
                // Nor rounds of periodic work beyond what makes sense.
                ("hz", "0") => "1".to_owned(),
                ("hz", _) => "500".to_owned(),
                _ => bound,
            };
            assert_eq!((field.text)(&settings), text, "{}", parameter.name);
        }
    }
}

#[test]
fn each_row_says_what_it_is_for() {
    for parameter in PARAMETERS {
        let reason = match parameter.standing {
            Standing::Honoured(_) => parameter.description,
            Standing::Ignored(reason) | Standing::Refused { reason, .. } => reason,
        };
        assert!(!reason.is_empty() && !reason.ends_with('.'), "{}", parameter.name);
    }
}

#[test]
fn passwords_are_marked_and_not_shown_by_debug() {
    for name in ["requirepass", "masterauth", "masteruser", "tls-key-file-pass"] {
        assert_eq!(P::named(name).unwrap().exposure, Exposure::Secret);
    }
    let (settings, _) = Settings::default().set(&[(b"requirepass", b"hunter2")]).unwrap();
    assert_eq!(settings.security.requirepass.reveal(), Some("hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn settings_of_redis_that_promise_something_are_refused() {
    for (name, value) in [("loadmodule", "x.so"), ("cluster-enabled", "yes")] {
        let parameter = P::named(name).unwrap();
        let canonical = parameter.kind.canonical(&parameter.words_of_text(value)).unwrap();
        let reason = parameter.refusal(name, &canonical).unwrap();
        assert!(reason.starts_with(&format!("limpid cannot honour '{name}'")), "{reason}");
    }
}

/// The sources of all code that may read a setting, without comments, blanks and tests.
fn readers() -> Vec<String> {
    fn gather(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" && name != "settings" {
                gather(&path, found);
            } else if name.ends_with(".rs") && name != "tests.rs" && name != "fixture.rs" {
                let text = fs::read_to_string(&path).unwrap();
                found.push(without_blanks(text.split("#[cfg(test)]\nmod tests {").next().unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

fn without_blanks(code: &str) -> String {
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.flat_map(str::split_whitespace).collect()
}

/// Whether code has `.name` as a whole word.
fn has_field(code: &str, name: &str) -> bool {
    let dotted = format!(".{name}");
    code.match_indices(&dotted).any(|(at, _)| {
        let next = code[at + dotted.len()..].chars().next();
        next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
    })
}

#[test]
fn each_honoured_parameter_is_read_by_what_it_sets() {
    let readers = readers();
    assert!(readers.len() > 50);
    // Settings that methods of `Settings` read.
    let answers = without_blanks(include_str!("../values.rs"));
    for parameter in PARAMETERS {
        let Standing::Honoured(Field { path: [group, name], .. }) = parameter.standing else {
            continue;
        };
        let reads = |code: &String| {
            has_field(code, &format!("{group}.{name}"))
                // The limits of collections are handed on together.
                || has_field(code, name) && (group == "collections" || has_field(code, group))
        };
        let is_read = readers.iter().any(reads) || answers.contains(&format!("self.{name}"));
        assert!(is_read, "nothing reads '{}'", parameter.name);
    }
}

#[test]
fn each_honoured_parameter_refuses_what_its_reader_cannot_use() {
    let long = "x".repeat(300);
    let hostile = ["", "\0", "a b", "\u{e9}", "-2", "99999999999999999999", "1a", "5 min", &long];
    for parameter in PARAMETERS {
        let Standing::Honoured(_) = parameter.standing else { continue };
        if parameter.kind == Kind::Text {
            // A password may be anything.
            assert_eq!(parameter.exposure, Exposure::Secret, "{}", parameter.name);
            continue;
        }
        let refuses = |text: &&str| {
            let words = parameter.words_of_text(text);
            parameter.kind.canonical(&words).is_err()
        };
        assert!(hostile.iter().any(refuses), "'{}' takes anything", parameter.name);
    }
    let refused = |name: &str, text: &str| {
        let parameter = P::named(name).unwrap();
        parameter.kind.canonical(&parameter.words_of_text(text)).unwrap_err()
    };
    assert!(refused("admin-ready-lag-max", "5 min").contains("a size as 1MB or a time as 50ms"));
    for prefix in ["1a", "a b", "\u{e9}", ""] {
        assert!(refused("metrics-prefix", prefix).contains("letters, digits"), "{prefix}");
    }
}

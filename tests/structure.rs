//! The structure of the code: which module may depend on which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the bottom up. A module may use lower ranks, and itself.
const RANKS: &[(&str, u32)] = &[
    ("number", 0),
    ("glob", 0),
    ("lzf", 0),
    ("text", 0),
    ("prefetch", 0),
    ("real_redis", 0),
    ("telemetry", 0),
    ("process", 0),
    ("limits", 0),
    ("heap", 0),
    ("acl", 1),
    ("aof", 1),
    ("settings", 1),
    ("scripting", 1),
    ("resp", 1),
    ("types", 1),
    ("keyspace", 2),
    ("rdb", 3),
    ("replication", 4),
    ("node", 5),
    ("commands", 6),
    ("engine", 7),
    ("server", 8),
    ("admin", 9),
];

/// Modules below this rank may not depend on settings.
const KNOWS_SETTINGS: u32 = 5;

fn rank(module: &str) -> u32 {
    let known = RANKS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("{module} has no place in the order of modules")).1
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are readable") {
        let path = entry.expect("the sources are readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file without comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the sources are readable");
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..tests].lines();
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first path segment after every `crate::`, also of `crate::{a, b}`.
fn modules_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let group = rest.strip_prefix('{').and_then(|rest| rest.split_once("};"));
        let paths = match group {
            Some((group, _)) => group.split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for path in paths {
            let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            used.push(path[..end.unwrap_or(path.len())].to_owned());
        }
    }
    used
}

#[test]
fn dependencies_point_one_way() {
    let root = source_folder();
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 50, "the sources are in {}", root.display());
    for path in paths {
        let inner = path.strip_prefix(&root).expect("the sources are readable");
        let first = inner
            .components()
            .next()
            .expect("the sources are readable")
            .as_os_str()
            .to_string_lossy();
        let module = first.strip_suffix(".rs").unwrap_or(&first);
        let is_tests = inner.iter().any(|part| part == "tests" || part == "tests.rs");
        if module == "lib" || module == "main" || is_tests {
            continue;
        }
        for used in modules_used(&code(&path)) {
            // Items at the top of the crate are for the binary.
            let allowed = match used.as_str() {
                own if own == module => true,
                "settings" => rank(module) >= KNOWS_SETTINGS,
                other => rank(other) < rank(module),
            };
            assert!(allowed, "{} must not use crate::{used}", inner.display());
        }
    }
}

/// The path segments after every `super::`, also of `super::{a, b}`.
fn siblings_used(code: &str) -> Vec<String> {
    modules_used(&code.replace("super::", "crate::"))
}

/// The files of one folder, each with the siblings it uses.
fn siblings(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut paths = Vec::new();
    sources(folder, &mut paths);
    paths.retain(|path| path.parent() == Some(folder) && !path.ends_with("mod.rs"));
    let name = |path: &PathBuf| path.file_stem().expect("a file").to_string_lossy().into_owned();
    let names: Vec<String> = paths.iter().map(name).collect();
    let used = |path: &PathBuf| {
        let mut used = siblings_used(&code(path));
        used.retain(|other| names.contains(other) && *other != name(path));
        used
    };
    paths.iter().map(|path| (name(path), used(path))).collect()
}

#[test]
fn files_of_the_engine_form_no_circle() {
    let mut left = siblings(&source_folder().join("engine"));
    assert!(left.values().flatten().count() > 20, "they do use each other: {left:?}");
    // A file that uses none of the remaining ones is not part of a cycle.
    loop {
        let before = left.len();
        let names: Vec<String> = left.keys().cloned().collect();
        left.retain(|_, used| used.iter().any(|other| names.contains(other)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "these use each other in a circle: {left:?}");
}

#[test]
fn files_stay_small_enough_to_read() {
    const LINES_MAX: usize = 600;
    let mut paths = Vec::new();
    sources(&source_folder(), &mut paths);
    for path in paths {
        let lines = fs::read_to_string(&path).expect("the sources are readable").lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: split it by noun", path.display());
    }
}

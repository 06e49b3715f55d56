//! What the kernel tells of the process and the machine, in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// User and system time of the process, in seconds.
pub(super) fn process_seconds() -> [f64; 2] {
    seconds_of(Path::new("/proc/self"))
}

/// The same by thread, the main one first.
pub(super) fn thread_seconds(process_id: u32) -> Vec<(String, [f64; 2])> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    // Several may share a name; short-lived ones are not told apart.
    let mut by_name = BTreeMap::<String, [f64; 2]>::new();
    let process_id = process_id.to_string();
    let mut main = ("main".to_owned(), [0.0; 2]);
    for path in tasks.filter_map(|task| Some(task.ok()?.path())) {
        let seconds = seconds_of(&path);
        if path.file_name().is_some_and(|id| id == process_id.as_str()) {
            main.1 = seconds;
            continue;
        }
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let sum = by_name.entry(name.trim().to_owned()).or_default();
        sum.iter_mut().zip(seconds).for_each(|(sum, seconds)| *sum += seconds);
    }
    std::iter::once(main).chain(by_name).collect()
}

/// User and system time of a process or thread, given its folder in `/proc`.
fn seconds_of(folder: &Path) -> [f64; 2] {
    // Fields 14 and 15 in clock ticks of a hundredth of a second, counted after the name, which
    // may hold spaces.
    let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let mut ticks = after_name.split_ascii_whitespace().skip(11);
    let mut next = || ticks.next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    [next() / 100.0, next() / 100.0]
}

pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kilobytes(&status, "VmRSS:")
}

pub(super) fn total_system_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&info, "MemTotal:")
}

/// The value of a line `name   123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim().split(' ').next());
    number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

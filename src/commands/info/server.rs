//! INFO server, CPU and cluster: the process.

use super::look::Look;
use super::reading::{
    Each, Labels, Part, Row, Value, counter, field, gauge, only, part_only, unshown,
};
use crate::commands::REDIS_VERSION;
use crate::process::supervisor::Supervisor;
use crate::settings::Supervised;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    field("redis_version", |_| REDIS_VERSION.into()),
    // As of a build from a source archive: there is no commit to name.
    field("redis_git_sha1", |_| "00000000".into()),
    field("redis_git_dirty", |_| 0.into()),
    field("redis_build_id", |_| build_id().into()),
    field("limpid_version", |_| env!("CARGO_PKG_VERSION").into()),
    field("redis_mode", |_| MODE.into()),
    field("os", |look| look.node.identity.operating_system.as_str().into()),
    field("arch_bits", |_| usize::BITS.into()),
    field("monotonic_clock", |_| "quanta".into()),
    field("multiplexing_api", |_| "epoll".into()),
    field("process_id", |look| look.node.identity.process_id.into())
        .is(gauge("process_id", "The process's id.")),
    field("process_supervised", supervised),
    field("run_id", |look| look.node.identity.run_id.as_str().into()),
    field("tcp_port", |look| look.settings.client_port().into()),
    field("server_time_usec", |look| look.now_us.into()),
    field("uptime_in_seconds", |look| look.uptime_s().into())
        .is(gauge("uptime_in_seconds", "Seconds since the start.")),
    field("uptime_in_days", |look| (look.uptime_s() / 86400).into()),
    field("hz", |look| look.settings.process.hz.into()),
    field("configured_hz", |look| look.settings.process.hz.into()),
    field("lru_clock", |look| ((look.now_us / 1_000_000) & 0xff_ffff).into()),
    field("shutdown_in_milliseconds", |look| look.node.shutdown.left_ms(look.now_ms()).into()),
    field("executable", |look| look.node.identity.executable.as_str().into()),
    field("config_file", config_file),
    // Redis's I/O threads; limpid's are its workers.
    field("admin_access", |look| look.settings.admin.access().name().into()),
    field("worker_threads", |look| look.node.relief.into()),
    only(gauge("up", "Whether the server answers."), |_| 1.into()),
    only(gauge("start_time_seconds", "When the process started."), |look| (look.node.identity.started_ms / 1000).into()),
    only(gauge("instance_info", "What this server is.").labels(instance), |_| 1.into()),
    only(gauge("limpid_build_info", "The version.").label("version", env!("CARGO_PKG_VERSION")), |_| 1.into()),
];

#[rustfmt::skip]
pub(super) const CPU: &[Row] = &[
    field("used_cpu_sys", |look| Value::Decimal(look.processor_seconds()[1], 6))
        .is(counter("cpu_sys_seconds_total", "Processor time in the kernel.")),
    field("used_cpu_user", |look| Value::Decimal(look.processor_seconds()[0], 6))
        .is(counter("cpu_user_seconds_total", "Processor time outside of it.")),
    // There are no child processes.
    field("used_cpu_sys_children", |_| Value::Decimal(0.0, 6))
        .is(counter("cpu_sys_children_seconds_total", "Processor time of children in the kernel.")),
    field("used_cpu_user_children", |_| Value::Decimal(0.0, 6))
        .is(counter("cpu_user_children_seconds_total", "Processor time of children outside of it.")),
    field("used_cpu_sys_main_thread", |look| main_thread(look, 1))
        .is(counter("cpu_sys_main_thread_seconds_total", "Processor time of the main thread in the kernel.")),
    field("used_cpu_user_main_thread", |look| main_thread(look, 0))
        .is(counter("cpu_user_main_thread_seconds_total", "Processor time of the main thread outside of it.")),
    Row::Each(&THREADS),
];

pub(super) const CLUSTER: &[Row] = &[field("cluster_enabled", |_| 0.into())
    .is(gauge("cluster_enabled", "Whether cluster mode is on."))];

/// The main thread accepts connections and does the periodic work; commands run on workers.
fn main_thread(look: &Look<'_>, index: usize) -> Value {
    let main = look.threads().first().map(|(_, seconds)| seconds[index]);
    main.map_or(Value::Absent, |seconds| Value::Decimal(seconds, 6))
}

/// Threads with their user and system seconds.
static THREADS: Each<(String, [f64; 2])> = Each {
    items: |look| look.threads().to_vec(),
    field: unshown,
    labels: |(thread, _)| vec![("thread", thread.clone())],
    parts: THREAD,
};

#[rustfmt::skip]
const THREAD: &[Part<(String, [f64; 2])>] = &[
    part_only(counter("limpid_thread_cpu_seconds_total", THREAD_HELP).label("mode", "user"), |_, (_, seconds)| Value::Decimal(seconds[0], 6)),
    part_only(counter("limpid_thread_cpu_seconds_total", THREAD_HELP).label("mode", "system"), |_, (_, seconds)| Value::Decimal(seconds[1], 6)),
];

const THREAD_HELP: &str =
    "Processor time by thread: the main one, workers, the link to a master, the admin server.";

const MODE: &str = "standalone";

/// A hash of the version (FNV-1a), in the form of Redis's hash of its build.
fn build_id() -> String {
    let version = env!("CARGO_PKG_VERSION").bytes();
    let hash = version.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn supervised(look: &Look<'_>) -> Value {
    let wanted = look.settings.process.supervised;
    let found = match wanted {
        Supervised::Auto => Supervisor::find(),
        Supervised::No | Supervised::Systemd | Supervised::Upstart => None,
    };
    match (wanted, found) {
        (Supervised::Systemd, _) | (_, Some(Supervisor::Systemd)) => "systemd".into(),
        (Supervised::Upstart, _) | (_, Some(Supervisor::Upstart)) => "upstart".into(),
        _ => "no".into(),
    }
}

fn config_file(look: &Look<'_>) -> Value {
    let file = look.node.identity.config_file.as_ref();
    file.map(|path| path.display().to_string()).unwrap_or_default().into()
}

/// The labels of the exporter's `instance_info`.
fn instance(look: &Look<'_>) -> Labels {
    let identity = &look.node.identity;
    let role = if look.master().is_some() { "slave" } else { "master" };
    vec![
        ("role", role.to_owned()),
        ("redis_version", REDIS_VERSION.to_owned()),
        ("redis_build_id", build_id()),
        ("redis_mode", MODE.to_owned()),
        ("os", identity.operating_system.clone()),
        ("maxmemory_policy", super::memory::policy(look)),
        ("tcp_port", look.settings.client_port().to_string()),
        ("run_id", identity.run_id.clone()),
        ("process_id", identity.process_id.to_string()),
        ("master_replid", look.node.log.ids().id),
    ]
}

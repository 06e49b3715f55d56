//! The `limpid-server` binary: settings, then the server.

use std::process::ExitCode;

use limpid::settings::{self, Invocation};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "healthcheck"
    {
        return healthcheck(rest.first().and_then(|url| url.to_str()));
    }
    let environment: Vec<_> = std::env::vars_os().collect();
    match settings::load(&arguments, &environment, &mut std::io::stdin().lock()) {
        Ok(Invocation::Version) => show(&limpid::version()),
        Ok(Invocation::Help) => show(limpid::USAGE),
        Ok(Invocation::Run { settings, file }) => match limpid::run(*settings, file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!(
                "\n*** FATAL CONFIG FILE ERROR (Redis {}) ***\n{error}",
                limpid::REDIS_VERSION
            );
            ExitCode::FAILURE
        }
    }
}

fn healthcheck(url: Option<&str>) -> ExitCode {
    match limpid::probe(url) {
        Ok(status) => show(&status),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "answers of the command line go to standard output")]
fn show(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

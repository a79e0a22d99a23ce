//! The `rustydb-shard` program: command line to configuration to server. Everything else is in the library.
//!
//! Exit codes: 0 after a clean stop, and for `--help`, `--version`, `--print-config`, a good `--check-config` and a `verify`
//! that finds no damage; 1 when the configuration or the host does not allow a start, or the server or a command failed; 2
//! for a command line that does not parse.

use rustydb_shard::config::{Action, Command, Config, Host, LogFormat};
use rustydb_shard::{server, telemetry};
use std::process::ExitCode;

/// A heap a thread, as each shard has one.
#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args_os()) {
        Ok(command) => command,
        // Also --help and --version, which clap prints to standard output and which are no failure.
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let config = match command.load(std::env::vars_os(), &Host::detect()) {
        Ok(config) => config,
        Err(e) => return fail(&e),
    };
    if let Some(code) = instead_of_serving(command.action.clone(), &config) {
        return code;
    }
    let log = telemetry::LogOptions {
        json: config.log_format == LogFormat::Json,
        filter: config.log_level.to_string(),
    };
    if let Err(e) = telemetry::init(&log) {
        return fail(&e);
    }
    let ended = server::run(
        config,
        Box::new(move || command.load(std::env::vars_os(), &Host::detect())),
    );
    telemetry::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

/// What else than serving was asked for.
fn instead_of_serving(action: Action, config: &Config) -> Option<ExitCode> {
    let said = |done: Result<String, server::StartError>| match done {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(e) => fail(&e),
    };
    let checked = |sound: Result<bool, server::StartError>| match sound {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => fail(&e),
    };
    Some(match action {
        Action::Run => return None,
        Action::Print => {
            print!("{}", config.to_toml());
            ExitCode::SUCCESS
        }
        Action::Check => {
            println!("The configuration is valid.");
            ExitCode::SUCCESS
        }
        Action::Repartition { partitions } => {
            said(server::offline::repartition(config, partitions))
        }
        Action::Restore(restore) => said(server::offline::restore(config, &restore)),
        Action::Doctor => checked(Ok(server::doctor(config))),
        Action::Verify { backup: None } => checked(server::offline::verify(config)),
        Action::Verify { backup: Some(of) } => checked(server::offline::verify_backup(&of)),
    })
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("rustydb-shard: {error}");
    ExitCode::FAILURE
}

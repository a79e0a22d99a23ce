//! The `rustydb-shard` program: command line to configuration to server. Everything else is in the library.
//!
//! Exit codes: 0 after a clean stop, and for `--help`, `--version`, `--print-config`, a good `--check-config` and a `verify`
//! that finds no damage; 1 when the configuration or the host does not allow a start, or the server or a command failed; 2
//! for a command line that does not parse.

use rustydb_shard::config::{Action, Command, Host, LogFormat};
use rustydb_shard::{server, telemetry};
use std::process::ExitCode;

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
    match command.action {
        Action::Print => {
            print!("{}", config.to_toml());
            return ExitCode::SUCCESS;
        }
        Action::Check => {
            println!("The configuration is valid.");
            return ExitCode::SUCCESS;
        }
        Action::Repartition { partitions } => {
            return match server::offline::repartition(&config, partitions) {
                Ok(done) => {
                    println!("{done}");
                    ExitCode::SUCCESS
                }
                Err(e) => fail(&e),
            };
        }
        Action::Verify => {
            return match server::offline::verify(&config) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(e) => fail(&e),
            };
        }
        Action::Run => {}
    }
    let log = telemetry::LogOptions {
        json: config.log_format == LogFormat::Json,
        filter: config.log_level.to_string(),
    };
    if let Err(e) = telemetry::init(&log) {
        return fail(&e);
    }
    let ended = server::run(config);
    telemetry::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("rustydb-shard: {error}");
    ExitCode::FAILURE
}

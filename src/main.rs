//! The `rustydb-shard` program: command line to configuration to server. Everything else is in the library.

use rustydb_shard::config::{Action, Command, Host, LogFormat};
use rustydb_shard::{server, telemetry};
use std::process::ExitCode;

/// Bad command line or configuration, as sysexits' EX_USAGE would be too fine a distinction.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args_os()) {
        Ok(command) => command,
        // Also --help and --version, which clap prints to standard output and which are no failure.
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let config = match command.load(std::env::vars_os(), &Host::detect()) {
        Ok(config) => config,
        Err(e) => return fail(&e, EXIT_USAGE),
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
        Action::Run => {}
    }
    let log = telemetry::LogOptions {
        json: config.log_format == LogFormat::Json,
        filter: config.log_level.to_string(),
    };
    if let Err(e) = telemetry::init(&log) {
        return fail(&e, EXIT_USAGE);
    }
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e, 1),
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("rustydb-shard: {error}");
    ExitCode::from(code)
}

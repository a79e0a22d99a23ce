//! The command line: flags into layers, and what the process was asked to do.
//!
//! Owns: `Command`. Every setting has a flag made from its key, so a new setting needs nothing here.
//! Asked by: `main`. Never: prints or exits by itself, but for what clap returns for `--help` and `--version`.
//! Bounds: a flag given twice is an error.

use super::layers::FILE_VARIABLE;
use super::{Config, ConfigError, Host, Layers, SETTINGS};
use clap::{Arg, ArgAction, ArgMatches};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the process was asked to do with its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve.
    Run,
    /// `--print-config`.
    Print,
    /// `--check-config`.
    Check,
    /// `repartition --partitions N`.
    Repartition { partitions: usize },
    /// `verify`, of the data directory or of a backup.
    Verify { backup: Option<PathBuf> },
    /// `restore`.
    Restore(Restore),
    /// `doctor`.
    Doctor,
}

/// What `restore` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    pub from: PathBuf,
    /// In the order in which they were taken.
    pub incremental: Vec<PathBuf>,
    pub archive: Option<PathBuf>,
    /// Everything that there is when not given.
    pub to_time: Option<String>,
}

/// A parsed command line.
#[derive(Debug)]
pub struct Command {
    pub action: Action,
    file: Option<PathBuf>,
    flags: Vec<(usize, String)>,
}

impl Command {
    /// Reads arguments, the program's name first. clap's error holds the text of `--help`, `--version` or what is wrong.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
        let matches = definition().try_get_matches_from(args)?;
        let action = match (
            matches.get_flag("print-config"),
            matches.get_flag("check-config"),
        ) {
            (true, _) => Action::Print,
            (false, true) => Action::Check,
            (false, false) => match matches.subcommand() {
                Some(("repartition", given)) => Action::Repartition {
                    partitions: given.get_one("to").copied().unwrap_or_default(),
                },
                Some(("verify", given)) => Action::Verify {
                    backup: given.get_one("backup").cloned(),
                },
                Some(("doctor", _)) => Action::Doctor,
                Some(("restore", given)) => Action::Restore(Restore {
                    from: given.get_one("from").cloned().unwrap_or_default(),
                    incremental: given
                        .get_many("incremental")
                        .map_or_else(Vec::new, |all| all.cloned().collect()),
                    archive: given.get_one("archive").cloned(),
                    to_time: given.get_one("to-time").cloned(),
                }),
                _ => Action::Run,
            },
        };
        let given = matches.subcommand().map_or(&matches, |(_, given)| given);
        let flags = SETTINGS
            .iter()
            .enumerate()
            .filter_map(|(i, s)| Some((i, flag(given, &matches, &s.flag())?)))
            .collect();
        Ok(Command {
            action,
            file: given.get_one::<PathBuf>("config").cloned(),
            flags,
        })
    }

    /// The checked configuration of this command line under `environment`.
    pub fn load(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        host: &Host,
    ) -> Result<Config, ConfigError> {
        let environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
        let named = environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        let file = match (&self.file, named) {
            (Some(path), _) => Some(path.clone()),
            (None, Some((_, path))) => Some(PathBuf::from(path)),
            (None, None) => None,
        };
        let mut layers = Layers::defaults()?;
        if let Some(path) = file {
            layers.file(&path)?;
        }
        layers.environment(environment)?;
        for (index, text) in &self.flags {
            if let Some(setting) = SETTINGS.get(*index) {
                layers.flag(setting, text.clone())?;
            }
        }
        layers.finish(host)
    }
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .value_parser(clap::value_parser!(PathBuf))
        .help(help)
}

fn restore() -> clap::Command {
    clap::Command::new("restore")
        .about("Make a new data directory from a backup, as of its end or of a later moment")
        .arg(path("from", "DIR", "The full backup").required(true))
        .arg(
            path("incremental", "DIR", "An incremental backup that goes on from the one before; may be repeated")
                .action(ArgAction::Append),
        )
        .arg(path("archive", "DIR", "The archived log of the server that was backed up (its wal_archive_dir)"))
        .arg(
            Arg::new("to-time")
                .long("to-time")
                .value_name("TIME")
                .help("Restore what was committed until then, such as 2027-01-15T08:00:00Z; else everything there is"),
        )
}

/// Settings that commands on a directory have too.
const GLOBAL: [&str; 1] = ["data-dir"];

fn flag(given: &ArgMatches, all: &ArgMatches, name: &str) -> Option<String> {
    let matches = if GLOBAL.contains(&name) { given } else { all };
    matches.get_one::<String>(name).cloned()
}

fn definition() -> clap::Command {
    let mut command = clap::Command::new("rustydb-shard")
        .version(env!("CARGO_PKG_VERSION"))
        .about("SQL over PostgreSQL's wire and HTTP; one executor per core on durable, partitioned storage")
        .after_help(
            "Settings come from defaults, then the file, then RUSTYDB_* variables, then flags; the last wins.\n\
             Every setting is described in docs/config.md.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .global(true)
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("TOML file with settings (also RUSTYDB_CONFIG)"),
        )
        .subcommand(
            clap::Command::new("repartition")
                .about("Spread the rows of a stopped server's directory over another number of partitions")
                .arg(
                    Arg::new("to")
                        .long("partitions")
                        .required(true)
                        .value_name("N")
                        .value_parser(clap::value_parser!(usize))
                        .help("How many partitions there are to be; as many as cores is best"),
                ),
        )
        .subcommand(
            clap::Command::new("verify")
                .about("Check every page and log record of a stopped server's directory, or of a backup, and say what is damaged")
                .arg(path("backup", "DIR", "Check this backup instead of the data directory")),
        )
        .subcommand(restore())
        .subcommand(clap::Command::new("doctor").about(
            "Look at this host as a server with these settings would, and say what to change; 1 when one could not start",
        ))
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .conflicts_with("print-config")
                .help("Check the configuration and exit: 0 when it is good, 1 when it is not"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print every setting with where its value came from, and exit"),
        );
    for setting in SETTINGS {
        let doc = setting.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let arg = Arg::new(setting.flag())
            .long(setting.flag())
            .global(GLOBAL.contains(&setting.flag().as_str()))
            .help(format!("{doc} [default: {}]", setting.default));
        command = command.arg(match setting.form {
            "true or false" => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL"),
            _ => arg.value_name("VALUE"),
        });
    }
    command
}

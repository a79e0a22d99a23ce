//! Promises of the configuration, end to end: arguments, environment and file in, `Config` or a sentence out.

use super::forms::{Form, Size, Span};
use super::print::settings_markdown;
use super::*;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use types::limits;

const HOST: Host = Host {
    cores: 4,
    memory_bytes: 8 << 30,
};

fn load(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Config, ConfigError> {
    let mut layers = Layers::defaults()?;
    if let Some(text) = file {
        layers.file_text(Path::new("conf.toml"), text)?;
    }
    layers.environment(
        env.iter()
            .map(|(n, v)| (OsString::from(n), OsString::from(v))),
    )?;
    for arg in args {
        let (name, value) = arg.trim_start_matches("--").split_once('=').unwrap();
        let setting = SETTINGS.iter().find(|s| s.flag() == name).unwrap();
        layers.flag(setting, value.to_owned())?;
    }
    layers.finish(&HOST)
}

fn sentence(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> String {
    load(args, env, file).unwrap_err().to_string()
}

#[test]
fn defaults_are_the_documented_ceilings() {
    let config = load(&[], &[], None).unwrap();
    assert_eq!(config.frame_bytes_max, limits::FRAME_BYTES_MAX);
    assert_eq!(config.http_body_bytes_max, limits::HTTP_BODY_BYTES_MAX);
    assert_eq!(config.query_bytes_max, limits::QUERY_BYTES_MAX);
    assert_eq!(config.temp_bytes_max, limits::TEMP_BYTES_MAX);
    assert_eq!(config.connections_max, limits::CONNECTIONS_MAX);
    assert_eq!(config.pending_max, limits::PENDING_MAX);
    let timeout = Duration::from_millis(limits::STATEMENT_TIMEOUT_MS);
    assert_eq!(config.statement_timeout, timeout);
    assert_eq!(config.shards(), 4);
    assert_eq!(config.partitions_new(), 4);
    assert_eq!(config.shard_pool_bytes(), 512 << 20);
    // 2,500 connections with 8 KiB each, a message of 64 MiB, 14 MiB for whoever comes, and a 64th of 8 GiB for four.
    assert_eq!(config.shard_buffer_bytes(), 130 << 20);
}

#[test]
fn buffers_are_enough_for_the_connections_and_the_longest_message() {
    let least = |connections: &str, frame: &str| {
        let args = [connections, frame, "--cores=1", "--buffer-bytes=4KiB"];
        let refused = sentence(&args, &[], None);
        let (_, rest) = refused.split_once("the least is ").unwrap();
        rest.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let few = least("--connections-max=1", "--frame-bytes-max=1MiB");
    let many = least("--connections-max=1001", "--frame-bytes-max=1MiB");
    let long = least("--connections-max=1", "--frame-bytes-max=100MiB");
    assert_eq!(many - few, 1000 * 8192);
    assert_eq!(long - few, 96 << 20);
    let with = |bytes: usize| {
        let flag = format!("--buffer-bytes={bytes}B");
        let frame = "--frame-bytes-max=1MiB";
        let args = ["--connections-max=1", frame, "--cores=1", &flag];
        load(&args, &[], None)
    };
    assert_eq!(with(few).unwrap().shard_buffers().unwrap().bytes_max(), few);
    assert!(with(few - 1).is_err());
}

#[test]
fn later_layers_win_and_each_value_remembers_its_layer() {
    let file =
        "# a comment\nsql_port = 1001\nhttp_port = 1002\ncores = 1\n[log]\nformat = \"json\"\n";
    let env = [("RUSTYDB_HTTP_PORT", "2002"), ("RUSTYDB_CORES", "2")];
    let config = load(&["--cores=3"], &env, Some(file)).unwrap();
    assert_eq!((config.sql_port, config.http_port), (1001, 2002));
    assert_eq!(config.shards(), 3);
    assert_eq!(config.source("sql_port").to_string(), "file conf.toml:2");
    assert_eq!(config.source("log.format").to_string(), "file conf.toml:6");
    assert_eq!(
        config.source("http_port").to_string(),
        "env RUSTYDB_HTTP_PORT"
    );
    assert_eq!(config.source("cores").to_string(), "flag --cores");
    assert_eq!(config.source("listen"), Source::Default);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        sentence(&[], &[], Some("\nsql_prt = 1\n")),
        "file conf.toml:2 sets the unknown key \"sql_prt\" (the nearest known is \"sql_port\")"
    );
    assert_eq!(
        sentence(&[], &[], Some("[log]\nlevell = \"info\"\n")),
        "file conf.toml:2 sets the unknown key \"log.levell\" (the nearest known is \"log.level\")"
    );
    assert_eq!(
        sentence(&[], &[], Some("[lag.deep]\nx = 1\n")),
        "file conf.toml:1 sets the unknown key \"lag\""
    );
    assert_eq!(
        sentence(&[], &[("RUSTYDB_SQLPORT", "1")], None),
        "the environment sets the unknown variable RUSTYDB_SQLPORT (the nearest known is \"RUSTYDB_SQL_PORT\")"
    );
    assert!(load(&[], &[("RUSTY_SQLPORT", "1"), ("PATH", "x")], None).is_ok());
}

#[test]
fn a_bad_value_is_named_with_its_place_and_reason() {
    assert_eq!(
        sentence(&[], &[], Some("sql_port = 65536")),
        "file conf.toml:1 sets sql_port to \"65536\": a port is a number from 0 to 65535"
    );
    assert_eq!(
        sentence(&[], &[], Some("sql_port = [1]")),
        "file conf.toml:1 sets sql_port to \"an array\": it takes a port"
    );
    assert!(sentence(&[], &[], Some("sql_port = ")).starts_with("conf.toml:1: "));
    assert!(sentence(&["--log-level=debug=="], &[], None).contains("not a log filter"));
}

#[test]
fn a_public_address_is_refused_with_the_reason_and_a_way_out() {
    for address in ["0.0.0.0", "10.1.2.3", "::"] {
        let text = sentence(&[&format!("--listen={address}")], &[], None);
        assert!(text.starts_with(&format!("flag --listen sets listen = {address}:")));
        assert!(text.contains("loopback only") && text.contains("127.0.0.1"));
    }
    for address in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
        assert!(load(&[&format!("--listen={address}")], &[], None).is_ok());
    }
    let both = load(&["--listen=0.0.0.0", "--insecure=true"], &[], None);
    assert!(both.is_err(), "--insecure opens nothing");
}

#[test]
fn ranges_hold_at_their_edges() {
    let ok = |arg: &str| load(&[arg], &[], None).is_ok();
    assert!(ok("--cores=1024") && !ok("--cores=1025") && ok("--cores=1") && !ok("--cores=0"));
    assert!(ok("--partitions=1024") && !ok("--partitions=1025") && ok("--partitions=auto"));
    assert!(ok("--sql-port=65535") && !ok("--sql-port=65536") && ok("--sql-port=0"));
    assert!(!ok("--sql-port=8080"), "the HTTP port has it");
    assert!(ok("--pool-bytes=4MiB") && !ok("--pool-bytes=4194303"));
    assert!(ok("--wal-segment-bytes=1MiB") && !ok("--wal-segment-bytes=1044480"));
    assert!(!ok("--wal-segment-bytes=1048577"), "not whole pages");
    assert!(ok("--checkpoint-wal-bytes=16MiB") && !ok("--checkpoint-wal-bytes=15MiB"));
    assert!(ok("--frame-bytes-max=1GiB") && !ok("--frame-bytes-max=1073741825"));
    assert!(ok("--frame-bytes-max=4KiB") && !ok("--frame-bytes-max=4095"));
    assert!(ok("--statement-timeout=1d") && !ok("--statement-timeout=86401s"));
    assert!(ok("--statement-timeout=0") && !ok("--authentication-timeout=0"));
    assert!(ok("--connections-max=4") && !ok("--connections-max=3"));
}

#[test]
fn connection_slots_are_split_without_losing_one() {
    let config = load(&["--connections-max=10"], &[], None).unwrap();
    let split: Vec<usize> = (0..4).map(|s| config.shard_connections_max(s)).collect();
    assert_eq!(split, [3, 3, 2, 2]);
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let file =
        "data_dir = 'a \"b\"'\nstatement_timeout = \"1500ms\"\n[log]\nlevel = \"warn,a=off\"\n";
    let config = load(&["--pool-bytes=65MiB"], &[], Some(file)).unwrap();
    let printed = config.to_toml();
    assert!(printed.contains("pool_bytes = \"65MiB\"  # flag --pool-bytes\n"));
    assert!(printed.contains("statement_timeout = \"1500ms\"  # file conf.toml:2\n"));
    assert!(printed.contains("cores = 4  # default, auto\n"));
    let again = load(&[], &[], Some(&printed)).unwrap();
    for setting in SETTINGS {
        assert_eq!(config.text(setting.key), again.text(setting.key));
    }
}

#[test]
fn every_setting_has_a_flag_and_a_variable_that_work() {
    for setting in SETTINGS {
        let variable = setting.variable();
        let text = load(&[], &[], None).unwrap().text(setting.key).unwrap();
        let text = text.trim_matches('"').to_owned();
        let config = load(&[], &[(&variable, &text)], None).unwrap();
        assert_eq!(config.source(setting.key), Source::Variable(variable));
        let args = ["x".into(), format!("--{}={text}", setting.flag()).into()];
        let config = Command::parse(args).unwrap().load([], &HOST).unwrap();
        assert_eq!(config.source(setting.key), Source::Flag(setting.flag()));
    }
}

#[test]
fn the_command_line_says_what_to_do() {
    let parse = |args: &[&str]| {
        Command::parse(
            std::iter::once("x")
                .chain(args.iter().copied())
                .map(OsString::from),
        )
    };
    assert_eq!(parse(&[]).unwrap().action, Action::Run);
    assert_eq!(parse(&["--print-config"]).unwrap().action, Action::Print);
    assert_eq!(parse(&["--check-config"]).unwrap().action, Action::Check);
    let insecure = parse(&["--insecure", "--cores", "2"]).unwrap();
    let config = insecure.load([], &HOST).unwrap();
    assert!(config.insecure && config.shards() == 2);
    assert!(parse(&["--insecur"]).is_err());
    assert!(parse(&["--cores", "2", "--cores", "3"]).is_err());
    let version = parse(&["--version"]).unwrap_err();
    assert_eq!(version.kind(), clap::error::ErrorKind::DisplayVersion);
}

#[test]
fn the_file_is_named_by_flag_before_variable_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1.toml"), dir.path().join("2.toml"));
    std::fs::write(&one, "sql_port = 11").unwrap();
    std::fs::write(&two, "sql_port = 22").unwrap();
    let env = || [("RUSTYDB_CONFIG".into(), two.clone().into_os_string())];
    let load = |args: Vec<OsString>| Command::parse(args).unwrap().load(env(), &HOST);
    assert_eq!(load(vec!["x".into()]).unwrap().sql_port, 22);
    let args = vec!["x".into(), "--config".into(), one.clone().into()];
    assert_eq!(load(args.clone()).unwrap().sql_port, 11);
    let full = "#".repeat(FILE_BYTES_MAX as usize);
    std::fs::write(&one, &full).unwrap();
    assert!(load(args.clone()).is_ok());
    std::fs::write(&one, full + "#").unwrap();
    assert!(matches!(
        load(args.clone()),
        Err(ConfigError::FileTooLarge { .. })
    ));
    std::fs::remove_file(&one).unwrap();
    assert!(matches!(load(args), Err(ConfigError::File { .. })));
}

#[test]
fn sizes_and_durations_read_back_what_they_print() {
    for bytes in [0, 1, 1000, 1024, 65 << 20, 3 << 30, 1 << 40, usize::MAX] {
        assert_eq!(Size::parse(&Size::print(&bytes)), Ok(bytes));
    }
    assert_eq!(Size::parse("64 MiB"), Ok(64 << 20));
    assert_eq!(Size::parse("1_000kB"), Ok(1_000_000));
    for bad in [
        "",
        "MiB",
        "-1",
        "1.5MiB",
        "1XB",
        "18446744073709551616",
        "17000000TiB",
    ] {
        assert!(Size::parse(bad).is_err(), "{bad}");
    }
    for micros in [0, 1, 1_500, 1_500_000, 60_000_000, 86_400_000_000] {
        let span = Duration::from_micros(micros);
        assert_eq!(Span::parse(&Span::print(&span)), Ok(span));
    }
    for bad in [
        "",
        "5",
        "s",
        "1.5s",
        "-1s",
        "5 weeks",
        "18446744073709551615d",
    ] {
        assert!(Span::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_document_lists_exactly_the_settings_there_are() {
    let document = include_str!("../../docs/config.md");
    assert!(
        document.contains(&settings_markdown()),
        "docs/config.md must hold this table:\n{}",
        settings_markdown()
    );
}

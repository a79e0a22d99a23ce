//! Forms: how the text of a setting becomes a value and how it is printed again.
//!
//! Owns: one `Form` per kind of value. The same text is read from a file, the environment and a flag, and what `print`
//! writes `parse` reads back. Asked by: `settings`. Never: knows which setting it reads.
//! Bounds: numbers that do not fit are refused, never wrapped or cut.

use runtime::NetworkMethod;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The reading and printing of one kind of value.
pub trait Form {
    type Value;
    /// What documentation calls it.
    const NAME: &'static str;
    /// Whether TOML needs quotes around the printed text.
    const QUOTED: bool;
    /// The reason alone: the caller adds where the text came from.
    fn parse(text: &str) -> Result<Self::Value, String>;
    fn print(value: &Self::Value) -> String;
}

/// A path, relative to the directory the server was started in.
pub struct Path;

impl Form for Path {
    type Value = PathBuf;
    const NAME: &'static str = "path";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() {
            return Err("a path cannot be empty".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    fn print(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// A path, or nothing.
pub struct OptionalPath;

impl Form for OptionalPath {
    type Value = Option<PathBuf>;
    const NAME: &'static str = "path or \"\"";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        match text {
            "" => Ok(None),
            _ => Path::parse(text).map(Some),
        }
    }

    fn print(value: &Option<PathBuf>) -> String {
        value.as_ref().map_or_else(String::new, Path::print)
    }
}

/// A numeric IP address, or `localhost`. Names are not looked up.
pub struct Address;

impl Form for Address {
    type Value = IpAddr;
    const NAME: &'static str = "IP address";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<IpAddr, String> {
        if text == "localhost" {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        text.parse()
            .map_err(|_| "this is not a numeric IP address such as 127.0.0.1 or ::1".to_owned())
    }

    fn print(value: &IpAddr) -> String {
        value.to_string()
    }
}

/// A TCP port; 0 lets the operating system choose.
pub struct Port;

impl Form for Port {
    type Value = u16;
    const NAME: &'static str = "port";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Result<u16, String> {
        text.parse()
            .map_err(|_| "a port is a number from 0 to 65535".to_owned())
    }

    fn print(value: &u16) -> String {
        value.to_string()
    }
}

/// A whole number, at least 1.
pub struct Count;

impl Form for Count {
    type Value = usize;
    const NAME: &'static str = "count";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Result<usize, String> {
        match text.replace('_', "").parse::<usize>() {
            Ok(0) => Err("the least is 1".to_owned()),
            Ok(n) => Ok(n),
            Err(_) => Err("this is not a whole number".to_owned()),
        }
    }

    fn print(value: &usize) -> String {
        value.to_string()
    }
}

/// A count, or `auto`.
pub struct AutoCount;

impl Form for AutoCount {
    type Value = Option<usize>;
    const NAME: &'static str = "count or \"auto\"";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Result<Option<usize>, String> {
        match text {
            "auto" => Ok(None),
            _ => Count::parse(text).map(Some),
        }
    }

    fn print(value: &Option<usize>) -> String {
        match value {
            Some(n) => n.to_string(),
            None => "\"auto\"".to_owned(),
        }
    }
}

/// A number of bytes: `4096`, `64KiB`, `16MiB`, `1GiB`, or with powers of ten `kB`, `MB`, `GB`.
pub struct Size;

const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TiB", 1 << 40),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Form for Size {
    type Value = usize;
    const NAME: &'static str = "size";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<usize, String> {
        let bad =
            || "this is not a size such as 4096, 64KiB, 16MiB or 1GiB (whole numbers)".to_owned();
        let (digits, unit) = split_number(text).ok_or_else(bad)?;
        let factor = match unit {
            "" => 1,
            unit => {
                SIZE_UNITS
                    .iter()
                    .find(|(name, _)| *name == unit)
                    .ok_or_else(bad)?
                    .1
            }
        };
        let bytes = digits
            .checked_mul(factor)
            .ok_or_else(|| "this size does not fit 64 bits".to_owned())?;
        usize::try_from(bytes).map_err(|_| "this size does not fit the address space".to_owned())
    }

    fn print(value: &usize) -> String {
        let bytes = *value as u64;
        for unit in ["TiB", "GiB", "MiB", "KiB"] {
            let factor = SIZE_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map_or(1, |(_, f)| *f);
            if bytes >= factor && bytes.is_multiple_of(factor) {
                return format!("{}{unit}", bytes / factor);
            }
        }
        format!("{bytes}B")
    }
}

/// A size, or `auto`.
pub struct AutoSize;

impl Form for AutoSize {
    type Value = Option<usize>;
    const NAME: &'static str = "size or \"auto\"";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<Option<usize>, String> {
        match text {
            "auto" => Ok(None),
            _ => Size::parse(text).map(Some),
        }
    }

    fn print(value: &Option<usize>) -> String {
        match value {
            Some(bytes) => Size::print(bytes),
            None => "auto".to_owned(),
        }
    }
}

/// A span of time with its unit: `200us`, `250ms`, `30s`, `5min`, `1h`, `2d`; `0` needs none.
pub struct Span;

const SPAN_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Form for Span {
    type Value = Duration;
    const NAME: &'static str = "duration";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<Duration, String> {
        let bad = || "this is not a duration such as 200us, 250ms, 30s, 5min, 1h or 2d".to_owned();
        let (number, unit) = split_number(text).ok_or_else(bad)?;
        if unit.is_empty() && number == 0 {
            return Ok(Duration::ZERO);
        }
        let (_, factor) = SPAN_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(bad)?;
        number
            .checked_mul(*factor)
            .map(Duration::from_micros)
            .ok_or_else(|| "this duration is too long".to_owned())
    }

    fn print(value: &Duration) -> String {
        let micros = value.as_micros() as u64;
        let (name, factor) = SPAN_UNITS
            .iter()
            .rev()
            .find(|(_, factor)| micros.is_multiple_of(*factor) && micros > 0)
            .unwrap_or(&("s", 1_000_000));
        format!("{}{name}", micros / factor)
    }
}

/// `true` or `false`.
pub struct Switch;

impl Form for Switch {
    type Value = bool;
    const NAME: &'static str = "true or false";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Result<bool, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("this is neither true nor false".to_owned()),
        }
    }

    fn print(value: &bool) -> String {
        value.to_string()
    }
}

/// The name of an eviction policy.
pub struct PoolPolicy;

impl PoolPolicy {
    pub const ALL: [&str; 6] = ["clock", "lru", "2q", "lru-k", "lirs", "arc"];
}

impl Form for PoolPolicy {
    type Value = String;
    const NAME: &'static str = "eviction policy";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<String, String> {
        match PoolPolicy::ALL.contains(&text) {
            true => Ok(text.to_owned()),
            false => Err(format!("the policies are {}", PoolPolicy::ALL.join(", "))),
        }
    }

    fn print(value: &String) -> String {
        value.clone()
    }
}

/// `auto`, `ring` or `readiness`.
pub struct NetworkForm;

impl Form for NetworkForm {
    type Value = NetworkMethod;
    const NAME: &'static str = "\"auto\", \"ring\" or \"readiness\"";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<NetworkMethod, String> {
        match text {
            "auto" => Ok(NetworkMethod::Auto),
            "ring" => Ok(NetworkMethod::Ring),
            "readiness" => Ok(NetworkMethod::Readiness),
            _ => Err("the network methods are auto, ring and readiness".to_owned()),
        }
    }

    fn print(value: &NetworkMethod) -> String {
        let name = match value {
            NetworkMethod::Auto => "auto",
            NetworkMethod::Ring => "ring",
            NetworkMethod::Readiness => "readiness",
        };
        name.to_owned()
    }
}

/// How log lines look on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// `pretty` or `json`.
pub struct LogForm;

impl Form for LogForm {
    type Value = LogFormat;
    const NAME: &'static str = "\"pretty\" or \"json\"";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<LogFormat, String> {
        match text {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err("the formats are pretty and json".to_owned()),
        }
    }

    fn print(value: &LogFormat) -> String {
        match value {
            LogFormat::Pretty => "pretty".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    }
}

/// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or directives such as `info,rustydb_shard::proto=debug`.
pub struct LogFilter;

impl Form for LogFilter {
    type Value = String;
    const NAME: &'static str = "log filter";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Result<String, String> {
        match tracing_subscriber::EnvFilter::try_new(text) {
            // A word alone is a level; the library would take any other for a target.
            Ok(_) if !text.trim().is_empty() && text.split(',').all(is_directive) => {
                Ok(text.to_owned())
            }
            Ok(_) if !text.trim().is_empty() => Err(
                "this is not a log filter: a word alone must be a level (error, warn, info, debug, trace, off)".to_owned(),
            ),
            Ok(_) => Err("a log filter cannot be empty; use off to log nothing".to_owned()),
            Err(e) => Err(format!("this is not a log filter: {e}")),
        }
    }

    fn print(value: &String) -> String {
        value.clone()
    }
}

fn is_directive(directive: &str) -> bool {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let word = directive.trim().to_ascii_lowercase();
    word.contains(['=', '[']) || LEVELS.contains(&word.as_str())
}

/// A leading whole number (with `_` between digits) and the rest without spaces around it.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.replace('_', "").parse().ok()?, unit.trim_start()))
}

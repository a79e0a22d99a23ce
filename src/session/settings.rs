//! A session's run-time parameters: SET, SHOW, RESET.
//!
//! Owns: their names, defaults and what each may be. A parameter whose other values would need behaviour that does not
//! exist takes only the value that is true; asked for another it answers 0A000 rather than pretend.
//! Source: PostgreSQL 15 manual, chapter 20.

mod known;
mod zone;

use known::{DEFINITIONS, Definition, OFF, ON, Rule};
use sql::Isolation;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use types::text::Forms;
use types::text::forms::{self, Refused};
use types::{Error, Result, SqlState, limits};

pub struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What RESET goes back to, where it is not the built-in default.
    starts: BTreeMap<&'static str, String>,
    /// Parameters with a dot belong to whoever uses them.
    custom: BTreeMap<String, String>,
    forms: Forms,
    query_bytes_max: usize,
    asked: Asked,
}

/// What SHOW says of the server's configuration.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    pub data_dir: String,
    pub listen: String,
    pub socket_dir: String,
    pub connections_max: usize,
    /// Of all shards together.
    pub pool_bytes: usize,
}

/// What every request or transaction asks for, read from the values whenever one of them changes.
struct Asked {
    statement_timeout: Option<Duration>,
    lock_timeout: Option<Duration>,
    silence_max: Option<Duration>,
    isolation: Isolation,
    reads_only: bool,
    work_bytes: usize,
    forms: Rc<str>,
    search_path: Rc<str>,
}

/// Custom parameters of a session; one more: 54000.
const CUSTOM_MAX: usize = 256;

impl Settings {
    pub fn new(statement_timeout: Duration, query_bytes_max: usize, user: &str) -> Settings {
        let mut starts = BTreeMap::new();
        starts.insert("work_mem", show_kb(query_bytes_max as u64 / 1024));
        starts.insert("statement_timeout", show_ms(statement_timeout.as_millis()));
        starts.insert("session_authorization", user.to_string());
        let mut settings = Settings {
            values: BTreeMap::new(),
            starts,
            custom: BTreeMap::new(),
            forms: Forms::UTC,
            query_bytes_max,
            asked: Asked {
                statement_timeout: None,
                lock_timeout: None,
                silence_max: None,
                isolation: Isolation::ReadCommitted,
                reads_only: false,
                work_bytes: query_bytes_max,
                forms: Rc::default(),
                search_path: Rc::default(),
            },
        };
        settings.read();
        settings
    }

    fn read(&mut self) {
        let (isolation, reads_only) = self.read_transaction();
        self.asked = Asked {
            statement_timeout: self.read_ms("statement_timeout"),
            lock_timeout: self.read_ms("lock_timeout"),
            silence_max: self.read_ms("idle_in_transaction_session_timeout"),
            isolation,
            reads_only,
            work_bytes: self.read_work_bytes(),
            forms: self.read_forms(),
            search_path: self.read_search_path(),
        };
    }

    /// How long a client may be silent in a transaction, unless its session sets something else.
    pub fn starts_with_silence(&mut self, most: Duration) {
        let name = "idle_in_transaction_session_timeout";
        self.starts.insert(name, show_ms(most.as_millis()));
        self.read();
    }

    /// What the server's configuration says of itself.
    pub fn starts_with(&mut self, configured: &Configured) {
        let pool = show_kb(configured.pool_bytes as u64 / 1024);
        let all = [
            ("data_directory", configured.data_dir.clone()),
            ("listen_addresses", configured.listen.clone()),
            ("max_connections", configured.connections_max.to_string()),
            ("shared_buffers", pool),
            ("unix_socket_directories", configured.socket_dir.clone()),
        ];
        self.starts.extend(all);
    }

    pub fn starts_with_port(&mut self, port: u16) {
        self.starts.insert("port", port.to_string());
    }

    /// A setting of the startup packet becomes the session's default. Names the server does not know are refused as SET
    /// refuses them.
    pub fn set_at_start(&mut self, name: &str, value: &str) -> Result<()> {
        self.set(name, value)?;
        if let Ok(d) = find(name)
            && let Some(value) = self.values.remove(d.name)
        {
            self.starts.insert(d.name, value);
            self.read();
        }
        Ok(())
    }

    pub fn show(&self, name: &str) -> Result<String> {
        if name.contains('.') {
            return self
                .custom
                .get(&name.to_lowercase())
                .cloned()
                .ok_or_else(|| unknown(name));
        }
        find(name).map(|d| self.value(d))
    }

    /// Changes a parameter; answers its spelling and new value when the client is to be told.
    pub fn set(&mut self, name: &str, value: &str) -> Result<Option<(String, String)>> {
        if name.contains('.') {
            return self.set_custom(name, value);
        }
        let d = find(name)?;
        let value = d.accept(name, value, &self.forms)?;
        match d.name {
            "TimeZone" => self.forms.zone = zone::read(&value)?,
            "work_mem" => self.check_work(&value)?,
            _ => {}
        }
        let changed = self.value(d) != value;
        self.values.insert(d.name, value);
        self.read();
        Ok((changed && d.reported).then(|| (d.name.to_string(), self.value(d))))
    }

    /// What the session itself has set it to.
    pub fn own(&self, name: &str) -> Result<Option<String>> {
        if name.contains('.') {
            return Ok(self.custom.get(&name.to_lowercase()).cloned());
        }
        find(name).map(|d| self.values.get(d.name).cloned())
    }

    /// Sets it, or without a value resets it.
    pub fn put(&mut self, name: &str, value: Option<&str>) -> Result<Option<(String, String)>> {
        match value {
            Some(value) => self.set(name, value),
            None => self.reset(name),
        }
    }

    fn set_custom(&mut self, name: &str, value: &str) -> Result<Option<(String, String)>> {
        let name = name.to_lowercase();
        if !self.custom.contains_key(&name) && self.custom.len() >= CUSTOM_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a session can have at most {CUSTOM_MAX} custom parameters"),
            ));
        }
        self.custom.insert(name, value.to_string());
        Ok(None)
    }

    pub fn reset(&mut self, name: &str) -> Result<Option<(String, String)>> {
        if name.contains('.') {
            // It has been there, and stays without a value.
            if let Some(value) = self.custom.get_mut(&name.to_lowercase()) {
                value.clear();
            }
            return Ok(None);
        }
        let d = find(name)?;
        if matches!(d.rule, Rule::Fixed) {
            return Err(d.cannot_change());
        }
        let before = self.value(d);
        self.values.remove(d.name);
        self.read();
        let after = self.value(d);
        if d.name == "TimeZone" {
            self.forms.zone = zone::read(&after)?;
        }
        Ok((d.reported && before != after).then(|| (d.name.to_string(), after)))
    }

    /// Answers the reported ones that changed.
    pub fn reset_all(&mut self) -> Result<Vec<(String, String)>> {
        self.custom.values_mut().for_each(String::clear);
        let names: Vec<&str> = self.values.keys().copied().collect();
        let mut told = Vec::new();
        for name in names {
            told.extend(self.reset(name)?);
        }
        Ok(told)
    }

    /// Name and value of all, sorted by name.
    pub fn all(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = DEFINITIONS
            .iter()
            .map(|d| (d.name.to_string(), self.value(d)))
            .collect();
        all.extend(self.custom.iter().map(|(k, v)| (k.clone(), v.clone())));
        all
    }

    pub fn reported(&self) -> Vec<(String, String)> {
        DEFINITIONS
            .iter()
            .filter(|d| d.reported)
            .map(|d| (d.name.to_string(), self.value(d)))
            .collect()
    }

    pub fn forms(&self) -> Forms {
        self.forms.clone()
    }

    /// How long a statement may take; `None` = as long as it likes. So the others.
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.asked.statement_timeout
    }

    /// How long it may wait for a lock.
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.asked.lock_timeout
    }

    /// How long the client may be silent in a transaction.
    pub fn silence_max(&self) -> Option<Duration> {
        self.asked.silence_max
    }

    /// What a transaction is that does not say: its isolation, and whether it only reads.
    pub fn transaction(&self) -> (Isolation, bool) {
        (self.asked.isolation, self.asked.reads_only)
    }

    /// What each operator of a query may keep before it spills.
    pub fn work_bytes(&self) -> usize {
        self.asked.work_bytes
    }

    /// What a plan depends on: the forms that literals are read in, and where names are looked up.
    pub fn planning(&self) -> (Rc<str>, Rc<str>) {
        (self.asked.forms.clone(), self.asked.search_path.clone())
    }

    /// All but the zone, which is read when it is set; and what tells them all from others.
    fn read_forms(&mut self) -> Rc<str> {
        let shown = |name| self.show(name).unwrap_or_default();
        let (zone, dates) = (shown("TimeZone"), shown("DateStyle"));
        let (intervals, bytes) = (shown("IntervalStyle"), shown("bytea_output"));
        let key = format!("{zone} {dates} {intervals}");
        let now = (self.forms.dates, self.forms.order);
        (self.forms.dates, self.forms.order) = forms::date_style(&dates, now).unwrap_or(now);
        self.forms.intervals = forms::interval_style(&intervals).unwrap_or_default();
        self.forms.bytes = forms::bytes_form(&bytes).unwrap_or_default();
        key.into()
    }

    /// With the user's own name: who shares a plan means the same schemas.
    fn read_search_path(&self) -> Rc<str> {
        let path = self.show("search_path").unwrap_or_default();
        let user = self.show("session_authorization").unwrap_or_default();
        path.replace("$user", &user).into()
    }

    /// A timeout; `None` when it is 0.
    fn read_ms(&self, name: &str) -> Option<Duration> {
        let d = find(name).ok()?;
        if !self.values.contains_key(d.name) && !self.starts.contains_key(d.name) {
            // No default is anything but 0.
            return None;
        }
        let ms = parse_ms(&self.value(d))?;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    fn read_transaction(&self) -> (Isolation, bool) {
        let isolation = self.show("default_transaction_isolation");
        let isolation = match isolation.as_deref() {
            Ok("serializable") => Isolation::Serializable,
            Ok("repeatable read") => Isolation::RepeatableRead,
            _ => Isolation::ReadCommitted,
        };
        let reads = self.show("default_transaction_read_only");
        (isolation, reads.is_ok_and(|v| v == "on"))
    }

    fn read_work_bytes(&self) -> usize {
        let text = find("work_mem").map(|d| self.value(d)).ok();
        let kb = text.and_then(|text| parse_kb(&text));
        kb.map_or(self.query_bytes_max, |kb| kb as usize * 1024)
    }

    fn check_work(&self, value: &str) -> Result<()> {
        let kb = parse_kb(value).unwrap_or_default();
        let most = (self.query_bytes_max / 1024) as u64;
        let least = ((limits::WORK_BYTES_MIN / 1024) as u64).min(most);
        if (least..=most).contains(&kb) {
            return Ok(());
        }
        Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "{kb} kB is outside the valid range for parameter \"work_mem\" ({least} kB .. {most} kB)"
            ),
        )
        .with_hint("The most is the server's setting \"query_bytes_max\"."))
    }

    /// Whether a notice of this severity is to be sent.
    pub fn wants_notice(&self, warning: bool) -> bool {
        match self.show("client_min_messages").as_deref() {
            Ok("error") => false,
            Ok("warning") => warning,
            _ => true,
        }
    }

    fn value(&self, d: &Definition) -> String {
        self.values
            .get(d.name)
            .or_else(|| self.starts.get(d.name))
            .cloned()
            .unwrap_or_else(|| d.default.to_string())
    }
}

fn find(name: &str) -> Result<&'static Definition> {
    let name = match name.to_ascii_lowercase().as_str() {
        "names" => "client_encoding".to_string(),
        "time zone" => "timezone".to_string(),
        other => other.to_string(),
    };
    DEFINITIONS
        .iter()
        .find(|d| d.name.eq_ignore_ascii_case(&name))
        .ok_or_else(|| unknown(&name))
}

fn unknown(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

impl Definition {
    /// The value in the form SHOW prints. Errors of words and switches call the parameter as it was called.
    fn accept(&self, called: &str, value: &str, now: &Forms) -> Result<String> {
        let lower = value.trim().to_ascii_lowercase();
        match &self.rule {
            Rule::Fixed => Err(self.cannot_change()),
            Rule::Any => Ok(value.to_string()),
            Rule::Only(ways) if ways.contains(&lower.as_str()) => Ok(self.default.to_string()),
            Rule::Only(_) => Err(Error::unsupported(format!(
                "parameter \"{}\" can only be \"{}\", not \"{value}\"",
                self.name, self.default
            ))),
            Rule::OneOf(ways) if ways.contains(&lower.as_str()) => Ok(lower),
            Rule::OneOf(ways) => {
                Err(invalid(called, value)
                    .with_hint(format!("Available values: {}.", ways.join(", "))))
            }
            Rule::Bool if ON.contains(&lower.as_str()) => Ok("on".into()),
            Rule::Bool if OFF.contains(&lower.as_str()) => Ok("off".into()),
            Rule::Bool => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{called}\" requires a Boolean value"),
            )),
            Rule::Isolation => match lower.as_str() {
                "read committed" | "repeatable read" | "serializable" => Ok(lower),
                // As PostgreSQL, which has no weaker one either.
                "read uncommitted" => Ok("read committed".into()),
                _ => Err(self.invalid(value)),
            },
            Rule::Milliseconds => parse_ms(&lower)
                .map(|ms| show_ms(ms.into()))
                .ok_or_else(|| self.invalid(value)),
            Rule::Kilobytes => parse_kb(value).map(show_kb).ok_or_else(|| {
                self.invalid(value).with_hint(
                    "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                )
            }),
            Rule::TimeZone => zone::canonical(value),
            Rule::DateStyle => forms::date_style(value, (now.dates, now.order))
                .map(forms::date_style_text)
                .map_err(|refused| {
                    self.invalid(value).with_detail(match refused {
                        Refused::Word(word) => format!("Unrecognized key word: \"{word}\"."),
                        Refused::Conflict => "Conflicting \"datestyle\" specifications.".to_owned(),
                    })
                }),
            Rule::SearchPath => Ok(value.to_string()),
            Rule::Hint(kind) => kind.accept(&lower).ok_or_else(|| self.invalid(value)),
        }
    }

    fn invalid(&self, value: &str) -> Error {
        invalid(self.name, value)
    }

    fn cannot_change(&self) -> Error {
        Error::new(
            SqlState::CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{}\" cannot be changed", self.name),
        )
    }
}

fn invalid(name: &str, value: &str) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

/// `30s`, `500`, `1min`: milliseconds without a unit.
fn parse_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|ms| *ms <= i32::MAX as u64)
}

/// As SHOW prints a duration: the largest unit that divides it.
fn show_ms(ms: u128) -> String {
    match ms {
        0 => "0".into(),
        _ if ms.is_multiple_of(86_400_000) => format!("{}d", ms / 86_400_000),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}min", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// `4MB`, `64 kB`, `512`: kilobytes without a unit, and rounded to them. Units are spelt exactly so.
fn parse_kb(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let kb = match text[digits..].trim() {
        "B" => number.checked_add(512)? / 1024,
        "" | "kB" => number,
        "MB" => number.checked_mul(1 << 10)?,
        "GB" => number.checked_mul(1 << 20)?,
        "TB" => number.checked_mul(1 << 30)?,
        _ => return None,
    };
    Some(kb).filter(|kb| *kb <= i32::MAX as u64)
}

/// As SHOW prints memory: the largest unit that divides it.
fn show_kb(kb: u64) -> String {
    match kb {
        0 => "0".into(),
        _ if kb.is_multiple_of(1 << 30) => format!("{}TB", kb >> 30),
        _ if kb.is_multiple_of(1 << 20) => format!("{}GB", kb >> 20),
        _ if kb.is_multiple_of(1 << 10) => format!("{}MB", kb >> 10),
        _ => format!("{kb}kB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(Duration::from_secs(30), 64 << 20, "ann")
    }

    #[test]
    fn memory_reads_and_shows_as_in_postgresql_up_to_what_a_query_has() {
        let mut s = settings();
        assert_eq!(s.show("work_mem").unwrap(), "64MB");
        assert_eq!(s.work_bytes(), 64 << 20);
        for (text, shown, bytes) in [
            ("4MB", "4MB", 4 << 20),
            ("2048", "2MB", 2 << 20),
            ("100 kB", "100kB", 100 << 10),
            ("65536", "64MB", 64 << 20),
            ("64", "64kB", 64 << 10),
        ] {
            s.set("work_mem", text).unwrap();
            assert_eq!(s.show("work_mem").unwrap(), shown);
            assert_eq!(s.work_bytes(), bytes);
        }
        for refused in ["65537", "63", "1GB", "4mb", "much", "-1", "99999999TB"] {
            let error = s.set("work_mem", refused).unwrap_err();
            assert_eq!(error.code(), SqlState::INVALID_PARAMETER_VALUE, "{refused}");
        }
        assert_eq!(s.work_bytes(), 64 << 10);
        s.reset("work_mem").unwrap();
        assert_eq!(s.work_bytes(), 64 << 20);
    }

    #[test]
    fn a_changed_reported_parameter_is_told_once() {
        let mut s = settings();
        assert_eq!(
            s.set("application_name", "x").unwrap(),
            Some(("application_name".into(), "x".into()))
        );
        assert_eq!(s.set("application_name", "x").unwrap(), None);
        assert_eq!(
            s.reset("application_name").unwrap(),
            Some(("application_name".into(), String::new()))
        );
    }

    #[test]
    fn durations_read_and_show_as_in_postgresql() {
        let mut s = settings();
        assert_eq!(s.show("statement_timeout").unwrap(), "30s");
        s.set("statement_timeout", "1500").unwrap();
        assert_eq!(s.show("STATEMENT_TIMEOUT").unwrap(), "1500ms");
        s.set("statement_timeout", "2min").unwrap();
        assert_eq!(s.statement_timeout(), Some(Duration::from_secs(120)));
        assert!(s.set("statement_timeout", "soon").is_err());
        s.set("statement_timeout", "0").unwrap();
        assert_eq!(s.statement_timeout(), None);
    }

    #[test]
    fn what_does_not_exist_is_refused_by_the_right_code() {
        let mut s = settings();
        let code = |r: Result<Option<(String, String)>>| r.unwrap_err().code();
        assert_eq!(code(s.set("nonsense", "1")), SqlState::UNDEFINED_OBJECT);
        assert_eq!(
            code(s.set("server_version", "16")),
            SqlState::CANT_CHANGE_RUNTIME_PARAM
        );
        assert_eq!(
            code(s.set("datestyle", "Martian")),
            SqlState::INVALID_PARAMETER_VALUE
        );
        s.set("datestyle", "German").unwrap();
        assert_eq!(s.show("DateStyle").unwrap(), "German, DMY");
        s.set("datestyle", "iso").unwrap();
        assert_eq!(s.show("DateStyle").unwrap(), "ISO, DMY");
        assert_eq!(
            code(s.set("timezone", "Mars/Olympus")),
            SqlState::INVALID_PARAMETER_VALUE
        );
        assert_eq!(
            code(s.set("client_encoding", "LATIN1")),
            SqlState::FEATURE_NOT_SUPPORTED
        );
        s.set("client_encoding", "utf-8").unwrap();
        assert_eq!(s.show("client_encoding").unwrap(), "UTF8");
    }

    #[test]
    fn what_postgresql_has_is_known_and_takes_only_what_is_so() {
        let mut s = settings();
        for (name, so, other) in [
            ("quote_all_identifiers", "off", "on"),
            ("session_replication_role", "origin", "replica"),
            ("lc_messages", "C", "de_DE"),
        ] {
            assert_eq!(s.show(name).unwrap(), so);
            s.set(name, so).unwrap();
            let refused = s.set(name, other).unwrap_err();
            assert_eq!(refused.code(), SqlState::FEATURE_NOT_SUPPORTED, "{name}");
        }
        assert_eq!(s.show("ssl").unwrap(), "off");
    }

    #[test]
    fn what_is_only_advice_is_kept_and_shown() {
        let mut s = settings();
        for (name, value, shown) in [
            ("enable_seqscan", "FALSE", "off"),
            ("random_page_cost", "1.1", "1.1"),
            ("plan_cache_mode", "force_custom_plan", "force_custom_plan"),
            ("synchronous_commit", "off", "off"),
            ("maintenance_work_mem", "1GB", "1GB"),
            ("max_parallel_workers_per_gather", "4", "4"),
        ] {
            s.set(name, value).unwrap();
            assert_eq!(s.show(name).unwrap(), shown);
        }
        for (name, wrong) in [
            ("enable_seqscan", "never"),
            ("random_page_cost", "cheap"),
            ("plan_cache_mode", "generic"),
            ("join_collapse_limit", "0.5"),
        ] {
            let error = s.set(name, wrong).unwrap_err();
            assert_eq!(error.code(), SqlState::INVALID_PARAMETER_VALUE, "{name}");
        }
    }

    #[test]
    fn offsets_are_zones_and_show_as_in_postgresql() {
        let mut s = settings();
        for (value, shown) in [
            ("INTERVAL '+05:30'", "<+05:30>-05:30"),
            ("interval '-03:00:30'", "<-03:00:30>+03:00:30"),
            ("3", "<+03>-03"),
            ("-3.5", "<-03:30>+03:30"),
            ("INTERVAL '00:00'", "<+00>-00"),
            ("<+05:30>-05:30", "<+05:30>-05:30"),
        ] {
            s.set("timezone", value).unwrap();
            assert_eq!(s.show("TimeZone").unwrap(), shown);
        }
        let east = s.forms().zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(east.seconds(), 5 * 3600 + 1800);
        for wrong in [
            "interval '1 day'",
            "interval '1 month'",
            "interval '200 hours'",
            "interval 'x'",
        ] {
            let error = s.set("timezone", wrong).unwrap_err();
            assert_eq!(error.code(), SqlState::INVALID_PARAMETER_VALUE, "{wrong}");
        }
    }

    #[test]
    fn custom_parameters_stop_at_their_ceiling() {
        let mut s = settings();
        for n in 0..CUSTOM_MAX {
            s.set(&format!("my.p{n}"), "1").unwrap();
        }
        assert_eq!(
            s.set("my.more", "1").unwrap_err().code(),
            SqlState::PROGRAM_LIMIT_EXCEEDED
        );
        s.set("my.p0", "2").unwrap();
        assert_eq!(s.show("My.P0").unwrap(), "2");
    }
}

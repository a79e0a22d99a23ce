//! Log lines on standard error: pretty for people, JSON for machines, each with its shard and the fields of its spans.
//!
//! Owns: the `tracing` subscriber of the process. Asked by: `main` once; each shard calls `enter_shard` when it starts.
//! Never: waits for whoever reads the log (a thread of `runtime` writes), logs a value a client sent as a parameter, colours a line.
//! Bounds: a line of `LINE_BYTES_MAX`, cut with a mark beyond; `LINES_WAITING_MAX` lines wait for standard error, one more is
//! dropped and counted.
//! Source: RFC 3339 for timestamps.

use serde_json::{Map, Value as Json};
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use types::ShardId;

/// A longer line is cut: a log must not become a copy of somebody's 1 MiB statement.
pub const LINE_BYTES_MAX: usize = 8 << 10;

/// How to log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub json: bool,
    /// A level or directives, as `EnvFilter` takes them.
    pub filter: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log filter \"{filter}\" is not valid: {why}")]
    Filter { filter: String, why: String },
    #[error("logging was already started")]
    Started,
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(std::io::Error),
}

/// Lines that wait for standard error. With `LINE_BYTES_MAX` each that is 32 MiB; one more is dropped and counted.
pub const LINES_WAITING_MAX: usize = 4096;

/// How long the end of the process waits for the last lines.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

static WRITER: OnceLock<runtime::Lines> = OnceLock::new();

thread_local! {
    static SHARD: Cell<Option<ShardId>> = const { Cell::new(None) };
}

/// Starts logging for the process.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|e| LogError::Filter {
        filter: options.filter.clone(),
        why: e.to_string(),
    })?;
    let started = runtime::Lines::to_stderr(LINES_WAITING_MAX).map_err(LogError::Thread)?;
    WRITER.set(started).map_err(|_| LogError::Started)?;
    let lines = Lines {
        json: options.json,
        write: |line: String| {
            if let Some(writer) = WRITER.get() {
                writer.push(line.into_bytes());
            }
        },
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|_| LogError::Started)
}

/// Tells this thread which shard it is; its lines carry the number from now on.
pub fn enter_shard(shard: ShardId) {
    SHARD.with(|s| s.set(Some(shard)));
}

/// Lines that standard error did not take, over the whole process.
pub fn lines_dropped() -> u64 {
    WRITER.get().map_or(0, runtime::Lines::dropped)
}

/// Waits a moment for the last lines; for the end of the process, never on a shard.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_WAIT);
    }
}

/// Formats each event as one line and hands it over.
struct Lines<W> {
    json: bool,
    write: W,
}

/// The fields of a span, kept with it until it closes.
struct SpanFields(Fields);

#[derive(Default)]
struct Fields(Vec<(&'static str, Json)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Json::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Json::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Json::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Json::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Json::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Json::from(value));
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Json) {
        self.0.retain(|(name, _)| *name != field.name());
        self.0.push((field.name(), value));
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(String) + 'static,
{
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(of_span)) = span.extensions().get() {
                for (name, value) in &of_span.0 {
                    // The innermost span's value of a name stands.
                    if !fields.0.iter().any(|(known, _)| known == name) {
                        fields.0.push((name, value.clone()));
                    }
                }
            }
        }
        event.record(&mut fields);
        let meta = event.metadata();
        let line = Line {
            micros: runtime::wall_micros(),
            level: *meta.level(),
            target: meta.target(),
            shard: SHARD.with(Cell::get),
            fields,
        };
        let mut text = match self.json {
            true => line.json(),
            false => line.pretty(),
        };
        text.push('\n');
        (self.write)(text);
    }
}

struct Line<'a> {
    /// Since the Unix epoch.
    micros: i64,
    level: Level,
    target: &'a str,
    shard: Option<ShardId>,
    fields: Fields,
}

impl Line<'_> {
    fn timestamp(&self) -> String {
        match jiff::Timestamp::from_microsecond(self.micros) {
            Ok(t) => format!("{t:.6}"),
            Err(_) => self.micros.to_string(),
        }
    }

    /// `TIME LEVEL [shard] target: message name=value …`
    fn pretty(mut self) -> String {
        let mut out = format!("{} {:>5} ", self.timestamp(), self.level);
        if let Some(shard) = self.shard {
            let _ = write!(out, "[{shard}] ");
        }
        let _ = write!(out, "{}:", self.target);
        if let Some(message) = self.take_message() {
            out.push(' ');
            push_plain(&mut out, &message);
        }
        for (name, value) in &self.fields.0 {
            let _ = write!(out, " {name}=");
            match value {
                Json::String(s) if s.contains(|c: char| c.is_whitespace() || c == '"') => {
                    let _ = write!(out, "{value}");
                }
                Json::String(s) => push_plain(&mut out, s),
                other => {
                    let _ = write!(out, "{other}");
                }
            }
        }
        cut(&mut out, LINE_BYTES_MAX);
        out
    }

    fn json(mut self) -> String {
        let mut map = Map::new();
        map.insert("timestamp".to_owned(), Json::from(self.timestamp()));
        map.insert("level".to_owned(), Json::from(self.level.as_str()));
        map.insert("target".to_owned(), Json::from(self.target));
        if let Some(shard) = self.shard {
            map.insert("shard".to_owned(), Json::from(shard.0));
        }
        // Cut inside the strings, so that a long line is still an object.
        let mut room = LINE_BYTES_MAX;
        if let Some(mut message) = self.take_message() {
            cut(&mut message, room);
            room -= message.len().min(room);
            map.insert("message".to_owned(), Json::from(message));
        }
        for (name, mut value) in self.fields.0 {
            if let Json::String(text) = &mut value {
                cut(text, room);
                room -= text.len().min(room);
            }
            map.insert(name.to_owned(), value);
        }
        Json::Object(map).to_string()
    }

    fn take_message(&mut self) -> Option<String> {
        let at = self
            .fields
            .0
            .iter()
            .position(|(name, _)| *name == "message")?;
        match self.fields.0.remove(at).1 {
            Json::String(message) => Some(message),
            other => Some(other.to_string()),
        }
    }
}

/// Control characters are escaped: a client's text must not forge a second line.
fn push_plain(out: &mut String, text: &str) {
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
}

/// Cuts at a character boundary and says so.
fn cut(text: &mut String, bytes_max: usize) {
    const MARK: &str = "…(cut)";
    if text.len() > bytes_max {
        let end = text.floor_char_boundary(bytes_max.saturating_sub(MARK.len()));
        text.truncate(end);
        text.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn logged(json: bool, body: impl FnOnce()) -> String {
        let out = Arc::new(Mutex::new(String::new()));
        let sink = out.clone();
        let lines = Lines {
            json,
            write: move |line: String| sink.lock().unwrap().push_str(&line),
        };
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, body);
        out.lock().unwrap().clone()
    }

    #[test]
    fn a_line_carries_its_shard_and_the_fields_of_its_spans() {
        enter_shard(ShardId(3));
        let event = || {
            let span =
                tracing::info_span!("request", request_id = "ab12", user = tracing::field::Empty);
            span.record("user", "ann");
            let _entered = span.enter();
            tracing::warn!(rows = 5, "slow statement");
        };
        let line: Json = serde_json::from_str(&logged(true, event)).unwrap();
        assert_eq!(line["shard"], 3);
        assert_eq!(line["request_id"], "ab12");
        assert_eq!(line["user"], "ann");
        assert_eq!(line["rows"], 5);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "slow statement");
        let pretty = logged(false, event);
        assert!(pretty.contains(" WARN [3] "), "{pretty}");
        assert!(pretty.contains(": slow statement request_id=ab12 user=ann rows=5\n"));
    }

    #[test]
    fn a_clients_text_cannot_forge_a_second_line() {
        let event = || tracing::info!(sql = "select\n1\u{1b}[2J", "a\nb");
        for json in [true, false] {
            let text = logged(json, event);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_long_line_is_cut_and_a_cut_json_line_still_parses() {
        let long = "é".repeat(LINE_BYTES_MAX);
        let event = || tracing::info!(sql = %long, more = %long, "x");
        assert!(logged(false, event).len() <= LINE_BYTES_MAX + 1);
        let text = logged(true, event);
        assert!(text.len() < LINE_BYTES_MAX + 512);
        let line: Json = serde_json::from_str(&text).unwrap();
        assert!(line["sql"].as_str().unwrap().ends_with("…(cut)"));
        let exact = "x".repeat(LINE_BYTES_MAX);
        let mut kept = exact.clone();
        cut(&mut kept, LINE_BYTES_MAX);
        assert_eq!(kept, exact);
    }
}

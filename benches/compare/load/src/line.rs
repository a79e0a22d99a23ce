//! What was measured, as one line with tabs between its fields; `-` where a run does not measure something.

use crate::process;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

pub const HEADER: &str = "requests\trate\tp50_us\tp99_us\tp999_us\tmax_us\terrors\tcpu_us\tcpu_percent\tclient_cpu_us\tkib\tlate_us";

/// Longer is recorded as this.
const LONGEST: Duration = Duration::from_secs(600);

/// Times in nanoseconds, three digits of them.
pub fn histogram() -> Histogram<u64> {
    let longest = LONGEST.as_nanos() as u64;
    Histogram::new_with_bounds(1, longest, 3).expect("bounds that are allowed")
}

/// What a part of a client has seen.
pub struct Seen {
    pub took: Histogram<u64>,
    /// How long after its time a request was sent.
    pub late: Histogram<u64>,
    pub errors: u64,
    /// The first of them.
    pub why: Option<String>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            took: histogram(),
            late: histogram(),
            errors: 0,
            why: None,
        }
    }
}

impl Seen {
    pub fn failed(&mut self, why: impl ToString) {
        self.errors += 1;
        self.why.get_or_insert_with(|| why.to_string());
    }

    pub fn add(&mut self, other: Seen) {
        self.took.add(other.took).expect("the same digits");
        self.late.add(other.late).expect("the same digits");
        self.errors += other.errors;
        self.why = self.why.take().or(other.why);
    }
}

/// What the server's processes and this one have used since a moment.
pub struct Used {
    pids: Vec<u32>,
    since: Instant,
    server: Duration,
    client: Duration,
}

/// Between two moments.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub wall: Duration,
    /// None without processes to look at.
    pub server: Option<Duration>,
    pub client: Duration,
}

impl Used {
    pub fn since_now(pids: &[u32]) -> Used {
        Used {
            pids: pids.to_vec(),
            since: Instant::now(),
            server: process::cpu(pids),
            client: process::cpu(&[std::process::id()]),
        }
    }

    pub fn until_now(&self) -> Usage {
        let server = process::cpu(&self.pids).saturating_sub(self.server);
        Usage {
            wall: self.since.elapsed(),
            server: (!self.pids.is_empty()).then_some(server),
            client: process::cpu(&[std::process::id()]).saturating_sub(self.client),
        }
    }
}

/// Prints the line; true when there was no error.
pub fn print(seen: &Seen, usage: Usage, kib: Option<f64>) -> bool {
    let requests = seen.took.len();
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
    let a_request =
        |time: Duration| (requests > 0).then(|| time.as_secs_f64() * 1e6 / requests as f64);
    let quantile = |q| number((requests > 0).then(|| seen.took.value_at_quantile(q) as f64 / 1e3));
    let seconds = usage.wall.as_secs_f64();
    let percent = usage.server.map(|cpu| cpu.as_secs_f64() / seconds * 100.0);
    let late = (!seen.late.is_empty()).then(|| seen.late.value_at_quantile(0.99) as f64 / 1e3);
    let fields = [
        requests.to_string(),
        number(Some(requests as f64 / seconds)),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
        seen.errors.to_string(),
        number(usage.server.and_then(a_request)),
        number(percent),
        number(a_request(usage.client)),
        number(kib),
        number(late),
    ];
    println!("{}", fields.join("\t"));
    if let Some(why) = &seen.why {
        eprintln!("{} errors, the first: {why}", seen.errors);
    }
    seen.errors == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_recorded_to_three_digits() {
        let mut took = histogram();
        took.saturating_record(Duration::from_secs(1).as_nanos() as u64);
        let ns = took.value_at_quantile(0.5);
        assert!((999_000_000..1_001_000_000).contains(&ns), "{ns}");
    }

    #[test]
    fn the_first_error_is_kept() {
        let (mut all, mut one) = (Seen::default(), Seen::default());
        one.failed("first");
        one.failed("second");
        all.add(one);
        assert_eq!((all.errors, all.why.as_deref()), (2, Some("first")));
    }
}

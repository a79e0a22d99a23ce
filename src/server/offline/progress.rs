//! A line of progress on standard error, where somebody looks at it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

/// How often the line is drawn again.
const PERIOD: Duration = Duration::from_millis(100);

/// Draws `what: 42 % of 1.5 GiB, 12 s left` over itself; nothing when standard error is no terminal.
pub struct Progress {
    what: String,
    began: runtime::Instant,
    drawn: Option<runtime::Instant>,
    shown: bool,
}

impl Progress {
    pub fn new(what: impl Into<String>) -> Progress {
        Progress {
            what: what.into(),
            began: runtime::Instant::now(),
            drawn: None,
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// Of `total` units, `done` are.
    pub fn update(&mut self, done: u64, total: u64) {
        if !self.shown || self.drawn.is_some_and(|at| at.elapsed() < PERIOD) {
            return;
        }
        self.drawn = Some(runtime::Instant::now());
        let line = line(&self.what, done, total, self.began.elapsed());
        eprint!("\r\x1b[K{line}");
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let share = if total == 0 {
        1.0
    } else {
        (done as f64 / total as f64).min(1.0)
    };
    let left = match share > 0.0 {
        true => format!(
            ", {:.0} s left",
            elapsed.as_secs_f64() * (1.0 - share) / share
        ),
        false => String::new(),
    };
    format!("{what}: {:.0} %{left}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_share_that_is_done() {
        let ten = Duration::from_secs(10);
        assert_eq!(line("p", 25, 100, ten), "p: 25 %, 30 s left");
        assert_eq!(line("p", 0, 100, ten), "p: 0 %");
        assert_eq!(line("p", 0, 0, ten), "p: 100 %, 0 s left");
    }
}

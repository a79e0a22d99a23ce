//! `rustydb-shard doctor`: what of this host a server would trip over, and what would make it faster.
//!
//! Asked by: `main`. Never: starts a shard, changes a setting. What is looked at is `runtime::probe::advice`'s to know.

use crate::config::Config;
use runtime::probe::advice::{Outcome, examine};

/// Prints what was found. `true` when a server could start.
pub fn doctor(config: &Config) -> bool {
    let found = examine(config.shards(), config.connections_max, &config.data_dir);
    let width = found.iter().map(|f| f.subject.len()).max().unwrap_or(0);
    let (mut problems, mut advices) = (0, 0);
    for finding in &found {
        let subject = finding.subject;
        match &finding.outcome {
            Outcome::Fine { what } => println!("  ok     {subject:width$}  {what}"),
            Outcome::Advice { what, fix } => {
                advices += 1;
                println!("  better {subject:width$}  {what}");
                println!("         {:width$}  -> {fix}", "");
            }
            Outcome::Problem { what, fix } => {
                problems += 1;
                println!("  WRONG  {subject:width$}  {what}");
                println!("         {:width$}  -> {fix}", "");
            }
        }
    }
    println!(
        "{}",
        match (problems, advices) {
            (0, 0) => "Nothing to change.".to_owned(),
            (0, n) => format!("A server starts here; {n} things could be better."),
            (n, _) => format!("A server does not start here: {n} things are wrong."),
        }
    );
    problems == 0
}

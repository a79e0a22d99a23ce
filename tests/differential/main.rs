//! The same statements to this server and to a real PostgreSQL, and the same answers from both.
//!
//! Owns: cases made from a seed: tables, rows, then queries and changes over them. Rows are compared as text, unordered unless
//! the query orders them, errors by SQLSTATE, changes also by their count. A statement that differs is printed with its
//! seed and as little of what came before it as still shows the difference.
//! `cargo test` runs a sample; `DIFFERENTIAL_STATEMENTS=100000` runs so many, `DIFFERENTIAL_SEED=7` begins elsewhere.
//! Differences that stay are in `known`, each with its reason in docs/sql-differences.md.

mod cluster;
mod compare;
mod dice;
mod dumps;
mod expressions;
mod known;
mod queries;
mod schema;
#[path = "../support/mod.rs"]
mod support;

use cluster::Cluster;
use compare::Both;
use dice::Dice;
use schema::Schema;

/// What `cargo test` runs.
const SAMPLE: u64 = 3_000;
const STATEMENTS_A_CASE: usize = 60;
/// More would only repeat them.
const DIFFERENCES_MAX: usize = 12;

#[test]
fn both_servers_give_the_same_answers() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let statements = number("DIFFERENTIAL_STATEMENTS").unwrap_or(SAMPLE);
    let first = number("DIFFERENTIAL_SEED").unwrap_or(1);
    support::on_server(2, &[], async |_, ours| {
        let theirs = cluster.connect().await;
        let both = Both { ours, theirs };
        let (mut run, mut seed) = (0, first);
        let mut differences = Vec::new();
        while run < statements && differences.len() < DIFFERENCES_MAX {
            run += case(seed, &both, &mut differences).await;
            seed += 1;
        }
        let count = differences.len();
        let text = differences.join("\n\n");
        assert!(count == 0, "{count} of {run} differ:\n\n{text}");
        println!("{run} statements, seeds {first} to {}", seed - 1);
    });
}

/// One set of tables and the statements over it; how many those were.
async fn case(seed: u64, both: &Both, differences: &mut Vec<String>) -> u64 {
    let dice = Dice::new(seed);
    let schema = Schema::random(&dice);
    let mut past = schema.statements(&dice);
    both.fresh(&schema.drops()).await;
    let mut run = 0;
    for sql in past.clone() {
        run += 1;
        if let Err(difference) = both.differ(&sql, false).await {
            differences.push(format!("seed {seed}, setup: {sql}\n{difference}"));
            return run;
        }
    }
    for _ in 0..STATEMENTS_A_CASE {
        let statement = queries::statement(&dice, &schema);
        run += 1;
        let difference = both.differ(&statement.sql, statement.ordered).await;
        if difference == Ok(true) && statement.changes {
            // From here on the tables are not the same.
            return run;
        }
        if let Err(difference) = difference {
            let needed = both.shrunk(&schema.drops(), &past, &statement).await;
            differences.push(format!(
                "seed {seed}:\n{};\n{};\n{difference}",
                needed.join(";\n"),
                statement.sql
            ));
            return run;
        }
        if statement.changes {
            past.push(statement.sql);
        }
    }
    run
}

//! Both servers' answers to one statement, and the search for what of the past a difference needs.

use super::known;
use super::queries::Statement;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

pub struct Both {
    pub ours: Client,
    pub theirs: Client,
}

/// What a statement gave: rows as text and a count, or an SQLSTATE.
#[derive(PartialEq, Debug)]
pub enum Answer {
    Rows(Vec<Vec<Option<String>>>, u64),
    Failed(String, String),
}

/// Tries of a smaller past.
const TRIES_MAX: usize = 400;

impl Both {
    pub async fn fresh(&self, drops: &str) {
        self.ours.batch_execute(drops).await.unwrap();
        self.theirs.batch_execute(drops).await.unwrap();
    }

    /// `Err`: both answers where they differ; `Ok(true)` where they do and it is known.
    pub async fn differ(&self, sql: &str, ordered: bool) -> Result<bool, String> {
        let (ours, theirs) = futures_util::future::join(
            answer(&self.ours, &ours_only(sql), ordered),
            answer(&self.theirs, sql, ordered),
        )
        .await;
        let same = match (&ours, &theirs) {
            (Answer::Failed(a, _), Answer::Failed(b, _)) => a == b,
            (a, b) => a == b,
        };
        match !same && !known::is_known(sql, &ours, &theirs) {
            true => Err(format!(
                "-- ours:   {}\n-- theirs: {}",
                short(&ours),
                short(&theirs)
            )),
            false => Ok(!same),
        }
    }

    /// As few of the statements before it as still make it differ.
    pub async fn shrunk(&self, drops: &str, past: &[String], last: &Statement) -> Vec<String> {
        let mut kept: Vec<String> = past.to_vec();
        let mut tries = 0;
        let mut step = kept.len().div_ceil(2);
        while step > 0 {
            let mut at = 0;
            while at < kept.len() && tries < TRIES_MAX {
                tries += 1;
                let mut fewer = kept.clone();
                fewer.drain(at..(at + step).min(kept.len()));
                if self.still(drops, &fewer, last).await {
                    kept = fewer;
                } else {
                    at += step;
                }
            }
            step /= 2;
        }
        kept
    }

    async fn still(&self, drops: &str, past: &[String], last: &Statement) -> bool {
        self.fresh(drops).await;
        for sql in past {
            let ours = self.ours.batch_execute(&ours_only(sql)).await.is_ok();
            let theirs = self.theirs.batch_execute(sql).await.is_ok();
            if ours != theirs {
                return false;
            }
        }
        // A table that is missing is missing in both.
        self.differ(&last.sql, last.ordered).await.is_err()
    }
}

/// With what is a comment for PostgreSQL.
fn ours_only(sql: &str) -> String {
    match sql.contains("/*!") {
        true => sql.replace("/*!", "").replace("*/", ""),
        false => sql.to_owned(),
    }
}

async fn answer(client: &Client, sql: &str, ordered: bool) -> Answer {
    match client.simple_query(sql).await {
        Ok(messages) => rows(messages, ordered),
        Err(e) => failed(&e),
    }
}

fn rows(messages: Vec<SimpleQueryMessage>, ordered: bool) -> Answer {
    let (mut rows, mut count) = (Vec::new(), 0);
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                // Equal floats may have another sign of zero, by the order in which they came.
                let shown = |text: &str| if text == "-0" { "0" } else { text }.to_owned();
                let value = |i| row.get(i).map(shown);
                rows.push((0..row.len()).map(value).collect::<Vec<_>>());
            }
            SimpleQueryMessage::CommandComplete(n) => count = n,
            _ => {}
        }
    }
    if !ordered {
        rows.sort();
    }
    Answer::Rows(rows, count)
}

fn failed(e: &Error) -> Answer {
    match e.as_db_error() {
        Some(e) => Answer::Failed(e.code().code().to_owned(), e.message().to_owned()),
        None => Answer::Failed("lost".into(), e.to_string()),
    }
}

fn short(answer: &Answer) -> String {
    match answer {
        Answer::Failed(code, message) => format!("{code} {message}"),
        Answer::Rows(rows, count) => {
            let shown: Vec<String> = rows.iter().take(12).map(|r| line(r)).collect();
            format!("{count} rows: {}", shown.join(" | "))
        }
    }
}

fn line(row: &[Option<String>]) -> String {
    let values = row.iter().map(|v| v.as_deref().unwrap_or("NULL"));
    values.collect::<Vec<_>>().join(",")
}

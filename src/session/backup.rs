//! BACKUP TO.
//!
//! Owns: where backups may be: directories right in the configured one, by name, so that a client cannot write elsewhere.
//! Never: ends at the statement's timeout: a backup takes as long as its data; a cancel request ends it.

use super::Session;
use super::statement::Started;
use super::utility::in_block;
use crate::router::backup::{Job, Taken};
use crate::telemetry::StatementKind;
use engine::txn::Stop;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{Column, DataType, Error, Result, Row, SqlState, Value};

/// How often a cancel request is looked for.
const POLL: Duration = Duration::from_millis(50);
const NAME_BYTES_MAX: usize = 128;

/// Ends the backup when the session goes.
struct Ends(Arc<Stop>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Session {
    pub(super) async fn backup(
        &self,
        name: &str,
        base: Option<&str>,
        stop: &Arc<Stop>,
    ) -> Result<Started> {
        if self.block.borrow().is_explicit() {
            return Err(in_block("BACKUP"));
        }
        let job = Job {
            to: self.backup_path(name)?,
            base: base.map(|b| self.backup_path(b)).transpose()?,
            pid: self.key.pid,
        };
        let ends = Ends(Stop::at(None));
        let mut taking = Box::pin(self.node.router.backup(job, ends.0.clone()));
        let taken = loop {
            match runtime::timeout(POLL, &mut taking).await {
                Ok(taken) => break taken?,
                Err(_) if stop.is_cancelled() => ends.0.cancel(),
                Err(_) => {}
            }
        };
        Ok(told(name, taken))
    }

    fn backup_path(&self, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_alphanumeric() || "._-:".contains(c);
        if name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || name.starts_with('.')
            || !name.chars().all(plain)
        {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("\"{name}\" cannot be the name of a backup"),
            )
            .with_hint(format!(
                "It is a directory in backup_dir: letters, digits and . _ - : without a leading dot, {NAME_BYTES_MAX} bytes at most."
            )));
        }
        Ok(self.node.options.backup_dir.join(name))
    }
}

fn told(name: &str, taken: Taken) -> Started {
    let micros = (taken.to.0 / 1_000) as i64 - super::EPOCH_MICROS;
    let count = |n: u64| Value::Int8(i64::try_from(n).unwrap_or(i64::MAX));
    let row: Row = vec![
        Value::from(name),
        Value::Timestamptz(micros),
        count(taken.pages),
        count(taken.log_bytes),
    ];
    let columns = [
        Column::new("backup", DataType::Text),
        Column::new("time", DataType::Timestamptz),
        Column::new("pages", DataType::Int8),
        Column::new("log_bytes", DataType::Int8),
    ];
    Started::Done {
        kind: StatementKind::Utility,
        columns: Some(Arc::new(columns.to_vec())),
        rows: vec![row].into(),
        tag: "BACKUP".into(),
        notices: Vec::new(),
    }
}

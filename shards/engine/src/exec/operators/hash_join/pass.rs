//! Streaming rows past a table of kept ones.
//!
//! Owns: the row being matched, and at the end the kept rows that nothing matched. Where the kept rows come in several
//! tables, one after the other, it also owns which streaming rows an earlier table matched: those are read again for each
//! table, and only past the last one is it known which of them are alone.
//! Bounds: the table and one bit a streaming row count against the query's memory.

use super::super::stream::Rows;
use super::spec::Spec;
use super::table::{END, Table};
use crate::exec::memory::Reservation;
use crate::plan::JoinKind;
use types::{Result, Row};

pub(super) struct Pass {
    table: Table,
    /// What `table` takes.
    _memory: Reservation,
    rows: Rows,
    /// No table follows.
    last: bool,
    /// By number: the streaming rows that an earlier table matched. `None` while there is but one table.
    flags: Option<Flags>,
    /// The number of the next streaming row.
    number: usize,
    probe: Option<Probe>,
    /// The streaming rows are at their end; the next kept row to look at.
    tail: Option<usize>,
}

/// A streaming row being matched.
struct Probe {
    row: Row,
    number: usize,
    candidate: u32,
    matched: bool,
}

/// One bit a row.
pub(super) struct Flags {
    words: Vec<u64>,
    memory: Reservation,
}

impl Flags {
    pub(super) fn new(memory: Reservation) -> Flags {
        Flags {
            words: Vec::new(),
            memory,
        }
    }

    fn get(&self, at: usize) -> bool {
        self.words
            .get(at / 64)
            .is_some_and(|w| w & (1 << (at % 64)) != 0)
    }

    fn set(&mut self, at: usize) -> Result<()> {
        if at / 64 >= self.words.len() {
            self.words.resize(at / 64 + 1, 0);
            self.memory.set(self.words.capacity() * 8)?;
        }
        self.words[at / 64] |= 1 << (at % 64);
        Ok(())
    }
}

impl Pass {
    /// All kept rows are in one table.
    pub(super) fn only(table: Table, memory: Reservation, rows: Rows) -> Pass {
        Pass::new(table, memory, rows, true, None)
    }

    /// One table of several.
    pub(super) fn of_several(
        table: Table,
        memory: Reservation,
        rows: Rows,
        last: bool,
        flags: Flags,
    ) -> Pass {
        Pass::new(table, memory, rows, last, Some(flags))
    }

    fn new(
        table: Table,
        memory: Reservation,
        rows: Rows,
        last: bool,
        flags: Option<Flags>,
    ) -> Pass {
        Pass {
            table,
            _memory: memory,
            rows,
            last,
            flags,
            number: 0,
            probe: None,
            tail: None,
        }
    }

    /// What the next table's pass needs of this one.
    pub(super) fn into_flags(self) -> Option<Flags> {
        self.flags
    }

    /// The next row of the output; `None` at the end of the pass.
    pub(super) async fn next(&mut self, spec: &Spec) -> Result<Option<Row>> {
        loop {
            if let Some(at) = self.tail {
                return self.alone(at, spec).await;
            }
            let mut probe = match self.probe.take() {
                Some(probe) => probe,
                None => match self.start(spec).await? {
                    Some(probe) => probe,
                    None => {
                        self.tail = Some(0);
                        continue;
                    }
                },
            };
            let Some(out) = self.advance(&mut probe, spec).await? else {
                continue;
            };
            // After a match there may be more; without one the row has just been given out alone.
            if probe.candidate != END {
                self.probe = Some(probe);
            }
            return Ok(Some(out));
        }
    }

    async fn start(&mut self, spec: &Spec) -> Result<Option<Probe>> {
        loop {
            let Some(row) = self.rows.next(&spec.scope).await? else {
                return Ok(None);
            };
            let number = self.number;
            self.number += 1;
            let matched = self.flags.as_ref().is_some_and(|f| f.get(number));
            let decided = matches!(spec.kind, JoinKind::Semi | JoinKind::Anti);
            if matched && decided && !spec.answers_kept() {
                continue;
            }
            let candidate = if let Some(columns) = &spec.probe_keys.columns {
                self.table.find(columns.iter().map(|i| &row[*i]))
            } else if spec.is_keyed() {
                let key = spec.scope.row(&spec.probe_keys, &row).await?;
                self.table.find(key.iter())
            } else {
                self.table.first()
            };
            return Ok(Some(Probe {
                row,
                number,
                candidate,
                matched,
            }));
        }
    }

    /// Tries candidates until one matches (then the output row) or there are no more.
    async fn advance(&mut self, probe: &mut Probe, spec: &Spec) -> Result<Option<Row>> {
        while probe.candidate != END {
            let at = probe.candidate as usize;
            probe.candidate = self.table.after(probe.candidate, spec.is_keyed());
            spec.step().await?;
            let mut joined = None;
            if !spec.filter.is_empty() {
                let row = spec.joined(&probe.row, &self.table.rows[at]);
                if !spec.scope.test(&spec.filter, &row).await? {
                    continue;
                }
                joined = Some(row);
            }
            self.table.matched[at] = true;
            if !probe.matched
                && let Some(flags) = &mut self.flags
            {
                flags.set(probe.number)?;
            }
            probe.matched = true;
            let kept = &self.table.rows[at];
            match spec.kind {
                _ if spec.answers_kept() => {}
                JoinKind::Semi => {
                    probe.candidate = END;
                    return Ok(Some(std::mem::take(&mut probe.row)));
                }
                JoinKind::Anti => probe.candidate = END,
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => {
                    return Ok(Some(match joined {
                        Some(joined) => joined,
                        None if probe.candidate == END => {
                            spec.joined_last(std::mem::take(&mut probe.row), kept)
                        }
                        None => spec.joined(&probe.row, kept),
                    }));
                }
            }
        }
        if probe.matched || !self.last || !spec.wants_probe() {
            return Ok(None);
        }
        probe.matched = true;
        Ok(Some(spec.probe_alone(std::mem::take(&mut probe.row))))
    }

    /// The next kept row that is given out at the end.
    async fn alone(&mut self, mut at: usize, spec: &Spec) -> Result<Option<Row>> {
        let Some(wanted) = spec.wanted_at_end() else {
            return Ok(None);
        };
        while at < self.table.rows.len() {
            spec.step().await?;
            at += 1;
            if self.table.matched[at - 1] == wanted {
                self.tail = Some(at);
                return Ok(Some(spec.kept_alone(&self.table.rows[at - 1])));
            }
        }
        self.tail = Some(at);
        Ok(None)
    }
}

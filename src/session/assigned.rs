//! Parameters that a transaction block has set, also the one that a script of several statements is, and what becomes of them when
//! it ends.
//!
//! Owns: their values before. SET LOCAL ends with the block, SET is taken back when it is rolled back. Asked by: `utility`.
//! ROLLBACK TO takes back what was set since its savepoint. Bounds: two values a parameter, and one more a savepoint.
//! Source: PostgreSQL 15, SET.

use super::Session;
use types::{Error, Result, SqlState};

#[derive(Clone)]
struct Before {
    name: String,
    value: Option<String>,
    local: bool,
}

/// Oldest first. Of each parameter at most one SET, and one SET LOCAL after it.
#[derive(Clone, Default)]
pub struct Assigned(Vec<Before>);

impl Assigned {
    fn set(&mut self, name: String, now: Option<String>, local: bool) {
        let mut first = self.0.iter().filter(|b| b.name == name);
        if local && first.clone().any(|b| b.local) {
            return;
        }
        let value = match (local, first.next()) {
            (false, Some(before)) => before.value.clone(),
            _ => now,
        };
        if !local {
            self.0.retain(|b| b.name != name);
        }
        self.0.push(Before { name, value, local });
    }
}

/// Those that the block has set, as they were at a savepoint, and what they were before the block.
#[derive(Clone, Default)]
pub struct Parameters {
    assigned: Assigned,
    values: Vec<(String, Option<String>)>,
}

/// What the client is to be told: changed parameters.
pub type Told = Vec<(String, String)>;

impl Session {
    /// Sets a parameter, or takes it back to its default. Answers what the client is to be told, and a warning.
    pub(super) fn assign(
        &self,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> Result<(Told, Option<Error>)> {
        let in_block = self.is_in_transaction_block();
        let mut settings = self.settings.borrow_mut();
        let before = settings.own(name)?;
        if local && !in_block {
            let warning = "SET LOCAL can only be used in transaction blocks";
            let warning = Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, warning);
            return Ok((Vec::new(), Some(warning)));
        }
        let told = settings.put(name, value)?;
        if in_block {
            let name = name.to_ascii_lowercase();
            self.assigned.borrow_mut().set(name, before, local);
        }
        drop(settings);
        self.settings_changed();
        Ok((told.into_iter().collect(), None))
    }

    /// set_config(): as `assign`; what the parameter is then.
    pub(super) fn configure(&self, name: &str, value: Option<&str>, local: bool) -> Result<String> {
        let (told, unset) = self.assign(name, value, local)?;
        let mut waiting = self.told.borrow_mut();
        for (name, value) in told {
            waiting.retain(|(n, _)| *n != name);
            waiting.push((name, value));
        }
        match (unset, value) {
            // For a transaction that ends with this statement.
            (Some(_), Some(value)) => Ok(value.to_owned()),
            _ => self.settings.borrow().show(name),
        }
    }

    pub(super) fn parameters_now(&self) -> Parameters {
        let assigned = self.assigned.borrow().clone();
        let settings = self.settings.borrow();
        let mut values: Vec<(String, Option<String>)> = Vec::new();
        for Before { name, .. } in &assigned.0 {
            if let (true, Ok(value)) = (values.iter().all(|(n, _)| n != name), settings.own(name)) {
                values.push((name.clone(), value));
            }
        }
        Parameters { assigned, values }
    }

    /// As at a savepoint. Answers what the client is to be told.
    pub(super) fn parameters_back(&self, to: Parameters) -> Told {
        let since = std::mem::replace(&mut *self.assigned.borrow_mut(), to.assigned).0;
        if since.is_empty() {
            return Vec::new();
        }
        let mut settings = self.settings.borrow_mut();
        let mut told = Told::new();
        for before in since.iter().rev() {
            // The oldest value, unless the savepoint knows a later one.
            told.extend(
                settings
                    .put(&before.name, before.value.as_deref())
                    .ok()
                    .flatten(),
            );
        }
        for (name, value) in &to.values {
            told.extend(settings.put(name, value.as_deref()).ok().flatten());
        }
        drop(settings);
        self.settings_changed();
        told
    }

    pub(super) fn has_assigned(&self) -> bool {
        !self.assigned.borrow().0.is_empty()
    }

    /// The block has ended. Answers what the client is to be told.
    pub(super) fn end_assigned(&self, committed: bool) -> Told {
        let assigned = std::mem::take(&mut *self.assigned.borrow_mut()).0;
        if assigned.is_empty() {
            return Vec::new();
        }
        let mut settings = self.settings.borrow_mut();
        let back = assigned.into_iter().rev();
        let told = back
            .filter(|b| b.local || !committed)
            // It was accepted before.
            .filter_map(|b| settings.put(&b.name, b.value.as_deref()).ok().flatten())
            .collect();
        drop(settings);
        self.settings_changed();
        told
    }
}

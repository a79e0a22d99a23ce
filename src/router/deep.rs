//! How deep triggers and functions are inside each other.
//!
//! Owns: the ceilings. Asked by: `triggers` and `functions`, before each call. Bounds: `TRIGGERS_MAX`, `CALLS_MAX` and `STACK_BYTES_MAX`
//! (54001).

use types::limits::SHARD_STACK_BYTES;
use types::{Error, Result, SqlState};

const TRIGGERS_MAX: u32 = 64;
const CALLS_MAX: u32 = 256;
/// A quarter of a thread's: what is around the first call, and what the last one evaluates, nest as well.
const STACK_BYTES_MAX: usize = SHARD_STACK_BYTES / 4;

/// What a statement is inside of.
#[derive(Clone, Copy, Default)]
pub struct Deep {
    pub triggers: u32,
    calls: u32,
    /// Where the stack was when the first was called.
    stack: usize,
}

impl Deep {
    /// Of a statement in the function of a trigger.
    pub fn in_trigger(self) -> Deep {
        Deep {
            triggers: self.triggers + 1,
            ..self.below()
        }
    }

    /// Of a statement in a function that is called.
    pub fn in_function(self) -> Deep {
        Deep {
            calls: self.calls + 1,
            ..self.below()
        }
    }

    fn below(self) -> Deep {
        let outermost = self.triggers + self.calls == 0;
        Deep {
            stack: if outermost { stack() } else { self.stack },
            ..self
        }
    }

    /// 54001 where one more may not be called.
    pub fn one_more(self) -> Result<()> {
        let taken = match self.triggers + self.calls {
            0 => 0,
            _ => self.stack.abs_diff(stack()),
        };
        let many = self.triggers >= TRIGGERS_MAX || self.calls >= CALLS_MAX;
        match many || taken > STACK_BYTES_MAX {
            true => Err(too_deep()),
            false => Ok(()),
        }
    }
}

/// An address of about here. The tasks of a shard are polled from one place, so two of one task can be compared.
#[inline(never)]
fn stack() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// 54001.
fn too_deep() -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_detail(format!(
            "Triggers are called from inside each other {TRIGGERS_MAX} deep at most, functions {CALLS_MAX} deep, and {STACK_BYTES_MAX} bytes."
        ))
        .with_hint(
            "A function calls itself, or changes rows whose triggers call it again. WHEN (pg_trigger_depth() = 0) ends the latter.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_ceilings_is_refused() {
        let mut deep = Deep::default();
        for _ in 0..TRIGGERS_MAX {
            deep.one_more().unwrap();
            deep = deep.in_trigger();
        }
        let e = deep.one_more().unwrap_err();
        assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
        let mut deep = Deep::default();
        for _ in 0..CALLS_MAX {
            deep.one_more().unwrap();
            deep = deep.in_function();
        }
        assert!(deep.one_more().is_err());
        deep.calls = 1;
        deep.one_more().unwrap();
        deep.stack = deep.stack.wrapping_add(STACK_BYTES_MAX * 2);
        assert!(deep.one_more().is_err());
    }
}

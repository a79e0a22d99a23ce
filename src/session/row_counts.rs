//! Plans for parameters that are a LIMIT or an OFFSET.
//!
//! Owns: which plan of a statement is run for these values of them: what a plan may stop after decides how it finds its rows, so
//! there is one for each power of two. Asked by: `statement`, when it runs one. Never: changes what is answered; the Limit itself
//! takes the exact numbers. Source: PostgreSQL plans a statement anew for its values where that gives a cheaper plan
//! (`plancache.c`); the rounding is ours.
//! Bounds: `PLANS_MAX` for one statement, the oldest goes; more rows than `ROWS_MAX` are no bound.

use super::plans::cacheable;
use super::{Planned, Session};
use engine::exec::Context;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use types::{Result, Value};

/// Each takes what a plan takes: see `plans::bytes_of`.
pub(super) const PLANS_MAX: usize = 8;
/// No plan stops after more.
const ROWS_MAX: u64 = 16_384;

/// By parameter, the most that it is.
type Most = Vec<Option<u64>>;

#[derive(Default)]
pub(super) struct RowCounts {
    /// The parameters, in order.
    parameters: Vec<u16>,
    plans: RefCell<VecDeque<(Most, Rc<Planned>)>>,
}

impl RowCounts {
    pub(super) fn of(statement: &sql::Statement) -> RowCounts {
        RowCounts {
            parameters: statement.row_parameters(),
            plans: RefCell::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Nothing where no plan could stop early.
    fn most(&self, params: &[Value]) -> Option<Most> {
        let last = self.parameters.last()?;
        let mut most = vec![None; usize::from(*last) + 1];
        for at in self.parameters.iter().map(|p| usize::from(*p)) {
            let rows = u64::try_from(params.get(at)?.as_i64()?).ok()?;
            let rows = match rows {
                0 => 0,
                n => n.checked_next_power_of_two()?,
            };
            if rows > ROWS_MAX {
                return None;
            }
            *most.get_mut(at)? = Some(rows);
        }
        Some(most)
    }
}

impl Session {
    /// The plan to run for these values.
    pub(super) fn for_rows(
        &self,
        planned: Rc<Planned>,
        params: &[Value],
        ctx: &Context,
    ) -> Result<Rc<Planned>> {
        let counts = &planned.row_counts;
        if counts.is_empty() || !self.is_current(&planned, ctx) {
            return Ok(planned);
        }
        // Bound under another search path, which what is kept here would be of too.
        if planned.path != self.planning().1 {
            return Ok(planned);
        }
        let (Some(parsed), Some(most)) = (&planned.parsed, counts.most(params)) else {
            return Ok(planned);
        };
        let known = counts.plans.borrow().iter().find(|p| p.0 == most).cloned();
        if let Some((_, plan)) = known {
            return Ok(plan);
        }
        if !cacheable(&parsed.text) {
            return Ok(planned);
        }
        let plan = self.bound(parsed, &planned.types(), ctx, &most)?;
        let mut plans = counts.plans.borrow_mut();
        if plans.len() >= PLANS_MAX {
            plans.pop_front();
        }
        plans.push_back((most, plan.clone()));
        drop(plans);
        Ok(plan)
    }
}

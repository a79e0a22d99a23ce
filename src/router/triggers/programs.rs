//! The programs of triggers, each bound once under a catalog.
//!
//! Owns: the cache of one shard. Asked by: `super`. Never: gives a program that was bound under another catalog, search path or time
//! zone. Bounds: `KEPT_MAX` programs; with one more it begins anew.

use super::Armed;
use engine::catalog::{Catalog, Table, Trigger};
use engine::exec::Context;
use sql::{BindEnv, trigger as bound};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use types::{Error, Result, SqlState};

const KEPT_MAX: usize = 1_000;

#[derive(Default)]
pub struct Programs {
    /// By the trigger's oid.
    kept: RefCell<HashMap<u32, Kept>>,
}

struct Kept {
    catalog: Weak<Catalog>,
    path: Vec<String>,
    time_zone: jiff::tz::TimeZone,
    armed: Rc<Armed>,
}

impl Programs {
    /// The trigger as it is called under this catalog.
    pub(super) fn armed(
        &self,
        trigger: &Arc<Trigger>,
        table: &Arc<Table>,
        ctx: &Context,
    ) -> Result<Rc<Armed>> {
        let path = engine::catalog::path::searched(ctx);
        let time_zone = &ctx.session.time_zone;
        if let Some(kept) = self.kept.borrow().get(&trigger.oid)
            && std::ptr::eq(kept.catalog.as_ptr(), Arc::as_ptr(&ctx.catalog))
            && kept.path == path
            && kept.time_zone == *time_zone
        {
            return Ok(kept.armed.clone());
        }
        let armed = Rc::new(arm(trigger, table, ctx)?);
        let mut all = self.kept.borrow_mut();
        if all.len() >= KEPT_MAX && !all.contains_key(&trigger.oid) {
            all.clear();
        }
        let kept = Kept {
            catalog: Arc::downgrade(&ctx.catalog),
            path,
            time_zone: time_zone.clone(),
            armed: armed.clone(),
        };
        all.insert(trigger.oid, kept);
        Ok(armed)
    }
}

fn arm(trigger: &Arc<Trigger>, table: &Arc<Table>, ctx: &Context) -> Result<Armed> {
    let function = ctx.catalog.functions.get(&trigger.function);
    let function = function.ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function with OID {} does not exist", trigger.function),
        )
    })?;
    let env = BindEnv {
        catalog: &ctx.catalog,
        param_types: &[],
        context: ctx,
    };
    let program = bound::compile(function, table, &env).map_err(|e| {
        let place = format!("compilation of PL/pgSQL function \"{}\"", function.name);
        e.with_context(place)
    })?;
    Ok(Armed {
        program,
        when: bound::when(trigger, table, &env)?,
        columns: trigger.ordinals(table),
        trigger: trigger.clone(),
    })
}

//! What has been bound to be run again and again: triggers and functions, each once under a catalog.
//!
//! Owns: the cache of one shard. Asked by: `triggers`, `functions`. Never: gives what was bound under another catalog, search path or
//! settings of dates. Bounds: `KEPT_MAX` of a kind; with one more it begins anew.

use engine::catalog::Catalog;
use engine::exec::Context;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use types::Result;
use types::text::Forms;

const KEPT_MAX: usize = 1_000;

pub struct Programs<T> {
    /// By oid.
    kept: RefCell<HashMap<u32, Kept<T>>>,
}

struct Kept<T> {
    catalog: Weak<Catalog>,
    path: Vec<String>,
    forms: Forms,
    program: Rc<T>,
}

impl<T> Default for Programs<T> {
    fn default() -> Programs<T> {
        Programs {
            kept: RefCell::default(),
        }
    }
}

impl<T> Programs<T> {
    /// As it is run under this catalog.
    pub fn under(
        &self,
        ctx: &Context,
        oid: u32,
        bind: impl FnOnce() -> Result<T>,
    ) -> Result<Rc<T>> {
        let path = engine::catalog::path::searched(ctx);
        let forms = &ctx.session.forms;
        if let Some(kept) = self.kept.borrow().get(&oid)
            && std::ptr::eq(kept.catalog.as_ptr(), Arc::as_ptr(&ctx.catalog))
            && kept.path == path
            && kept.forms == *forms
        {
            return Ok(kept.program.clone());
        }
        let program = Rc::new(bind()?);
        let mut all = self.kept.borrow_mut();
        if all.len() >= KEPT_MAX && !all.contains_key(&oid) {
            all.clear();
        }
        let kept = Kept {
            catalog: Arc::downgrade(&ctx.catalog),
            path,
            forms: forms.clone(),
            program: program.clone(),
        };
        all.insert(oid, kept);
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::exec::eval::blank;

    #[test]
    fn with_one_more_than_the_ceiling_the_cache_begins_anew() {
        let ctx = blank();
        let programs = Programs::default();
        for oid in 0..KEPT_MAX as u32 {
            programs.under(ctx, oid, || Ok(oid)).unwrap();
        }
        let kept = |oid: u32| *programs.under(ctx, oid, || Ok(0)).unwrap();
        assert_eq!((kept(1), programs.kept.borrow().len()), (1, KEPT_MAX));
        programs.under(ctx, u32::MAX, || Ok(7)).unwrap();
        assert_eq!((kept(u32::MAX), programs.kept.borrow().len()), (7, 1));
    }
}

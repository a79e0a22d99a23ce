//! The order of inner joins.
//!
//! Owns: turning a tree of inner joins and the conditions around it into a left-deep chain: the most restricted table
//! first, then always one that an equality connects to what is there. Asked by: `push_filter`. Never: reorders across an
//! outer, semi or lateral join; those are leaves here. ANALYZE's statistics are not asked yet: how a table will be found (key, index,
//! filter, all) stands for its size.

use super::conjuncts::{as_equality, as_hashable, equal, equality, filtered, join as and, split};
use super::push_filter::push;
use super::rename::{has_subquery, is_row_free, renamed};
use super::shape::{is_one_row, types};
use engine::plan::{Access, Expr, Join, JoinKind, Plan};
use std::collections::BTreeSet;
use types::DataType;

/// An input of the chain: output columns `start..start + width` of the original join.
struct Leaf {
    plan: Plan,
    start: usize,
    width: usize,
}

/// Inner joins rearranged, under the conditions over their output.
pub(super) fn arrange(join: Join, conditions: Vec<Expr>) -> Plan {
    let mut leaves = Vec::new();
    let mut all = Vec::new();
    flatten(Plan::Join(Box::new(join)), 0, &mut leaves, &mut all);
    all.extend(conditions);
    let (volatile, mut all): (Vec<Expr>, Vec<Expr>) =
        all.into_iter().partition(|c| c.is_volatile());
    all.extend(implied_constants(&all));
    let chain = Chain::new(leaves, all);
    filtered(chain.build(), volatile)
}

/// Takes inner joins apart. Hash keys that already are there become conditions again.
fn flatten(plan: Plan, start: usize, leaves: &mut Vec<Leaf>, conditions: &mut Vec<Expr>) {
    match plan {
        Plan::Join(join) if is_plain_inner(&join) => {
            let Join {
                left,
                right,
                left_width,
                left_keys,
                right_keys,
                filter,
                ..
            } = *join;
            for (l, r) in left_keys.into_iter().zip(right_keys) {
                if let Some(func) = equality(l.ty()) {
                    let l = renamed(&l, &|i| i + start);
                    let r = renamed(&r, &|i| i + start + left_width);
                    conditions.push(equal(l, r, func));
                }
            }
            flatten(left, start, leaves, conditions);
            flatten(right, start + left_width, leaves, conditions);
            let on = filter.into_iter().flat_map(split);
            conditions.extend(on.map(|c| renamed(&c, &|i| i + start)));
        }
        Plan::Filter { input, predicate } if matches!(&*input, Plan::Join(join) if is_plain_inner(join)) =>
        {
            flatten(*input, start, leaves, conditions);
            let own = split(predicate).into_iter();
            conditions.extend(own.map(|c| renamed(&c, &|i| i + start)));
        }
        plan => {
            let width = types(&plan).len();
            leaves.push(Leaf { plan, start, width });
        }
    }
}

fn is_plain_inner(join: &Join) -> bool {
    let keys_have_names = join.left_keys.iter().all(|k| equality(k.ty()).is_some());
    join.kind == JoinKind::Inner && !join.lateral && keys_have_names
}

/// `a = b AND a = 5` implies `b = 5`, over one type.
fn implied_constants(conditions: &[Expr]) -> Vec<Expr> {
    let mut known: Vec<(usize, &Expr)> = Vec::new();
    let mut pairs: Vec<(usize, usize, DataType)> = Vec::new();
    for c in conditions {
        match as_equality(c) {
            Some((Expr::Column(a, _), Expr::Column(b, _), ty)) => pairs.push((*a, *b, ty)),
            Some((Expr::Column(a, _), e, _)) | Some((e, Expr::Column(a, _), _))
                if is_row_free(e) && !has_subquery(e) =>
            {
                known.push((*a, e));
            }
            _ => {}
        }
    }
    let mut implied = Vec::new();
    let mut at = 0;
    while let Some(&(column, e)) = known.get(at) {
        at += 1;
        for &(a, b, ty) in &pairs {
            let other = match column {
                c if c == a => b,
                c if c == b => a,
                _ => continue,
            };
            let new = known.iter().all(|(c, _)| *c != other);
            if let (true, true, Some(func)) = (new, e.ty() == ty, equality(ty)) {
                known.push((other, e));
                implied.push(equal(Expr::Column(other, ty), e.clone(), func));
            }
        }
    }
    implied
}

/// Both sides of an equality that hashing can answer, the one over columns of `inside` first.
pub(super) fn hash_key(c: &Expr, inside: &dyn Fn(usize) -> bool) -> Option<(Expr, Expr)> {
    let (left, right, ty) = as_hashable(c)?;
    if has_subquery(left) || has_subquery(right) || c.is_volatile() {
        return None;
    }
    let (l, r) = (left.columns(), right.columns());
    if l.is_empty() || r.is_empty() {
        return None;
    }
    let all_in = |set: &BTreeSet<usize>| set.iter().all(|i| inside(*i));
    let none_in = |set: &BTreeSet<usize>| !set.iter().any(|i| inside(*i));
    let key = |e: &Expr| match ty {
        // char(3) equals char(5) up to trailing blanks, which the cast to text removes.
        DataType::Bpchar => Expr::Cast {
            expr: Box::new(e.clone()),
            to: DataType::Text,
            typmod: -1,
            explicit: false,
        },
        _ => e.clone(),
    };
    if all_in(&l) && none_in(&r) {
        Some((key(left), key(right)))
    } else if all_in(&r) && none_in(&l) {
        Some((key(right), key(left)))
    } else {
        None
    }
}

/// The chain as it grows.
struct Chain {
    leaves: Vec<Option<Leaf>>,
    /// Over the original columns.
    conditions: Vec<Expr>,
    plan: Option<Plan>,
    /// Original columns in their order in `plan`.
    layout: Vec<usize>,
    total: usize,
}

impl Chain {
    /// Conditions over one leaf go into it at once.
    fn new(leaves: Vec<Leaf>, conditions: Vec<Expr>) -> Chain {
        let mut own: Vec<Vec<Expr>> = leaves.iter().map(|_| Vec::new()).collect();
        let mut rest = Vec::new();
        for c in conditions {
            let columns = c.columns();
            let fits = |leaf: &Leaf| {
                let range = leaf.start..leaf.start + leaf.width;
                columns.iter().all(|i| range.contains(i))
            };
            if columns.is_empty() && !has_subquery(&c) {
                own.iter_mut().for_each(|list| list.push(c.clone()));
                continue;
            }
            match leaves.iter().position(fits) {
                Some(at) => {
                    let start = leaves[at].start;
                    own[at].push(renamed(&c, &|i| i - start));
                }
                None => rest.push(c),
            }
        }
        let total = leaves.iter().map(|l| l.width).sum();
        let push_own = |(leaf, own): (Leaf, Vec<Expr>)| {
            Some(Leaf {
                plan: push(leaf.plan, own),
                ..leaf
            })
        };
        Chain {
            leaves: leaves.into_iter().zip(own).map(push_own).collect(),
            conditions: rest,
            plan: None,
            layout: Vec::new(),
            total,
        }
    }

    fn build(mut self) -> Plan {
        while let Some(at) = self.choose() {
            if let Some(leaf) = self.leaves[at].take() {
                self.add(leaf);
            }
        }
        let layout = &self.layout;
        let place = |i: usize| layout.iter().position(|o| *o == i).unwrap_or(i);
        let rest = self.conditions.iter().map(|c| renamed(c, &place)).collect();
        let plan = filtered(self.plan.take().unwrap_or_default(), rest);
        if self.layout.iter().copied().eq(0..self.total) {
            return plan;
        }
        // Back into the original order of columns.
        let types = types(&plan);
        let mut exprs = vec![Expr::Const(types::Value::Null, DataType::Unknown); self.total];
        for (at, (original, ty)) in self.layout.iter().zip(types).enumerate() {
            exprs[*original] = Expr::Column(at, ty);
        }
        Plan::Project {
            input: Box::new(plan),
            exprs,
        }
    }

    /// The next leaf: connected by an equality before connected in another way before not at all, then by size.
    fn choose(&self) -> Option<usize> {
        let candidates = self.leaves.iter().enumerate();
        let candidates = candidates.filter_map(|(i, l)| l.as_ref().map(|l| (i, l)));
        let best = candidates.min_by_key(|(i, leaf)| {
            let connection = match self.plan {
                None => 0,
                Some(_) => self.connection(leaf),
            };
            let size = size(&leaf.plan);
            // A single row may come at any time: a cross product with it costs nothing.
            let connection = if size == 0 { 0 } else { connection };
            (connection, size, *i)
        });
        best.map(|(i, _)| i)
    }

    fn connection(&self, leaf: &Leaf) -> u32 {
        let range = leaf.start..leaf.start + leaf.width;
        let here = |i: usize| self.layout.contains(&i);
        let mut best = 2;
        for c in &self.conditions {
            let columns = c.columns();
            let reaches = columns.iter().all(|i| here(*i) || range.contains(i));
            let touches = columns.iter().any(|i| range.contains(i));
            if reaches && touches {
                let hashes = hash_key(c, &here).is_some();
                best = best.min(if hashes { 0 } else { 1 });
            }
        }
        best
    }

    fn add(&mut self, leaf: Leaf) {
        let Some(left) = self.plan.take() else {
            self.layout = (leaf.start..leaf.start + leaf.width).collect();
            self.plan = Some(leaf.plan);
            return;
        };
        let left_width = self.layout.len();
        let old = self.layout.clone();
        self.layout.extend(leaf.start..leaf.start + leaf.width);
        let layout = &self.layout;
        let place = |i: usize| layout.iter().position(|o| *o == i).unwrap_or(i);
        let (mut left_keys, mut right_keys, mut filter) = (Vec::new(), Vec::new(), Vec::new());
        let mut later = Vec::new();
        for c in self.conditions.drain(..) {
            let columns = c.columns();
            if columns.is_empty() || !columns.iter().all(|i| layout.contains(i)) {
                later.push(c);
            } else if let Some((l, r)) = hash_key(&c, &|i| old.contains(&i)) {
                left_keys.push(renamed(&l, &place));
                right_keys.push(renamed(&r, &|i| place(i) - left_width));
            } else {
                filter.push(renamed(&c, &place));
            }
        }
        self.conditions = later;
        self.plan = Some(Plan::Join(Box::new(Join {
            kind: JoinKind::Inner,
            left,
            right: leaf.plan,
            left_width,
            right_width: leaf.width,
            left_keys,
            right_keys,
            filter: and(filter),
            lateral: false,
        })));
    }
}

/// A guess at how many rows there will be, as a rank.
fn size(plan: &Plan) -> u32 {
    match plan {
        plan if is_one_row(plan) => 0,
        Plan::Scan(scan) => match (&scan.access, &scan.filter) {
            (Access::Keys(keys), _) if keys.len() == 1 => 0,
            (Access::Keys(_), _) => 1,
            (Access::Index { range, .. } | Access::KeyRange(range), _)
                if !range.prefix.is_empty() =>
            {
                2
            }
            (Access::Index { .. } | Access::KeyRange(_), _) => 5,
            (Access::Full, Some(filter)) if filter.any(&mut |e| as_equality(e).is_some()) => 6,
            (Access::Full, Some(_)) => 8,
            (Access::Full, None) => 10,
        },
        Plan::Values { .. } | Plan::Function(_) => 3,
        Plan::System(_) => 5,
        Plan::Aggregate(_) | Plan::Distinct { .. } | Plan::Limit { .. } => 4,
        Plan::Filter { input, .. } => size(input).max(2) - 1,
        Plan::Project { input, .. } | Plan::Sort { input, .. } => size(input),
        _ => 9,
    }
}

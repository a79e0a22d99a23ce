//! Trees of inner joins.
//!
//! Owns: taking such a tree apart into inputs and conditions, together with the semi and anti joins inside it; what conditions
//! imply; which condition belongs to one input alone. `order` puts it together again. Asked by: `push_filter`. Never: takes
//! an outer or lateral join apart; those are inputs here.

use super::conjuncts::{as_equality, as_hashable, equal, equality, filtered, join as and, split};
use super::cost;
use super::estimate::{Estimator, Output, matching};
use super::order::{Graph, classes, in_place};
use super::push_filter::push;
use super::rename::{has_subquery, is_row_free, renamed};
use super::shape::types;
use engine::plan::{Expr, Join, JoinKind, Keep, Plan};
use std::collections::BTreeSet;
use types::DataType;

/// An input: output columns `start..start + width` of the whole tree.
pub(super) struct Leaf<'a> {
    pub(super) plan: Plan,
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) output: Output<'a>,
    pub(super) cost: f64,
}

/// Inputs that are arranged together. Of more, always the first ones become one.
const TOGETHER_MAX: usize = 16;

/// A semi or anti join of the tree. Left columns are those of the whole tree; right ones begin at `RIGHT`.
struct Restriction {
    kind: JoinKind,
    right: Plan,
    right_width: usize,
    left_keys: Vec<Expr>,
    right_keys: Vec<Expr>,
    filter: Vec<Expr>,
    keep: Keep,
}

const RIGHT: usize = 1 << 32;

/// A restriction that leaves more of its input than this waits until everything is joined.
const RESTRICTS: f64 = 0.6;

#[derive(Default)]
struct Parts {
    /// With the first of their columns.
    inputs: Vec<(Plan, usize)>,
    conditions: Vec<Expr>,
    restrictions: Vec<Restriction>,
}

/// Whether `arrange` is for this join: an inner one, or a semi or anti join over one.
pub(super) fn is_tree(join: &Join) -> bool {
    is_plain_inner(join) || is_restriction(join) && has_tree(&join.left)
}

fn has_tree(plan: &Plan) -> bool {
    match plan {
        Plan::Filter { input, .. } => has_tree(input),
        Plan::Join(join) => is_tree(join),
        _ => false,
    }
}

/// The tree in a good order, under the conditions over its output.
pub(super) fn arrange(join: Join, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let mut parts = Parts::default();
    let width = flatten(Plan::Join(Box::new(join)), 0, &mut parts, on);
    let mut all = parts.conditions;
    all.extend(conditions);
    let (volatile, mut all): (Vec<Expr>, Vec<Expr>) =
        all.into_iter().partition(|c| c.is_volatile());
    all.extend(implied_constants(&all));
    let (mut leaves, rest) = inputs(parts.inputs, width, all, on);
    let restrictions = parts.restrictions.into_iter();
    let waiting = restrictions.filter_map(|r| restrict(&mut leaves, r, on));
    let waiting: Vec<Restriction> = waiting.collect();
    let (leaves, rest) = grouped(leaves, rest, on);
    let (mut plan, layout) = Graph::new(leaves, rest, on).build();
    for restriction in waiting {
        let place = |i: usize| layout.iter().position(|o| *o == i).unwrap_or(i);
        plan = restriction.over(plan, layout.len(), &place);
    }
    filtered(in_place(plan, &layout, width), volatile)
}

fn grouped<'a>(
    mut leaves: Vec<Leaf<'a>>,
    mut conditions: Vec<Expr>,
    on: &Estimator<'a>,
) -> (Vec<Leaf<'a>>, Vec<Expr>) {
    while leaves.len() > TOGETHER_MAX {
        let others = leaves.split_off(TOGETHER_MAX);
        let width = leaves.iter().map(|l| l.width).sum();
        let inside = |c: &Expr| {
            let columns = c.columns();
            !columns.is_empty() && columns.iter().all(|i| *i < width)
        };
        let (own, rest) = conditions.into_iter().partition(inside);
        let (plan, layout) = Graph::new(leaves, own, on).build();
        let plan = in_place(plan, &layout, width);
        leaves = vec![Leaf {
            output: on.output(&plan),
            plan,
            start: 0,
            width,
            cost: 0.0,
        }];
        leaves.extend(others);
        conditions = rest;
    }
    (leaves, conditions)
}

/// Takes the tree apart; how many columns it has. Hash keys that already are there become conditions again.
fn flatten(plan: Plan, start: usize, parts: &mut Parts, on: &Estimator) -> usize {
    match plan {
        Plan::Join(join) if is_plain_inner(&join) => {
            let Join {
                left,
                right,
                left_width,
                right_width,
                left_keys,
                right_keys,
                filter,
                ..
            } = *join;
            for (l, r) in left_keys.into_iter().zip(right_keys) {
                if let Some(func) = equality(l.ty()) {
                    let l = renamed(&l, &|i| i + start);
                    let r = renamed(&r, &|i| i + start + left_width);
                    parts.conditions.push(equal(l, r, func));
                }
            }
            flatten(left, start, parts, on);
            flatten(right, start + left_width, parts, on);
            let own = filter.into_iter().flat_map(split);
            let own = own.map(|c| renamed(&c, &|i| i + start));
            parts.conditions.extend(own);
            left_width + right_width
        }
        Plan::Join(mut join) if is_restriction(&join) && has_tree(&join.left) => {
            let width = flatten(std::mem::take(&mut join.left), start, parts, on);
            let (restriction, over_left) = Restriction::of(*join, start, on);
            parts.restrictions.push(restriction);
            parts.conditions.extend(over_left);
            width
        }
        Plan::Filter { input, predicate } if has_tree(&input) => {
            let width = flatten(*input, start, parts, on);
            let own = split(predicate).into_iter();
            let own = own.map(|c| renamed(&c, &|i| i + start));
            parts.conditions.extend(own);
            width
        }
        plan => {
            let width = types(&plan).len();
            parts.inputs.push((plan, start));
            width
        }
    }
}

fn is_plain_inner(join: &Join) -> bool {
    let keys_have_names = join.left_keys.iter().all(|k| equality(k.ty()).is_some());
    join.kind == JoinKind::Inner && !join.lateral && keys_have_names
}

fn is_restriction(join: &Join) -> bool {
    matches!(join.kind, JoinKind::Semi | JoinKind::Anti) && !join.lateral
}

impl Restriction {
    /// And the conditions of a semi join that are over left columns alone.
    fn of(join: Join, start: usize, on: &Estimator) -> (Restriction, Vec<Expr>) {
        let left = join.left_width;
        let place = |i: usize| {
            if i < left {
                i + start
            } else {
                i - left + RIGHT
            }
        };
        let mut out = Restriction {
            kind: join.kind,
            right: Plan::OneRow,
            right_width: join.right_width,
            left_keys: join.left_keys.iter().map(|k| renamed(k, &place)).collect(),
            right_keys: join.right_keys,
            filter: Vec::new(),
            keep: join.keep,
        };
        let (mut over_left, mut over_right) = (Vec::new(), Vec::new());
        for c in join.filter.into_iter().flat_map(split) {
            let c = renamed(&c, &place);
            let columns = c.columns();
            let settled = !columns.is_empty() && !c.is_volatile();
            if settled && columns.iter().all(|i| *i >= RIGHT) {
                over_right.push(renamed(&c, &|i| i - RIGHT));
            } else if settled && join.kind == JoinKind::Semi && columns.iter().all(|i| *i < RIGHT) {
                over_left.push(c);
            } else if let Some((l, r)) = hash_key(&c, &|i| i < RIGHT) {
                out.left_keys.push(l);
                out.right_keys.push(renamed(&r, &|i| i - RIGHT));
            } else {
                out.filter.push(c);
            }
        }
        out.right = push(join.right, over_right, on);
        (out, over_left)
    }

    /// Left columns that it reads.
    fn reads(&self) -> BTreeSet<usize> {
        let all = self.left_keys.iter().chain(&self.filter);
        let columns = all.flat_map(|e| e.columns());
        columns.filter(|i| *i < RIGHT).collect()
    }

    /// The part of the input that it leaves.
    fn part(&self, leaf: &Leaf, on: &Estimator) -> f64 {
        let here = |i: usize| i - leaf.start;
        let keys: Vec<Expr> = self.left_keys.iter().map(|k| renamed(k, &here)).collect();
        if keys.is_empty() {
            return 1.0;
        }
        let right = on.output(&self.right);
        let found = matching(&leaf.output, &keys, &right, &self.right_keys);
        match self.kind {
            JoinKind::Anti => 1.0 - found,
            _ => found,
        }
    }

    fn over(self, plan: Plan, left_width: usize, place: &dyn Fn(usize) -> usize) -> Plan {
        let column = |i: usize| match i.checked_sub(RIGHT) {
            Some(right) => left_width + right,
            None => place(i),
        };
        let filter = self.filter.iter().map(|c| renamed(c, &column)).collect();
        Plan::Join(Box::new(Join {
            kind: self.kind,
            left: plan,
            right: self.right,
            left_width,
            right_width: self.right_width,
            left_keys: self.left_keys.iter().map(|k| renamed(k, &column)).collect(),
            right_keys: self.right_keys,
            filter: and(filter),
            lateral: false,
            keep: self.keep,
        }))
    }
}

/// A restriction over one input that leaves little of it is done there; another one is given back.
fn restrict<'a>(
    leaves: &mut [Leaf<'a>],
    restriction: Restriction,
    on: &Estimator<'a>,
) -> Option<Restriction> {
    let reads = restriction.reads();
    let within = |l: &Leaf| {
        let range = l.start..l.start + l.width;
        !reads.is_empty() && reads.iter().all(|i| range.contains(i))
    };
    let others = leaves.len() > 1;
    let Some(leaf) = leaves.iter_mut().find(|l| within(l)) else {
        return Some(restriction);
    };
    // A table as large would have to be kept for it; what the other inputs leave is then looked for in that table instead.
    let is_large = on.output(&restriction.right).rows >= leaf.output.rows;
    if others && is_large || restriction.part(leaf, on) > RESTRICTS {
        return Some(restriction);
    }
    let (start, width) = (leaf.start, leaf.width);
    let plan = std::mem::take(&mut leaf.plan);
    leaf.plan = restriction.over(plan, width, &|i| i - start);
    leaf.output = on.output(&leaf.plan);
    leaf.cost = cost::of(&leaf.plan, on);
    None
}

/// The inputs under the conditions over one of them alone, and the other conditions.
fn inputs<'a>(
    inputs: Vec<(Plan, usize)>,
    width: usize,
    conditions: Vec<Expr>,
    on: &Estimator<'a>,
) -> (Vec<Leaf<'a>>, Vec<Expr>) {
    let starts: Vec<usize> = inputs
        .iter()
        .map(|(_, start)| *start)
        .chain([width])
        .collect();
    let mut own: Vec<Vec<Expr>> = inputs.iter().map(|_| Vec::new()).collect();
    let mut rest = Vec::new();
    let within = implied_within(&conditions, &starts);
    for c in conditions.into_iter().chain(within) {
        let columns = c.columns();
        if columns.is_empty() && !has_subquery(&c) {
            own.iter_mut().for_each(|list| list.push(c.clone()));
            continue;
        }
        let holds = |ends: &[usize]| columns.iter().all(|i| (ends[0]..ends[1]).contains(i));
        match starts.windows(2).position(holds) {
            Some(at) => own[at].push(renamed(&c, &|i| i - starts[at])),
            None => rest.push(c),
        }
    }
    let leaf = |(at, ((plan, start), own)): (usize, ((Plan, usize), Vec<Expr>))| {
        let plan = push(plan, own, on);
        Leaf {
            output: on.output(&plan),
            cost: cost::of(&plan, on),
            plan,
            start,
            width: starts[at + 1] - start,
        }
    };
    let with_own = inputs.into_iter().zip(own).enumerate();
    (with_own.map(leaf).collect(), rest)
}

/// `a = b AND a = c` implies `b = c`, which is wanted where `b` and `c` are of one input.
fn implied_within(conditions: &[Expr], starts: &[usize]) -> Vec<Expr> {
    let input = |c: &usize| starts.partition_point(|start| start <= c);
    let mut implied = Vec::new();
    for (class, ty) in classes(conditions) {
        let Some(func) = equality(ty) else {
            continue;
        };
        for (at, c) in class.iter().enumerate() {
            let same = |d: &&usize| input(d) == input(c);
            if let Some(d) = class[..at].iter().find(same) {
                implied.push(equal(Expr::Column(*d, ty), Expr::Column(*c, ty), func));
            }
        }
    }
    implied
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

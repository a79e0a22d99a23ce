//! The cheapest order of inner joins.
//!
//! Owns: the inputs of one tree with the conditions that connect them, and the search: every order, also of joins with joins,
//! for up to `EXHAUSTIVE_MAX` inputs; beyond that always the two parts are joined that leave the fewest rows.
//! Asked by: `join_order`. Never: loses a condition; each is checked as soon as what it reads is there.
//! Source: Selinger et al. 1979; Moerkotte and Neumann 2006 on trees that are not chains; `equivclass.c` for equalities of
//! more than two columns.

use super::conjuncts::{as_equality, filtered, join as and};
use super::cost;
use super::estimate::{Estimator, Output, join_fraction, projected, selectivity};
use super::join_order::{Leaf, hash_key};
use super::rename::renamed;
use super::shape::types;
use engine::plan::{Expr, Join, JoinKind, Keep, Plan};
use types::DataType;

/// Inputs of which every order is tried.
const EXHAUSTIVE_MAX: usize = 9;

/// A set of inputs, a bit for each.
type Set = u64;

pub(super) struct Graph<'g, 'a> {
    leaves: Vec<Leaf<'a>>,
    conditions: Vec<Condition>,
    /// Columns that are all equal, by what conditions say.
    classes: Vec<(Vec<usize>, DataType)>,
    on: &'g Estimator<'a>,
}

/// Over columns of several inputs.
struct Condition {
    expr: Expr,
    /// The inputs that it reads.
    reads: Set,
    /// Both sides, where hashing can answer it.
    keys: Option<(Side, Side)>,
    /// The class that it is part of.
    class: Option<usize>,
    part: f64,
}

#[derive(Clone)]
struct Side {
    expr: Expr,
    reads: Set,
}

/// The best way found to join a set.
#[derive(Clone, Copy)]
struct Best {
    cost: f64,
    rows: f64,
    /// Left and right; none for a single input.
    parts: Option<(Set, Set)>,
}

impl<'g, 'a> Graph<'g, 'a> {
    pub(super) fn new(
        leaves: Vec<Leaf<'a>>,
        conditions: Vec<Expr>,
        on: &'g Estimator<'a>,
    ) -> Graph<'g, 'a> {
        let classes = classes(&conditions);
        let mut graph = Graph {
            leaves,
            conditions: Vec::new(),
            classes,
            on,
        };
        let mut all = Output::default();
        for leaf in &graph.leaves {
            all.columns.extend(leaf.output.columns.iter().cloned());
            all.rows = all.rows.max(leaf.output.rows);
        }
        let conditions = conditions.into_iter().map(|c| graph.condition(c, &all));
        graph.conditions = conditions.collect();
        graph
    }

    fn condition(&self, expr: Expr, all: &Output) -> Condition {
        let reads = self.reads(&expr);
        let class = match as_equality(&expr) {
            Some((Expr::Column(a, _), Expr::Column(b, _), _)) => {
                let has_both = |(c, _): &(Vec<usize>, _)| c.contains(a) && c.contains(b);
                self.classes.iter().position(has_both)
            }
            _ => None,
        };
        // Whatever is inside "one side" of it: the first input that it reads decides which.
        let first = self.leaves.iter().position(|l| self.in_leaf(&expr, l));
        let keys = first.and_then(|at| {
            let leaf = &self.leaves[at];
            let range = leaf.start..leaf.start + leaf.width;
            hash_key(&expr, &|i| range.contains(&i)).map(|(l, r)| (self.side(l), self.side(r)))
        });
        let part = match &keys {
            Some((l, r)) => {
                let l = projected(all, std::slice::from_ref(&l.expr)).columns;
                let r = projected(all, std::slice::from_ref(&r.expr)).columns;
                l.iter().zip(&r).map(|(l, r)| join_fraction(l, r)).product()
            }
            None => selectivity(std::slice::from_ref(&expr), all),
        };
        Condition {
            expr,
            reads,
            keys,
            class,
            part,
        }
    }

    /// One side of an equality is within the input.
    fn in_leaf(&self, e: &Expr, leaf: &Leaf) -> bool {
        let range = leaf.start..leaf.start + leaf.width;
        hash_key(e, &|i| range.contains(&i)).is_some()
    }

    fn side(&self, expr: Expr) -> Side {
        let reads = self.reads(&expr);
        Side { expr, reads }
    }

    fn reads(&self, e: &Expr) -> Set {
        let inputs = e.columns().into_iter().filter_map(|i| self.leaf_of(i));
        inputs.fold(0, |set, at| set | 1 << at)
    }

    fn leaf_of(&self, column: usize) -> Option<usize> {
        let has = |l: &Leaf| (l.start..l.start + l.width).contains(&column);
        self.leaves.iter().position(has)
    }

    /// The joined plan, and the tree's columns in their order in it.
    pub(super) fn build(mut self) -> (Plan, Vec<usize>) {
        let tree = match self.leaves.len() {
            0 => return (Plan::OneRow, Vec::new()),
            n @ 1..=EXHAUSTIVE_MAX => self.search((1 << n) - 1),
            _ => self.greedy(),
        };
        let (plan, layout) = self.assemble(&tree);
        let place = |i: usize| layout.iter().position(|o| *o == i).unwrap_or(i);
        // What reads no input, or nothing but subqueries.
        let rest = std::mem::take(&mut self.conditions).into_iter();
        let rest = rest.map(|c| renamed(&c.expr, &place)).collect();
        (filtered(plan, rest), layout)
    }

    fn rows(&self, set: Set) -> f64 {
        let inside = |at: &usize| set & (1 << at) != 0;
        let chosen = (0..self.leaves.len()).filter(inside);
        let mut rows: f64 = chosen
            .map(|at| self.leaves[at].output.rows.max(1.0))
            .product();
        for (class, _) in &self.classes {
            rows *= self.class_part(class, set);
        }
        for c in &self.conditions {
            if c.class.is_none() && c.reads & !set == 0 {
                rows *= c.part;
            }
        }
        rows * self.key_correction(set)
    }

    /// What the equality of all columns of a class in the set leaves of all pairs.
    fn class_part(&self, class: &[usize], set: Set) -> f64 {
        let mut distinct: Vec<f64> = Vec::new();
        let mut part = 1.0;
        for (at, leaf) in self.leaves.iter().enumerate() {
            if set & (1 << at) == 0 {
                continue;
            }
            let own = class.iter().filter_map(|c| c.checked_sub(leaf.start));
            let own = own.filter_map(|c| leaf.output.columns.get(c));
            let own: Vec<_> = own.collect();
            let Some(least) = own.iter().map(|c| c.distinct).reduce(f64::min) else {
                continue;
            };
            distinct.push(least.max(1.0));
            part *= own.iter().map(|c| 1.0 - c.null_frac).product::<f64>();
        }
        if distinct.len() < 2 {
            return 1.0;
        }
        distinct.sort_by(f64::total_cmp);
        part / distinct[1..].iter().product::<f64>()
    }

    /// Columns that are a key together are not independent: they pick one row, not the product of their parts.
    fn key_correction(&self, set: Set) -> f64 {
        let mut factor = 1.0;
        for (at, leaf) in self.leaves.iter().enumerate() {
            let Some((key, rows)) = composite_key(leaf, self.on) else {
                continue;
            };
            if set & (1 << at) == 0 || set.count_ones() < 2 {
                continue;
            }
            let class = |column: &usize| {
                let column = column + leaf.start;
                let (class, _) = self.classes.iter().find(|(c, _)| c.contains(&column))?;
                let elsewhere = |c: &&usize| {
                    let other = self.leaf_of(**c);
                    other.is_some_and(|o| o != at && set & (1 << o) != 0)
                };
                class.iter().any(|c| elsewhere(&c)).then_some(class)
            };
            let Some(classes) = key.iter().map(class).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let parts = classes.iter().map(|c| self.class_part(c, set));
            let product: f64 = parts.product();
            let least = 1.0 / rows.max(1.0);
            if product > 0.0 && product < least {
                factor *= least / product;
            }
        }
        factor
    }

    fn single(&self, at: usize) -> Best {
        let leaf = &self.leaves[at];
        Best {
            cost: leaf.cost,
            rows: leaf.output.rows.max(1.0),
            parts: None,
        }
    }

    /// Dynamic programming over all sets.
    fn search(&self, all: Set) -> Tree {
        let mut best: Vec<Option<Best>> = vec![None; all as usize + 1];
        for at in 0..self.leaves.len() {
            best[1 << at] = Some(self.single(at));
        }
        for set in 1..=all {
            if set.count_ones() < 2 {
                continue;
            }
            let rows = self.rows(set);
            let mut left = (set - 1) & set;
            // Descending subsets: each pair comes both ways round.
            while left > 0 {
                let right = set & !left;
                if let (Some(l), Some(r)) = (best[left as usize], best[right as usize]) {
                    let cost = self.join_cost((left, l), (right, r), rows);
                    if best[set as usize].is_none_or(|b| cost < b.cost) {
                        best[set as usize] = Some(Best {
                            cost,
                            rows,
                            parts: Some((left, right)),
                        });
                    }
                }
                left = (left - 1) & set;
            }
        }
        tree(all, &|set| best[set as usize].and_then(|b| b.parts))
    }

    /// The two parts that leave the fewest rows are joined, until there is one.
    fn greedy(&self) -> Tree {
        let single = |at: usize| (1 << at, self.single(at), Tree::Leaf(at));
        let mut parts: Vec<(Set, Best, Tree)> = (0..self.leaves.len()).map(single).collect();
        while parts.len() > 1 {
            let mut least: Option<(bool, f64, usize, usize)> = None;
            for i in 0..parts.len() {
                for j in 0..parts.len() {
                    if i == j {
                        continue;
                    }
                    let (l, r) = (&parts[i], &parts[j]);
                    let rows = self.rows(l.0 | r.0);
                    let apart = !self.connected(l.0, r.0);
                    let cost = self.join_cost((l.0, l.1), (r.0, r.1), rows) - l.1.cost - r.1.cost;
                    let weight = cost + rows;
                    let better = |(a, w, ..): (bool, f64, usize, usize)| (apart, weight) < (a, w);
                    if least.is_none_or(better) {
                        least = Some((apart, weight, i, j));
                    }
                }
            }
            let Some((_, _, i, j)) = least else {
                break;
            };
            let (first, second) = (i.max(j), i.min(j));
            let a = parts.remove(first);
            let b = parts.remove(second);
            let (l, r) = if i > j { (a, b) } else { (b, a) };
            let rows = self.rows(l.0 | r.0);
            let best = Best {
                cost: self.join_cost((l.0, l.1), (r.0, r.1), rows),
                rows,
                parts: Some((l.0, r.0)),
            };
            let tree = Tree::Join(Box::new(l.2), Box::new(r.2));
            parts.push((l.0 | r.0, best, tree));
        }
        parts.pop().map_or(Tree::Leaf(0), |(_, _, tree)| tree)
    }

    fn connected(&self, left: Set, right: Set) -> bool {
        self.conditions.iter().any(|c| c.connects(left, right)) || self.class_between(left, right)
    }

    fn class_between(&self, left: Set, right: Set) -> bool {
        let touches = |class: &Vec<usize>, set: Set| {
            let inputs = class.iter().filter_map(|c| self.leaf_of(*c));
            inputs.into_iter().any(|at| set & (1 << at) != 0)
        };
        let both = |(c, _): &(Vec<usize>, _)| touches(c, left) && touches(c, right);
        self.classes.iter().any(both)
    }

    fn join_cost(&self, (left, l): (Set, Best), (right, r): (Set, Best), rows: f64) -> f64 {
        if !self.connected(left, right) {
            return l.cost + r.cost + cost::pairs(l.rows, r.rows, rows);
        }
        let hashed = l.cost + r.cost + cost::hashed(l.rows, r.rows, rows);
        if right.count_ones() == 1 {
            let at = right.trailing_zeros() as usize;
            let looked_up = self.is_looked_up(left, &self.leaves[at]);
            if let Some(each) = looked_up.filter(|_| l.rows <= cost::LOOKUPS_MAX) {
                return hashed.min(l.cost + l.rows * each + rows * cost::OUT);
            }
        }
        hashed
    }

    /// What a lookup of one left row costs, where the executor can find the right rows by their key.
    fn is_looked_up(&self, left: Set, leaf: &Leaf) -> Option<f64> {
        let Plan::Scan(scan) = &leaf.plan else {
            return None;
        };
        let joined = |column: &usize| {
            let at = match &scan.project {
                None => Some(*column),
                Some(exprs) => exprs
                    .iter()
                    .position(|e| matches!(e, Expr::Column(c, _) if c == column)),
            };
            at.is_some_and(|at| {
                let column = leaf.start + at;
                let class = self.classes.iter().find(|(c, _)| c.contains(&column));
                let other = |c: &usize| {
                    let input = self.leaf_of(*c);
                    input.is_some_and(|i| left & (1 << i) != 0)
                };
                class.is_some_and(|(c, _)| c.iter().any(other))
            })
        };
        cost::looked_up(scan, &joined, self.on)
    }

    fn assemble(&mut self, tree: &Tree) -> (Plan, Vec<usize>) {
        match tree {
            Tree::Leaf(at) => {
                let leaf = &mut self.leaves[*at];
                let layout = (leaf.start..leaf.start + leaf.width).collect();
                (std::mem::take(&mut leaf.plan), layout)
            }
            Tree::Join(left, right) => {
                let sets = (left.set(), right.set());
                let (l, layout) = self.assemble(left);
                let (r, others) = self.assemble(right);
                self.joined(sets, (l, layout), (r, others))
            }
        }
    }

    fn joined(
        &mut self,
        (left_set, right_set): (Set, Set),
        (left, mut layout): (Plan, Vec<usize>),
        (right, others): (Plan, Vec<usize>),
    ) -> (Plan, Vec<usize>) {
        let (left_width, right_width) = (layout.len(), others.len());
        let here = |layout: &[usize], i: usize| layout.iter().position(|o| *o == i).unwrap_or(i);
        let (mut left_keys, mut right_keys, mut filter) = (Vec::new(), Vec::new(), Vec::new());
        // One pair of a class is enough: its other columns are equal on each side already.
        for (class, ty) in &self.classes {
            let on_left = class.iter().find(|c| layout.contains(c));
            let on_right = class.iter().find(|c| others.contains(c));
            if let (Some(l), Some(r)) = (on_left, on_right) {
                left_keys.push(Expr::Column(here(&layout, *l), *ty));
                right_keys.push(Expr::Column(here(&others, *r), *ty));
            }
        }
        layout.extend(&others);
        let both = left_set | right_set;
        for c in std::mem::take(&mut self.conditions) {
            if c.reads == 0 || c.reads & !both != 0 {
                self.conditions.push(c);
            } else if c.class.is_some() {
                // Its class has seen to it.
            } else if let Some((l, r)) = c.keys_between(left_set, right_set) {
                left_keys.push(renamed(&l, &|i| here(&layout, i)));
                right_keys.push(renamed(&r, &|i| here(&layout, i) - left_width));
            } else {
                filter.push(renamed(&c.expr, &|i| here(&layout, i)));
            }
        }
        let plan = Plan::Join(Box::new(Join {
            kind: JoinKind::Inner,
            left,
            right,
            left_width,
            right_width,
            left_keys,
            right_keys,
            filter: and(filter),
            lateral: false,
            keep: Keep::Either,
        }));
        (plan, layout)
    }
}

impl Condition {
    fn connects(&self, left: Set, right: Set) -> bool {
        self.keys_between(left, right).is_some()
    }

    /// The sides of an equality whose one side is on the left and whose other is on the right.
    fn keys_between(&self, left: Set, right: Set) -> Option<(Expr, Expr)> {
        let (a, b) = self.keys.as_ref()?;
        let within = |side: &Side, set: Set| side.reads & !set == 0;
        if within(a, left) && within(b, right) {
            Some((a.expr.clone(), b.expr.clone()))
        } else if within(b, left) && within(a, right) {
            Some((b.expr.clone(), a.expr.clone()))
        } else {
            None
        }
    }
}

/// An order of joins.
enum Tree {
    Leaf(usize),
    Join(Box<Tree>, Box<Tree>),
}

impl Tree {
    fn set(&self) -> Set {
        match self {
            Tree::Leaf(at) => 1 << at,
            Tree::Join(left, right) => left.set() | right.set(),
        }
    }
}

fn tree(set: Set, parts: &dyn Fn(Set) -> Option<(Set, Set)>) -> Tree {
    match parts(set) {
        Some((left, right)) => {
            let (left, right) = (tree(left, parts), tree(right, parts));
            Tree::Join(Box::new(left), Box::new(right))
        }
        None => Tree::Leaf(set.trailing_zeros() as usize),
    }
}

/// Columns that equalities over one type make equal.
pub(super) fn classes(conditions: &[Expr]) -> Vec<(Vec<usize>, DataType)> {
    let mut classes: Vec<(Vec<usize>, DataType)> = Vec::new();
    for c in conditions {
        let Some((Expr::Column(a, _), Expr::Column(b, _), ty)) = as_equality(c) else {
            continue;
        };
        // char(n) is hashed by another form of it.
        if ty == DataType::Bpchar || a == b || c.is_volatile() {
            continue;
        }
        let find = |i: &usize| classes.iter().position(|(c, t)| *t == ty && c.contains(i));
        match (find(a), find(b)) {
            (None, None) => classes.push((vec![*a, *b], ty)),
            (Some(at), None) => classes[at].0.push(*b),
            (None, Some(at)) => classes[at].0.push(*a),
            (Some(x), Some(y)) if x != y => {
                let (moved, _) = classes.remove(x.max(y));
                classes[x.min(y)].0.extend(moved);
            }
            (Some(_), Some(_)) => {}
        }
    }
    classes
}

/// A primary key of several columns, by their places in the input, and how many rows its table has.
fn composite_key(leaf: &Leaf, on: &Estimator) -> Option<(Vec<usize>, f64)> {
    let Plan::Scan(scan) = &leaf.plan else {
        return None;
    };
    let key = &scan.table.primary_key;
    if key.len() < 2 {
        return None;
    }
    let place = |column: &usize| match &scan.project {
        None => Some(*column),
        Some(exprs) => exprs
            .iter()
            .position(|e| matches!(e, Expr::Column(c, _) if c == column)),
    };
    let places = key.iter().map(place).collect::<Option<Vec<_>>>()?;
    Some((places, on.table(&scan.table).rows))
}

/// The plan with its columns in the tree's order.
pub(super) fn in_place(plan: Plan, layout: &[usize], width: usize) -> Plan {
    if layout.iter().copied().eq(0..width) {
        return plan;
    }
    let types = types(&plan);
    let mut exprs = vec![Expr::Const(types::Value::Null, DataType::Unknown); width];
    for (at, (original, ty)) in layout.iter().zip(types).enumerate() {
        if let Some(slot) = exprs.get_mut(*original) {
            *slot = Expr::Column(at, ty);
        }
    }
    Plan::Project {
        input: Box::new(plan),
        exprs,
    }
}

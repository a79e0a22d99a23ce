//! EXPLAIN: a plan as PostgreSQL would show it.
//!
//! Owns: the names of operators and their details; `node` has their layout. Asked by: session. Never: runs anything, or shows
//! the projections that PostgreSQL hides too. A number is an estimate (`cost`, in rows read where they are) or was measured.
//! Beside PostgreSQL's lines each table says how many partitions are asked.

use super::conjuncts::split;
use super::cost;
use super::estimate::Estimator;
use super::found_by::{self, anded};
use super::naming::{names, table_names};
use super::node::{Estimate, Node, millis, number};
use super::placed;
use crate::{ExplainOptions, Statement};
use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::exec::fragment::wanted;
use engine::exec::profile::{Measured, Profile};
use engine::plan::print::Printer;
use engine::plan::{
    Access, Aggregate, AggregateMode, ConflictAction, ConflictTarget, Expr, Homes, Insert, Join,
    JoinKind, Keep, Merge, MergeWord, Plan, Scan, SetOp, SortKey, When,
};
use serde_json::{Value as Json, json};
use std::cell::Cell;
use std::time::Duration;

/// What planning and running took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    pub planning: Duration,
    pub execution: Option<Duration>,
}

/// A statement with all that is known of it.
pub struct Explained<'a> {
    pub statement: &'a Statement,
    pub catalog: &'a Catalog,
    pub context: &'a Context,
    pub options: ExplainOptions,
    /// What its operators did.
    pub profile: Option<&'a Profile>,
    /// What INSERT, UPDATE or DELETE as a whole did.
    pub changed: Option<Measured>,
    pub took: Took,
}

impl Explained<'_> {
    /// One line for each operator and detail, in PostgreSQL's layout.
    pub fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.shown()
            .statement(self.statement)
            .write(0, &self.options, &mut lines);
        if self.options.summary {
            lines.push(format!("Planning Time: {} ms", millis(self.took.planning)));
            if let Some(took) = self.took.execution {
                lines.push(format!("Execution Time: {} ms", millis(took)));
            }
        }
        lines
    }

    /// The same as PostgreSQL's FORMAT JSON.
    pub fn json(&self) -> Json {
        let plan = self.shown().statement(self.statement).json(&self.options);
        let mut all = json!({ "Plan": plan });
        if self.options.summary {
            all["Planning Time"] = number(self.took.planning);
            if let Some(took) = self.took.execution {
                all["Execution Time"] = number(took);
            }
        }
        json!([all])
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            inside: Cell::new(false),
            on: Estimator::new(self.catalog, self.context),
            of: self,
        }
    }
}

struct Shown<'a> {
    /// Of what runs in the partitions nothing is measured by itself.
    inside: Cell<bool>,
    on: Estimator<'a>,
    of: &'a Explained<'a>,
}

impl Shown<'_> {
    fn statement(&self, statement: &Statement) -> Node {
        match statement {
            Statement::Query(query) | Statement::CopyTo { query, .. } => self.plan(&query.plan),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(u) => {
                self.change("Update", &u.table, (&u.access, &u.homes), &u.filter)
            }
            Statement::Delete(d) => {
                self.change("Delete", &d.table, (&d.access, &d.homes), &d.filter)
            }
            Statement::Merge(m) => self.merge(m),
            Statement::With { changes, main } => {
                let mut top = self.statement(main);
                for (name, change) in changes {
                    top.queries.push((name.clone(), self.statement(change)));
                }
                top
            }
            Statement::Explain { statement, .. } => self.statement(statement),
            _ => Node::new("Utility Statement"),
        }
    }

    fn insert(&self, insert: &Insert) -> Node {
        let mut node = on("Insert", &insert.table);
        if let Some(conflict) = &insert.on_conflict {
            let resolution = match conflict.action {
                ConflictAction::Nothing => "NOTHING",
                ConflictAction::Update { .. } => "UPDATE",
            };
            node.detail("Conflict Resolution", resolution.into());
            let arbiter = match &conflict.target {
                None => String::new(),
                Some(ConflictTarget::PrimaryKey) => insert.table.primary_key_name.clone(),
                Some(ConflictTarget::Unique(index)) => index.name.clone(),
            };
            node.detail("Conflict Arbiter Indexes", arbiter);
        }
        node.children.push(self.plan(&insert.source));
        self.changed(node)
    }

    fn merge(&self, m: &Merge) -> Node {
        let word = match m.word {
            MergeWord::Update => "Update",
            MergeWord::Delete => "Delete",
            MergeWord::Merge => "Merge",
        };
        let mut node = on(word, &m.table);
        node.children.push(self.plan(&m.source));
        let exprs = m.whens.iter().flat_map(When::exprs);
        exprs.for_each(|e| self.subplans(e, &mut node));
        self.changed(node)
    }

    /// An operator that changes rows, over what finds them.
    fn changed(&self, mut node: Node) -> Node {
        node.measured = self.of.changed.clone();
        let found = node.children.first().and_then(|n| n.estimate);
        node.estimate = found.map(|e| Estimate {
            rows: 0.0,
            width: 0,
            ..e
        });
        node
    }

    fn change(
        &self,
        word: &str,
        table: &Table,
        found_by: (&Access, &Homes),
        filter: &Option<Expr>,
    ) -> Node {
        let (access, _) = found_by;
        let mut node = on(word, table);
        let mut found = self.access(table, found_by, filter, false);
        filter.iter().for_each(|e| self.subplans(e, &mut found));
        let output = self.on.found(table, access, filter.as_ref());
        found.estimate = Some(Estimate {
            startup: 0.0,
            total: cost::access(table, access, filter.as_ref(), &self.on),
            rows: output.rows,
            width: output.width(),
        });
        node.children.push(found);
        self.changed(node)
    }

    /// How rows of a table are found and checked. `only`: they are what the index has of them.
    fn access(
        &self,
        table: &Table,
        (access, homes): (&Access, &Homes),
        filter: &Option<Expr>,
        only: bool,
    ) -> Node {
        let names: Vec<String> = table.columns.iter().map(found_by::quoted).collect();
        let printer = Printer::new(&names);
        let plain = Printer::plain(&names);
        let index = match access {
            Access::Full | Access::Bitmap(_) => None,
            Access::Keys(_) | Access::KeyRange(_) => Some(&table.primary_key_name),
            Access::Index { index, .. } => Some(&index.name),
            Access::Each(each) => match &each.index {
                Some(index) => Some(&index.name),
                None => Some(&table.primary_key_name),
            },
        };
        let conditions = found_by::access_texts(table, access, &printer);
        let plain_conditions = found_by::access_texts(table, access, &plain);
        let mut node = match index {
            None if matches!(access, Access::Bitmap(_)) => on("Bitmap Heap Scan", table),
            None => on("Seq Scan", table),
            Some(index) => {
                let kind = if only {
                    "Index Only Scan"
                } else {
                    "Index Scan"
                };
                let mut node = Node::new(kind);
                let back = match access {
                    Access::KeyRange(range) | Access::Index { range, .. } => range.backward,
                    Access::Full | Access::Keys(_) | Access::Bitmap(_) | Access::Each(_) => false,
                };
                let way = if back { " Backward" } else { "" };
                node.title = format!("{kind}{way} using {index} on {}", table.name);
                node.facts.push(("Index Name", index.clone()));
                node.facts.push(("Relation Name", table.name.clone()));
                node
            }
        };
        let all: Vec<Expr> = filter.clone().into_iter().flat_map(split).collect();
        let implied = |e: &&Expr| plain_conditions.contains(&plain.print(e));
        let rest = all.iter().filter(|e| !implied(e)).map(|e| printer.print(e));
        let rest: Vec<String> = rest.collect();
        let found = match access {
            Access::Bitmap(_) => "Recheck Cond",
            _ => "Index Cond",
        };
        node.detail(found, anded(conditions));
        node.detail("Filter", anded(rest));
        node.detail("Partitions", self.partitions(table, access, homes));
        if let Access::Bitmap(bitmap) = access {
            node.children
                .push(found_by::bitmap_node(table, bitmap, &printer));
        }
        node
    }

    fn partitions(&self, table: &Table, access: &Access, homes: &Homes) -> String {
        match self.inside.get() {
            // What runs in a partition reads that alone.
            true => String::new(),
            false => self.of_all(placed::asked_most(
                table,
                access,
                homes,
                self.on.partitions(),
            )),
        }
    }

    fn of_all(&self, most: usize) -> String {
        let all = self.on.partitions();
        match most < all {
            true => format!("{most} of {all}"),
            false => format!("all {all}"),
        }
    }

    fn gather(&self, input: &Plan) -> Node {
        let mut node = Node::new("Gather");
        node.detail(
            "Partitions",
            self.of_all(placed::run_most(input, self.on.partitions())),
        );
        self.inside.set(true);
        node.children.push(self.plan(input));
        self.inside.set(false);
        node
    }

    /// The operator with its numbers, and the subqueries that its expressions hold.
    fn plan(&self, plan: &Plan) -> Node {
        let mut node = self.operator(plan);
        let output = self.on.output(plan);
        node.estimate = Some(Estimate {
            startup: cost::startup(plan, &self.on),
            total: cost::of(plan, &self.on),
            rows: output.rows,
            width: output.width(),
        });
        let profile = self.of.profile;
        let profile = profile.filter(|_| !self.inside.get());
        node.measured = profile.map(|p| p.of(plan).unwrap_or_default());
        for e in plan.exprs() {
            self.subplans(e, &mut node);
        }
        node
    }

    fn subplans(&self, e: &Expr, node: &mut Node) {
        let inside = self.inside.replace(false);
        e.each(&mut |e| {
            if let Expr::Subquery { plan, .. } = e {
                node.subplans.push(self.plan(plan));
            }
        });
        self.inside.set(inside);
    }

    fn operator(&self, plan: &Plan) -> Node {
        match plan {
            Plan::Scan(scan) => self.scan(scan),
            Plan::System(table) => {
                let mut node = Node::new("Seq Scan");
                node.title = format!("Seq Scan on {}", table.name);
                node.facts.push(("Relation Name", table.name.clone()));
                node
            }
            Plan::Values { .. } => Node::new("Values Scan"),
            Plan::OneRow => Node::new("Result"),
            Plan::Function(function) => {
                let mut node = Node::new("Function Scan");
                node.title = format!("Function Scan on {}", function.name);
                node.facts.push(("Function Name", function.name.clone()));
                node
            }
            Plan::Filter { input, predicate } => {
                let mut node = self.plan(input);
                let names = names(input);
                let filter = Printer::new(&names).print(predicate);
                node.filter(filter);
                node
            }
            Plan::Project { input, .. } => self.plan(input),
            Plan::Join(join) => self.join(join),
            Plan::Aggregate(aggregate) => self.aggregate(aggregate),
            Plan::Sort { input, keys, top } => self.sort(input, keys, *top),
            Plan::Limit { input, .. } => self.over(Node::new("Limit"), &[input]),
            Plan::Distinct { input } => {
                let mut node = Node::new("HashAggregate");
                node.detail("Group Key", names(input).join(", "));
                self.over(node, &[input])
            }
            Plan::DistinctOn { input, .. } => self.over(Node::new("Unique"), &[input]),
            Plan::SetOp {
                op,
                all,
                left,
                right,
            } => self.set_op(*op, *all, left, right),
            Plan::LockRows(lock) => self.over(Node::new("LockRows"), &[&lock.input]),
            Plan::With(with) => {
                let mut node = self.plan(&with.input);
                let shown = with
                    .queries
                    .iter()
                    .map(|q| (q.name.clone(), self.plan(&q.plan)));
                node.queries.splice(0..0, shown.collect::<Vec<_>>());
                node
            }
            Plan::WithScan(scan) => named_scan("CTE Scan", &scan.name),
            Plan::WorkTable(scan) => named_scan("WorkTable Scan", &scan.name),
            Plan::Recursive(r) => self.over(Node::new("Recursive Union"), &[&r.base, &r.step]),
            Plan::Expand { input, .. } => self.over(Node::new("Grouping Sets"), &[input]),
            Plan::Window(window) => self.over(Node::new("WindowAgg"), &[&window.input]),
            Plan::Gather { input } => self.gather(input),
            Plan::FirstRows { first, whole, rows } => self.first_rows(first, whole, *rows),
            Plan::Configure { input } => self.over(Node::new("Set Parameter"), &[input]),
            Plan::Given(given) => named_scan("CTE Scan", &given.name),
            Plan::Notify { input } => self.over(Node::new("Notify"), &[input]),
            Plan::Sleep { input } => self.over(Node::new("Sleep"), &[input]),
            Plan::Observe { input, .. } => self.over(Node::new("Server State"), &[input]),
            Plan::Advise(advise) => self.over(Node::new("Advisory Lock"), &[&advise.input]),
            Plan::Sequence(call) => self.over(Node::new("Sequence"), &[&call.input]),
            Plan::Call(call) => named_scan("Function Scan", &call.name),
        }
    }

    fn sort(&self, input: &Plan, keys: &[SortKey], top: Option<u64>) -> Node {
        let names = names(input);
        let mut node = Node::new("Sort");
        node.detail("Sort Key", Printer::new(&names).sort_keys(keys));
        node.detail("Rows Kept", top.map(|n| n.to_string()).unwrap_or_default());
        self.over(node, &[input])
    }

    fn first_rows(&self, first: &Plan, whole: &Plan, rows: u64) -> Node {
        let mut node = Node::new("First Rows");
        node.detail("Rows Wanted", rows.to_string());
        self.over(node, &[first, whole])
    }

    fn over(&self, mut node: Node, inputs: &[&Plan]) -> Node {
        node.children.extend(inputs.iter().map(|p| self.plan(p)));
        node
    }

    fn set_op(&self, op: SetOp, all: bool, left: &Plan, right: &Plan) -> Node {
        let node = match op {
            SetOp::Union => Node::new("Append"),
            SetOp::Intersect => Node::new("HashSetOp Intersect"),
            SetOp::Except => Node::new("HashSetOp Except"),
        };
        let mut node = self.over(node, &[left, right]);
        if op != SetOp::Union && all {
            node.title.push_str(" All");
        }
        if op == SetOp::Union && !all {
            let mut distinct = Node::new("HashAggregate");
            distinct.detail("Group Key", names(left).join(", "));
            distinct.children.push(node);
            return distinct;
        }
        node
    }

    /// A scan that aggregates shows that as an operator of its own.
    fn scan(&self, scan: &Scan) -> Node {
        let only = matches!(&scan.access, Access::Index { index, .. }
            if index.has_values(&scan.table, &wanted(scan)));
        let found_by = (&scan.access, &scan.homes);
        let mut node = self.access(&scan.table, found_by, &scan.filter, only);
        if let Some(top) = &scan.top {
            let names = table_names(&scan.table);
            let keys = Printer::new(&names).sort_keys(&top.keys);
            let text = format!("first {} by {keys}", top.rows);
            node.detail("Each Partition", text);
        }
        let Some(partial) = &scan.partial else {
            return node;
        };
        let names = table_names(&scan.table);
        let printer = Printer::new(&names);
        let mut aggregate = Node::new(if partial.groups.is_empty() {
            "Partial Aggregate"
        } else {
            "Partial HashAggregate"
        });
        aggregate.detail("Group Key", printer.list(&partial.groups));
        aggregate.children.push(node);
        aggregate
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Node {
        let names = names(&aggregate.input);
        let stage = match aggregate.mode {
            AggregateMode::Complete => "",
            AggregateMode::Final => "Finalize ",
            AggregateMode::Partial => "Partial ",
        };
        let kind = if aggregate.groups.is_empty() {
            "Aggregate"
        } else {
            "HashAggregate"
        };
        let mut node = Node::new(format!("{stage}{kind}"));
        node.detail("Group Key", Printer::new(&names).list(&aggregate.groups));
        node.children.push(self.plan(&aggregate.input));
        node
    }

    fn join(&self, join: &Join) -> Node {
        let word = match join.kind {
            JoinKind::Inner => "",
            JoinKind::Left => " Left",
            JoinKind::Right => " Right",
            JoinKind::Full => " Full",
            JoinKind::Semi => " Semi",
            JoinKind::Anti => " Anti",
        };
        let hashed = !join.left_keys.is_empty() && !join.lateral;
        let mut node = Node::new(if hashed { "Hash Join" } else { "Nested Loop" });
        if hashed {
            node.title = format!("Hash{word} Join");
        } else if !word.is_empty() {
            node.title = format!("Nested Loop{word} Join");
        }
        let join_type = if word.is_empty() {
            "Inner"
        } else {
            word.trim_start()
        };
        node.facts.push(("Join Type", join_type.into()));
        let (left, right) = (names(&join.left), names(&join.right));
        let (on_left, on_right) = (Printer::new(&left), Printer::new(&right));
        let pairs = join.left_keys.iter().zip(&join.right_keys);
        let pair = |(l, r)| format!("({} = {})", on_left.print(l), on_right.print(r));
        node.detail("Hash Cond", anded(pairs.map(pair).collect()));
        let both: Vec<String> = left.iter().chain(&right).cloned().collect();
        let on: Vec<Expr> = join.filter.clone().into_iter().flat_map(split).collect();
        let on = on.iter().map(|e| Printer::new(&both).print(e));
        node.detail("Join Filter", anded(on.collect()));
        let (mut left, mut right) = (self.plan(&join.left), self.plan(&join.right));
        let kept = match join.keep == Keep::Left {
            true => &mut left,
            false => &mut right,
        };
        if hashed {
            let mut hash = Node::new("Hash");
            hash.children.push(std::mem::take(kept));
            *kept = hash;
        }
        node.children.extend([left, right]);
        node
    }
}

fn named_scan(kind: &str, name: &str) -> Node {
    let mut node = Node::new(kind);
    node.title = format!("{kind} on {name}");
    node.facts.push(("CTE Name", name.to_owned()));
    node
}

fn on(kind: &str, table: &Table) -> Node {
    let mut node = Node::new(kind);
    node.title = format!("{kind} on {}", table.name);
    node.facts.push(("Relation Name", table.name.clone()));
    node
}

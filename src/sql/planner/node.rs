//! An operator as EXPLAIN shows it.
//!
//! Owns: the layout of operators, their details and numbers, as text and as JSON, after PostgreSQL 15's `explain.c`. Asked by:
//! `explain`. Never: knows a plan.

use crate::ExplainOptions;
use engine::exec::profile::{Measured, Pages, ShardWork};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// What the planner thinks.
#[derive(Clone, Copy)]
pub(super) struct Estimate {
    /// Before the first row.
    pub(super) startup: f64,
    pub(super) total: f64,
    pub(super) rows: f64,
    /// Bytes of a row.
    pub(super) width: u32,
}

/// An operator as shown.
#[derive(Default)]
pub(super) struct Node {
    /// `Seq Scan on t`
    pub(super) title: String,
    /// `Seq Scan`
    pub(super) kind: String,
    /// What JSON says of the title apart: relation, index, join type.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) details: Vec<(&'static str, String)>,
    /// WITH queries by name.
    pub(super) queries: Vec<(String, Node)>,
    /// Subqueries of its expressions.
    pub(super) subplans: Vec<Node>,
    pub(super) children: Vec<Node>,
    pub(super) estimate: Option<Estimate>,
    /// Nothing for what is not an operator of its own.
    pub(super) measured: Option<Measured>,
}

impl Node {
    pub(super) fn new(kind: impl Into<String>) -> Node {
        let kind = kind.into();
        Node {
            title: kind.clone(),
            kind,
            ..Node::default()
        }
    }

    pub(super) fn detail(&mut self, label: &'static str, text: String) {
        if !text.is_empty() {
            self.details.push((label, text));
        }
    }

    /// A condition checked after what the operator itself does.
    pub(super) fn filter(&mut self, text: String) {
        match self
            .details
            .iter_mut()
            .find(|(label, _)| *label == "Filter")
        {
            Some((_, old)) => *old = format!("({old} AND {text})"),
            None => {
                let after = |(label, _): &(&str, String)| *label == "Partitions";
                let at = self.details.iter().position(after);
                let at = at.unwrap_or(self.details.len());
                self.details.insert(at, ("Filter", text));
            }
        }
    }

    pub(super) fn write(&self, indent: usize, options: &ExplainOptions, lines: &mut Vec<String>) {
        let blank = " ".repeat(indent);
        let arrow = if indent == 0 { "" } else { "->  " };
        let numbers = self.numbers(options);
        lines.push(format!("{blank}{arrow}{}{numbers}", self.title));
        let inner = if indent == 0 { 2 } else { indent + 6 };
        let blank = " ".repeat(inner);
        for (label, text) in &self.details {
            lines.push(format!("{blank}{label}: {text}"));
        }
        let measured = self.measured.iter().filter(|m| !m.reached.0.is_empty());
        for measured in measured {
            let Pages { hits, reads } = measured.reached.pages();
            if options.buffers {
                lines.push(format!("{blank}Buffers: shared hit={hits} read={reads}"));
            }
            for (shard, work) in measured.reached.0.iter().filter(|_| options.shards) {
                let hops = if work.remote { work.calls } else { 0 };
                let (calls, rows) = (work.calls, work.rows);
                lines.push(format!(
                    "{blank}Shard {}: calls={calls} hops={hops} rows={rows}",
                    shard.0
                ));
            }
        }
        for (name, query) in &self.queries {
            lines.push(format!("{blank}CTE {name}"));
            query.write(inner + 2, options, lines);
        }
        for (i, subplan) in self.subplans.iter().enumerate() {
            lines.push(format!("{blank}SubPlan {}", i + 1));
            subplan.write(inner + 2, options, lines);
        }
        for child in &self.children {
            child.write(inner, options, lines);
        }
    }

    /// Behind the title.
    fn numbers(&self, options: &ExplainOptions) -> String {
        let mut text = String::new();
        if let Some(e) = self.estimate.filter(|_| options.costs) {
            text.push_str(&format!(
                "  (cost={:.2}..{:.2} rows={:.0} width={})",
                e.startup, e.total, e.rows, e.width
            ));
        }
        let Some(m) = self.measured.as_ref().filter(|_| options.analyze) else {
            return text;
        };
        if m.loops == 0 {
            return format!("{text} (never executed)");
        }
        let rows = per_loop(m.rows, m.loops);
        let time = match options.timing {
            true => format!(
                "time={}..{} ",
                millis(m.startup / m.loops as u32),
                millis(m.total / m.loops as u32)
            ),
            false => String::new(),
        };
        format!("{text} (actual {time}rows={rows} loops={})", m.loops)
    }

    pub(super) fn json(&self, options: &ExplainOptions) -> Json {
        let mut map = Map::new();
        map.insert("Node Type".into(), self.kind.clone().into());
        for (label, text) in self.facts.iter().chain(&self.details) {
            map.insert((*label).into(), text.clone().into());
        }
        if let Some(e) = self.estimate.filter(|_| options.costs) {
            map.insert("Startup Cost".into(), rounded(e.startup));
            map.insert("Total Cost".into(), rounded(e.total));
            map.insert("Plan Rows".into(), json!(e.rows.round() as u64));
            map.insert("Plan Width".into(), json!(e.width));
        }
        if let Some(m) = self.measured.as_ref().filter(|_| options.analyze) {
            measured(m, options, &mut map);
        }
        let queries = self.queries.iter().map(|(_, n)| (n, "InitPlan"));
        let subplans = self.subplans.iter().map(|n| (n, "SubPlan"));
        let children = self.children.iter().map(|n| (n, "Outer"));
        let plans: Vec<Json> = queries
            .chain(subplans)
            .chain(children)
            .map(|(n, r)| n.related(r, options))
            .collect();
        if !plans.is_empty() {
            map.insert("Plans".into(), Json::Array(plans));
        }
        Json::Object(map)
    }

    fn related(&self, how: &str, options: &ExplainOptions) -> Json {
        let mut json = self.json(options);
        json["Parent Relationship"] = how.into();
        json
    }
}

fn measured(m: &Measured, options: &ExplainOptions, map: &mut Map<String, Json>) {
    let loops = m.loops.max(1);
    if options.timing {
        map.insert(
            "Actual Startup Time".into(),
            number(m.startup / loops as u32),
        );
        map.insert("Actual Total Time".into(), number(m.total / loops as u32));
    }
    map.insert("Actual Rows".into(), json!(per_loop(m.rows, loops)));
    map.insert("Actual Loops".into(), json!(m.loops));
    if m.reached.0.is_empty() {
        return;
    }
    if options.buffers {
        let Pages { hits, reads } = m.reached.pages();
        map.insert("Shared Hit Blocks".into(), json!(hits));
        map.insert("Shared Read Blocks".into(), json!(reads));
    }
    if options.shards {
        let shard = |(shard, work): (&types::ShardId, &ShardWork)| {
            json!({
                "Shard": shard.0,
                "Calls": work.calls,
                "Hops": if work.remote { work.calls } else { 0 },
                "Rows": work.rows,
            })
        };
        let shards = m.reached.0.iter().map(shard).collect();
        map.insert("Shards".into(), Json::Array(shards));
    }
}

/// As PostgreSQL 15 does: a whole number.
fn per_loop(rows: u64, loops: u64) -> u64 {
    (rows as f64 / loops as f64).round() as u64
}

pub(super) fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1_000.0)
}

pub(super) fn number(time: Duration) -> Json {
    let millis = time.as_secs_f64() * 1_000.0;
    json!((millis * 1_000.0).round() / 1_000.0)
}

fn rounded(cost: f64) -> Json {
    json!((cost * 100.0).round() / 100.0)
}

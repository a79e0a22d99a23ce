//! Expressions as EXPLAIN and the definitions of indexes print them.
//!
//! Owns: the SQL-like text of a bound expression, close to PostgreSQL's `ruleutils.c`: operators infix in parentheses,
//! casts as `::type`, literals with their type. Asked by: EXPLAIN, `catalog::system`. Never: parsed again by anything.
//! Bounds: `DEPTH_MAX` levels; deeper parts print as `...`, so that a long chain cannot overflow the stack.

use super::{AggregateCall, Expr, SortKey, SubqueryKind};
use crate::exec::functions::domains::cast_to_domain;
use crate::exec::functions::records::{FIELD, made_of};
use types::{DataType, Value};

const DEPTH_MAX: usize = 200;

/// Names of the columns that an expression reads.
pub struct Printer<'a> {
    names: &'a [String],
    /// Without casts and types of literals: equal texts mean equal conditions on one column.
    plain: bool,
}

impl<'a> Printer<'a> {
    pub fn new(names: &'a [String]) -> Printer<'a> {
        let plain = false;
        Printer { names, plain }
    }

    pub fn plain(names: &'a [String]) -> Printer<'a> {
        let plain = true;
        Printer { names, plain }
    }

    pub fn print(&self, e: &Expr) -> String {
        let mut out = String::new();
        self.expr(e, DEPTH_MAX, &mut out);
        out
    }

    pub fn list<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> String {
        let printed: Vec<String> = exprs.into_iter().map(|e| self.print(e)).collect();
        printed.join(", ")
    }

    pub fn sort_keys(&self, keys: &[SortKey]) -> String {
        let key = |k: &SortKey| {
            let order = if k.descending { " DESC" } else { "" };
            let nulls = match (k.descending, k.nulls_first) {
                (true, false) => " NULLS LAST",
                (false, true) => " NULLS FIRST",
                _ => "",
            };
            format!("{}{order}{nulls}", self.print(&k.expr))
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    pub fn aggregate(&self, call: &AggregateCall) -> String {
        let name = call.func.split(['_', ':']).next().unwrap_or(&call.func);
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let args = if call.args.is_empty() {
            "*".into()
        } else {
            self.list(&call.args)
        };
        format!("{name}({distinct}{args})")
    }

    fn expr(&self, e: &Expr, depth: usize, out: &mut String) {
        let Some(depth) = depth.checked_sub(1) else {
            out.push_str("...");
            return;
        };
        match e {
            Expr::Const(value, ty) => constant(value, *ty, self.plain, out),
            Expr::Param(n, _) => out.push_str(&format!("${}", u32::from(*n) + 1)),
            Expr::Column(i, _) => match self.names.get(*i) {
                Some(name) => out.push_str(name),
                None => out.push_str(&format!("column{}", i + 1)),
            },
            Expr::Outer { column, .. } => out.push_str(&format!("outer.column{}", column + 1)),
            Expr::Call { args, .. } if cast_to_domain(e).is_some() => {
                if let ([value, ..], Some(oid)) = (args.as_slice(), cast_to_domain(e)) {
                    out.push('(');
                    self.expr(value, depth, out);
                    out.push_str(&format!(")::{}", DataType::Enum(oid)));
                }
            }
            Expr::Call { func, args, .. } if func.0.name == FIELD => {
                self.field(args, depth, out);
            }
            e if let Some((_, values)) = made_of(e) => {
                out.push_str("ROW(");
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    self.expr(value, depth, out);
                }
                out.push(')');
            }
            Expr::Call { func, args, .. } => {
                self.call(func.0.operator, func.0.sql, args, depth, out)
            }
            Expr::Cast { expr, .. } if self.plain => self.expr(expr, depth, out),
            Expr::Cast { expr, to, .. } => {
                out.push('(');
                self.expr(expr, depth, out);
                out.push_str(")::");
                out.push_str(&to.to_string());
            }
            Expr::And(items) => self.joined(items, " AND ", depth, out),
            Expr::Or(items) => self.joined(items, " OR ", depth, out),
            Expr::Not(inner) => match &**inner {
                Expr::IsNull(e) => self.suffixed(e, " IS NOT NULL", depth, out),
                e => {
                    out.push_str("(NOT ");
                    self.expr(e, depth, out);
                    out.push(')');
                }
            },
            Expr::IsNull(e) => self.suffixed(e, " IS NULL", depth, out),
            Expr::IsBool {
                expr,
                value,
                negated,
            } => {
                let word = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                let not = if *negated { "NOT " } else { "" };
                self.suffixed(expr, &format!(" IS {not}{word}"), depth, out);
            }
            e => self.rest(e, depth, out),
        }
    }

    /// Its name is the catalog's, so its number stands for it.
    fn field(&self, args: &[Expr], depth: usize, out: &mut String) {
        if let [row, Expr::Const(Value::Int4(at), _)] = args {
            out.push('(');
            self.expr(row, depth, out);
            out.push_str(&format!(").f{}", at + 1));
        }
    }

    fn rest(&self, e: &Expr, depth: usize, out: &mut String) {
        match e {
            Expr::Distinct {
                left,
                right,
                negated,
                ..
            } => {
                let not = if *negated { "NOT " } else { "" };
                self.infix(left, &format!("IS {not}DISTINCT FROM"), right, depth, out);
            }
            Expr::Case {
                branches,
                otherwise,
                ..
            } => {
                out.push_str("CASE");
                for (when, then) in branches {
                    out.push_str(" WHEN ");
                    self.expr(when, depth, out);
                    out.push_str(" THEN ");
                    self.expr(then, depth, out);
                }
                if let Some(e) = otherwise {
                    out.push_str(" ELSE ");
                    self.expr(e, depth, out);
                }
                out.push_str(" END");
            }
            Expr::Coalesce(items, _) => self.named("COALESCE", items, depth, out),
            Expr::NullIf { left, right, .. } => {
                out.push_str("NULLIF(");
                self.expr(left, depth, out);
                out.push_str(", ");
                self.expr(right, depth, out);
                out.push(')');
            }
            Expr::Extreme {
                items, greatest, ..
            } => {
                let name = if *greatest { "GREATEST" } else { "LEAST" };
                self.named(name, items, depth, out);
            }
            Expr::InList {
                expr,
                items,
                negated,
                ..
            } => {
                out.push('(');
                self.expr(expr, depth, out);
                out.push_str(if *negated {
                    " <> ALL (ARRAY["
                } else {
                    " = ANY (ARRAY["
                });
                self.items(items, ", ", depth, out);
                out.push_str("]))");
            }
            Expr::ArrayQuantified {
                left,
                op,
                array,
                all,
            } => {
                out.push('(');
                self.expr(left, depth, out);
                out.push_str(&format!(" {} {} (", op.0.operator, any_or_all(*all)));
                self.expr(array, depth, out);
                out.push_str("))");
            }
            Expr::Array(items, _) => {
                out.push_str("ARRAY[");
                self.items(items, ", ", depth, out);
                out.push(']');
            }
            Expr::Subscript { array, index, .. } => {
                self.expr(array, depth, out);
                out.push('[');
                self.expr(index, depth, out);
                out.push(']');
            }
            Expr::Subquery { kind, .. } => self.subquery(kind, depth, out),
            _ => out.push_str("..."),
        }
    }

    fn subquery(&self, kind: &SubqueryKind, depth: usize, out: &mut String) {
        match kind {
            SubqueryKind::Scalar => out.push_str("(SubPlan)"),
            SubqueryKind::Exists => out.push_str("EXISTS(SubPlan)"),
            SubqueryKind::Array => out.push_str("ARRAY(SubPlan)"),
            SubqueryKind::Quantified { left, op, all } => {
                out.push('(');
                self.expr(left, depth, out);
                out.push_str(&format!(
                    " {} {} (SubPlan))",
                    op.0.operator,
                    any_or_all(*all)
                ));
            }
        }
    }

    fn call(&self, symbol: &str, name: &str, args: &[Expr], depth: usize, out: &mut String) {
        match (symbol, args) {
            (symbol, [left, right]) if !symbol.is_empty() => {
                self.infix(left, symbol, right, depth, out);
            }
            (symbol, [operand]) if !symbol.is_empty() => {
                out.push('(');
                out.push_str(symbol);
                out.push(' ');
                self.expr(operand, depth, out);
                out.push(')');
            }
            // What makes a key of a value, which SQL cannot call.
            (_, [value]) if name.is_empty() => self.expr(value, depth, out),
            _ => self.named(name, args, depth, out),
        }
    }

    fn infix(&self, left: &Expr, symbol: &str, right: &Expr, depth: usize, out: &mut String) {
        out.push('(');
        self.expr(left, depth, out);
        out.push(' ');
        out.push_str(symbol);
        out.push(' ');
        self.expr(right, depth, out);
        out.push(')');
    }

    fn suffixed(&self, e: &Expr, suffix: &str, depth: usize, out: &mut String) {
        out.push('(');
        self.expr(e, depth, out);
        out.push_str(suffix);
        out.push(')');
    }

    fn joined(&self, items: &[Expr], separator: &str, depth: usize, out: &mut String) {
        out.push('(');
        self.items(items, separator, depth, out);
        out.push(')');
    }

    fn named(&self, name: &str, items: &[Expr], depth: usize, out: &mut String) {
        out.push_str(name);
        out.push('(');
        self.items(items, ", ", depth, out);
        out.push(')');
    }

    fn items(&self, items: &[Expr], separator: &str, depth: usize, out: &mut String) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            self.expr(item, depth, out);
        }
    }
}

/// Calls with a grammar of their own: `extract(year FROM t)`.
const OWN_GRAMMAR: [&str; 3] = ["extract", "position", "normalize"];

/// The printed text, read as SQL, is the same expression.
pub fn reads_back(e: &Expr) -> bool {
    let itself = match e {
        Expr::Const(value, _) => !matches!(value, Value::Record(_)),
        Expr::Cast { typmod, .. } => *typmod < 0,
        Expr::Call { func, .. } => {
            let name = func.0.sql;
            !func.0.operator.is_empty() || !name.is_empty() && !OWN_GRAMMAR.contains(&name)
        }
        Expr::Param(..) | Expr::Outer { .. } | Expr::Subscript { .. } | Expr::Subquery { .. } => {
            false
        }
        _ => true,
    };
    itself && e.children().into_iter().all(reads_back)
}

fn any_or_all(all: bool) -> &'static str {
    if all { "ALL" } else { "ANY" }
}

/// Numbers and booleans bare, all else quoted with its type.
fn constant(value: &Value, ty: DataType, plain: bool, out: &mut String) {
    if value.is_null() {
        out.push_str("NULL::");
        out.push_str(&ty.to_string());
        return;
    }
    let mut text = String::new();
    types::text::format(value, ty, &types::text::Forms::UTC, &mut text);
    let bare = match ty {
        DataType::Bool => {
            text = String::from(if text == "t" { "true" } else { "false" });
            true
        }
        DataType::Int4 => !text.starts_with('-'),
        DataType::Numeric => text.contains('.') && !text.starts_with('-'),
        _ => false,
    };
    if bare || plain {
        out.push_str(&text);
    } else {
        // `character` is one of a single character.
        let name = match ty {
            DataType::Bpchar => "bpchar".into(),
            ty => ty.to_string(),
        };
        out.push_str(&format!("'{}'::{name}", text.replace('\'', "''")));
    }
}

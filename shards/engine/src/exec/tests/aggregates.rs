//! Aggregates: whole, and made of partial states.

use super::*;
use crate::exec::aggregates::{accumulator, is_mergeable};
use types::text::Forms;

/// Aggregates the rows in two halves where states merge, else in one.
fn aggregate(name: &str, args: &[&str], halves: bool, ctx: &Context) -> Result<(DataType, String)> {
    let (ty, _) = args[0].split_once(':').expect("type:literal");
    let ty = parse_type_name(ty).expect("a type");
    let resolved = resolve::aggregate(name, &[ty], false)?;
    let mut values = Vec::new();
    for arg in args.iter().filter(|a| !a.ends_with(":EMPTY")) {
        let v = match arg.ends_with(":NULL") {
            true => Value::Null,
            false => eval_one(&argument(arg, ctx)?, ctx)?,
        };
        values.push(cast::cast(v, ty, resolved.arg_types[0], -1, false, ctx)?);
    }
    let cut = if halves {
        values.len() / 2
    } else {
        values.len()
    };
    let mut total = accumulator(&resolved.func, &Forms::UTC)?;
    for v in &values[..cut] {
        total.update(std::slice::from_ref(v))?;
    }
    if halves {
        let mut second = accumulator(&resolved.func, &Forms::UTC)?;
        for v in &values[cut..] {
            second.update(std::slice::from_ref(v))?;
        }
        let mut both = accumulator(&resolved.func, &Forms::UTC)?;
        both.merge(&total.partial())?;
        both.merge(&second.partial())?;
        total = both;
    }
    let v = total.finish()?;
    if v.is_null() {
        return Ok((resolved.ret, "NULL".to_owned()));
    }
    let shown = cast::cast(v, resolved.ret, DataType::Text, -1, true, ctx)?;
    Ok((resolved.ret, shown.as_str().unwrap_or("?").to_owned()))
}

fn eval_one(e: &Expr, ctx: &Context) -> Result<Value> {
    eval(e, &[], &Env { ctx, outer: &[] })
}

#[test]
fn aggregates_answer_as_postgresql_does() {
    let ctx = context();
    check(include_str!("aggregates.tsv"), |name, args| {
        aggregate(name, args, false, &ctx)
    });
}

#[test]
fn partial_states_merge_to_the_whole() {
    let ctx = context();
    // Floating sums may differ in the last digits when added in another order, and an overflow may come in another place.
    let exact = include_str!("aggregates.tsv").lines().filter(|l| {
        let name = l.split('\t').next().unwrap_or("");
        is_mergeable(name) && !l.contains("float")
    });
    let table: Vec<&str> = exact.collect();
    check(&table.join("\n"), |name, args| {
        aggregate(name, args, true, &ctx)
    });
}

#[test]
fn count_star_counts_rows_and_others_refuse_a_star() {
    let star = resolve::aggregate("count", &[], true).expect("count(*)");
    let mut count = accumulator(&star.func, &Forms::UTC).expect("count");
    count.update(&[]).expect("counts");
    count.update(&[]).expect("counts");
    assert_eq!(count.finish(), Ok(Value::Int8(2)));
    let refused = resolve::aggregate("sum", &[], true).expect_err("sum(*)");
    assert_eq!(refused.message(), "function sum() does not exist");
}

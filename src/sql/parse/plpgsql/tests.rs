//! What the reader makes of bodies.

use super::*;

/// The first variable that a body declares.
const X: usize = GIVEN.len();

fn body(text: &str) -> Body {
    read(text, Of::Trigger).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> String {
    match read(text, Of::Trigger) {
        Ok(body) => panic!("{text}: {body:?}"),
        Err(e) => format!("{}: {}", e.code(), e.message()),
    }
}

fn acts(text: &str) -> Vec<Act> {
    let text = format!("declare x int; n text := 'a;b'; begin {text} return new; end");
    let mut acts: Vec<Act> = body(&text).block.steps.into_iter().map(|s| s.act).collect();
    acts.pop();
    acts
}

#[test]
fn a_body_is_variables_and_statements_with_their_lines() {
    let body = body(
        "\nDECLARE\n  x int;\n  y constant numeric(5,2) not null := 1.5 + f(1, 2);\nBEGIN\n  -- nothing\n  NULL;\n  RETURN NEW;\nEND;\n",
    );
    let own = &body.variables[GIVEN.len()..];
    let names: Vec<&str> = own.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    let y = &own[1];
    let default = y.default.as_ref().map(|t| t.sql.as_str());
    assert_eq!(default, Some("1.5 + f(1, 2)"));
    assert!(y.constant && y.not_null);
    let lines: Vec<u64> = body.block.steps.iter().map(|s| s.line).collect();
    assert_eq!(lines, [7, 8]);
}

#[test]
fn targets_are_columns_of_the_row_and_variables() {
    let to = |text: &str| match acts(text).remove(0) {
        Act::Assign { to, value, .. } => (to, value.sql),
        other => panic!("{other:?}"),
    };
    let column = Target::Column(Side::New, "updated_at".into());
    assert_eq!(to("NEW.updated_at := now();"), (column, "now()".into()));
    let column = Target::Column(Side::Old, "A b".into());
    assert_eq!(to("old.\"A b\" = 1;"), (column, "1".into()));
    assert_eq!(to("x := (select max(id) from t);").0, Target::Variable(X));
    assert_eq!(
        refused("begin y := 1; end"),
        "42601: \"y\" is not a known variable"
    );
    let constant = refused("declare c constant int := 1; begin c := 2; end");
    assert_eq!(constant, "22005: variable \"c\" is declared CONSTANT");
    assert_eq!(to("new := old;").0, Target::Side(Side::New));
    assert_eq!(to("x.f := 1;").0, Target::Field(X, "f".into()));
    let part = "UPDATE t SET a[x + 1] = 2";
    assert_eq!(to("n[x + 1] := 2;"), (Target::Variable(X + 1), part.into()));
}

#[test]
fn branches_hold_statements_of_their_own() {
    let act = acts(
        "if x = 1 then null; elsif n like 'a%' then x := 2; x := 3; else if true then null; end if; end if;",
    );
    let [
        Act::If {
            branches,
            otherwise,
        },
    ] = act.as_slice()
    else {
        panic!("{act:?}");
    };
    let conditions: Vec<(&str, usize)> = branches
        .iter()
        .map(|(c, s)| (c.sql.as_str(), s.len()))
        .collect();
    assert_eq!(conditions, [("x = 1", 1), ("n like 'a%'", 2)]);
    assert_eq!(otherwise.len(), 1);
    assert_eq!(
        refused("begin if x then end; end"),
        "42601: syntax error at or near \";\""
    );
    assert_eq!(
        refused("begin if true then return new; end"),
        "42601: syntax error at end of input"
    );
}

#[test]
fn into_is_taken_out_of_a_statement_and_insert_into_is_not() {
    let run = |text: &str| match acts(text).remove(0) {
        Act::Run { sql, into } => (sql.sql, into.map(|i| (i.targets, i.strict))),
        other => panic!("{other:?}"),
    };
    let (sql, into) = run("select a, (select 1) into strict x, new.b from t where c = ';';");
    assert_eq!(sql, "select a, (select 1) from t where c = ';'");
    let targets = vec![Target::Variable(X), Target::Column(Side::New, "b".into())];
    assert_eq!(into, Some((targets, true)));
    let (sql, into) = run("insert into log select old.*;");
    assert_eq!((sql.as_str(), into), ("insert into log select old.*", None));
    let (sql, into) = run("insert into log values (1) returning id into x;");
    assert_eq!(sql, "insert into log values (1) returning id");
    assert_eq!(into, Some((vec![Target::Variable(X)], false)));
    assert!(
        matches!(acts("perform f(x) from t;").remove(0), Act::Perform(q) if q.sql == "f(x) from t")
    );
}

#[test]
fn raise_has_a_level_arguments_and_options() {
    let raise = |text: &str| match acts(text).remove(0) {
        Act::Raise(raise) => *raise,
        other => panic!("{other:?}"),
    };
    let r = raise(
        "raise exception 'no % (100%%), %', new.id, f(1, 2) using errcode = 'P0002', hint := 'a' || 'b';",
    );
    assert_eq!(r.level, Level::Exception);
    let args: Vec<&str> = r.args.iter().map(|t| t.sql.as_str()).collect();
    assert_eq!(args, ["new.id", "f(1, 2)"]);
    let options: Vec<(RaiseOption, &str)> = r
        .options
        .iter()
        .map(|(o, e)| (*o, e.sql.as_str()))
        .collect();
    assert_eq!(
        options,
        [
            (RaiseOption::Errcode, "'P0002'"),
            (RaiseOption::Hint, "'a' || 'b'")
        ]
    );
    assert_eq!(raise("raise notice 'x';").level, Level::Notice);
    let named = raise("raise unique_violation using message = 'm';");
    assert_eq!(named.condition.unwrap().1, SqlState::UNIQUE_VIOLATION);
    assert_eq!(
        raise("raise sqlstate 'AB123';").condition.unwrap().0,
        "AB123"
    );
    for (text, says) in [
        (
            "raise notice '%';",
            "42601: too few parameters specified for RAISE",
        ),
        (
            "raise notice '%', 1, 2;",
            "42601: too many parameters specified for RAISE",
        ),
        (
            "raise nope;",
            "42704: unrecognized exception condition \"nope\"",
        ),
        (
            "raise exception 'a' using nope = 1;",
            "42601: unrecognized RAISE statement option at or near \"nope\"",
        ),
    ] {
        assert_eq!(refused(&format!("begin {text} end")), says);
    }
}

#[test]
fn what_is_returned_is_a_row_or_nothing() {
    let returned = |text: &str| match &body(&format!("begin return {text}; end")).block.steps[0].act
    {
        Act::Return(returned) => format!("{returned:?}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(returned("null"), "Null");
    assert_eq!(returned("(OLD)"), "Row(Old)");
    assert_eq!(returned("coalesce(new, old)"), "Either(New, Old)");
    assert!(returned("r").starts_with("Value(Text { sql: \"r\""));
    assert_eq!(
        refused("begin return; end"),
        "42601: missing expression at or near \";\""
    );
}

#[test]
fn names_mean_the_nearest_variable_and_labels_those_of_their_blocks() {
    let text = "<<o>> declare x int; begin <<i>> declare x int; begin x := 1; o.x := 2; i.x := 3; end i; x := 4; end";
    let body = body(text);
    let Act::Block(inner) = &body.block.steps[0].act else {
        panic!("{body:?}");
    };
    let to = |step: &Step| match &step.act {
        Act::Assign { to, .. } => to.clone(),
        other => panic!("{other:?}"),
    };
    let inside: Vec<Target> = inner.steps.iter().map(to).collect();
    let [near, outer, own] = [X + 1, X, X + 1].map(Target::Variable);
    assert_eq!(inside, [near, outer, own]);
    assert_eq!(to(&body.block.steps[1]), Target::Variable(X));
}

#[test]
fn loops_are_told_apart_by_what_is_behind_in() {
    let how = |text: &str| match acts(text).remove(0) {
        Act::Loop(one) => one.how,
        other => panic!("{other:?}"),
    };
    let How::Count {
        to, by, reverse, ..
    } = how("for i in reverse x..f('a..b') by 2 loop null; end loop;")
    else {
        panic!("it counts");
    };
    assert_eq!((to.sql.as_str(), reverse), ("f('a..b')", true));
    assert_eq!(by.map(|t| t.sql).as_deref(), Some("2"));
    assert!(matches!(
        how("for x in select 1 loop null; end loop;"),
        How::Rows {
            rows: Rows::Query(_),
            ..
        }
    ));
    assert!(matches!(
        how("for x in execute 'a' using 1 loop null; end loop;"),
        How::Rows {
            rows: Rows::Execute { .. },
            ..
        }
    ));
    assert!(matches!(
        how("foreach x in array a loop null; end loop;"),
        How::Each { .. }
    ));
    assert!(matches!(
        how("while x > 1 loop exit; end loop;"),
        How::While(_)
    ));
}

#[test]
fn handlers_are_for_conditions() {
    let body = body(
        "begin null; exception when sqlstate '22012' or unique_violation then raise; when others then null; end",
    );
    let all: Vec<&[Condition]> = body.block.handlers.iter().map(|h| &*h.conditions).collect();
    let division = Condition::State(SqlState(*b"22012"));
    let unique = Condition::State(SqlState::UNIQUE_VIOLATION);
    assert_eq!(all, [&[division, unique][..], &[Condition::Others][..]]);
}

#[test]
fn the_rest_of_the_language_is_refused_by_its_name() {
    for text in [
        "open c;",
        "fetch c into x;",
        "commit;",
        "rollback;",
        "copy t from stdin;",
        "foreach x slice 1 in array a loop null; end loop;",
    ] {
        let e = refused(&format!("declare x int; begin {text} end"));
        assert!(e.starts_with("0A000"), "{text}: {e}");
    }
    assert!(refused("declare c cursor for select 1; begin null; end").starts_with("0A000"));
    assert_eq!(
        refused("begin frobnicate; end"),
        "42601: syntax error at or near \"frobnicate\""
    );
    assert_eq!(
        refused("declare x int; x int; begin end"),
        "42601: duplicate declaration at or near \"x\""
    );
    assert_eq!(
        refused("begin return new"),
        "42601: syntax error at end of input"
    );
}

#[test]
fn one_level_over_the_ceiling_is_refused() {
    let nested = |n: usize| {
        let open = "if true then ".repeat(n);
        let close = "end if; ".repeat(n);
        format!("begin {open} null; {close} end")
    };
    body(&nested(DEPTH_MAX - 1));
    assert!(refused(&nested(DEPTH_MAX)).starts_with("54001"));
    let many = |n: usize| format!("begin {} end", "null; ".repeat(n));
    body(&many(STATEMENTS_MAX));
    assert!(refused(&many(STATEMENTS_MAX + 1)).starts_with("54001"));
}

//! What the reader makes of bodies.

use super::*;

fn body(text: &str) -> Body {
    read(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(body) => panic!("{text}: {body:?}"),
        Err(e) => format!("{}: {}", e.code(), e.message()),
    }
}

fn acts(text: &str) -> Vec<Act> {
    let text = format!("declare x int; n text := 'a;b'; begin {text} return new; end");
    let mut acts: Vec<Act> = body(&text).steps.into_iter().map(|s| s.act).collect();
    acts.pop();
    acts
}

#[test]
fn a_body_is_variables_and_statements_with_their_lines() {
    let body = body(
        "\nDECLARE\n  x int;\n  y constant numeric(5,2) not null := 1.5 + f(1, 2);\nBEGIN\n  -- nothing\n  NULL;\n  RETURN NEW;\nEND;\n",
    );
    let names: Vec<&str> = body.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    let y = &body.variables[1];
    assert_eq!(y.default.as_deref(), Some("1.5 + f(1, 2)"));
    assert!(y.constant && y.not_null);
    let lines: Vec<u64> = body.steps.iter().map(|s| s.line).collect();
    assert_eq!(lines, [7, 8]);
}

#[test]
fn targets_are_columns_of_the_row_and_variables() {
    let to = |text: &str| match acts(text).remove(0) {
        Act::Assign { to, value, .. } => (to, value),
        other => panic!("{other:?}"),
    };
    let column = Target::Column(Side::New, "updated_at".into());
    assert_eq!(to("NEW.updated_at := now();"), (column, "now()".into()));
    let column = Target::Column(Side::Old, "A b".into());
    assert_eq!(to("old.\"A b\" = 1;"), (column, "1".into()));
    assert_eq!(to("x := (select max(id) from t);").0, Target::Variable(0));
    assert_eq!(
        refused("begin y := 1; end"),
        "42601: \"y\" is not a known variable"
    );
    let constant = refused("declare c constant int := 1; begin c := 2; end");
    assert_eq!(constant, "22005: variable \"c\" is declared CONSTANT");
    assert!(refused("begin new := old; end").starts_with("0A000"));
    assert!(refused("declare a int[]; begin a[1] := 2; end").starts_with("0A000"));
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
        .map(|(c, s)| (c.as_str(), s.len()))
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
        Act::Run { sql, into } => (sql, into.map(|i| (i.targets, i.strict))),
        other => panic!("{other:?}"),
    };
    let (sql, into) = run("select a, (select 1) into strict x, new.b from t where c = ';';");
    assert_eq!(sql, "select a, (select 1) from t where c = ';'");
    let targets = vec![Target::Variable(0), Target::Column(Side::New, "b".into())];
    assert_eq!(into, Some((targets, true)));
    let (sql, into) = run("insert into log select old.*;");
    assert_eq!((sql.as_str(), into), ("insert into log select old.*", None));
    let (sql, into) = run("insert into log values (1) returning id into x;");
    assert_eq!(sql, "insert into log values (1) returning id");
    assert_eq!(into, Some((vec![Target::Variable(0)], false)));
    assert!(
        matches!(acts("perform f(x) from t;").remove(0), Act::Perform(q) if q == "f(x) from t")
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
    assert_eq!(r.args, ["new.id", "f(1, 2)"]);
    let options: Vec<(RaiseOption, &str)> =
        r.options.iter().map(|(o, e)| (*o, e.as_str())).collect();
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
    let returned = |text: &str| match &body(&format!("begin return {text}; end")).steps[0].act {
        Act::Return(returned) => *returned,
        other => panic!("{other:?}"),
    };
    assert_eq!(returned("null"), Returned::Null);
    assert_eq!(returned("(OLD)"), Returned::Row(Side::Old));
    assert_eq!(
        returned("coalesce(new, old)"),
        Returned::Either(Side::New, Side::Old)
    );
    assert!(refused("begin return 1; end").starts_with("0A000"));
    assert_eq!(
        refused("begin return; end"),
        "42601: missing expression at or near \";\""
    );
}

#[test]
fn the_rest_of_the_language_is_refused_by_its_name() {
    for text in [
        "for i in 1..2 loop null; end loop;",
        "while true loop null; end loop;",
        "loop exit; end loop;",
        "case x when 1 then null; end case;",
        "execute 'select 1';",
        "begin null; end;",
        "declare y int; begin null; end;",
        "get diagnostics x = row_count;",
        "open c;",
        "commit;",
        "create table t (a int);",
        "truncate t;",
        "return next new;",
        "raise;",
        "raise info 'x';",
        "<<l>> null;",
    ] {
        let e = refused(&format!("declare x int; begin {text} end"));
        assert!(e.starts_with("0A000"), "{text}: {e}");
    }
    assert!(refused("begin null; exception when others then null; end").starts_with("0A000"));
    assert!(refused("declare r record; begin null; end").starts_with("0A000"));
    assert!(refused("declare r t%rowtype; begin null; end").starts_with("0A000"));
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

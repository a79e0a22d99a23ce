//! Several looks at indexes together, as EXPLAIN shows them.

use super::plans::check;

#[test]
fn an_or_over_indexes_unites_what_they_find() {
    check(&[
        (
            "select * from wide where x = 1 or z = 'a'",
            "
",
        ),
        (
            "select * from wide where (x = 1 or k = 4) and y <> 2",
            "
",
        ),
        (
            "select * from wide where x = 1 or y = 2 and x > 0",
            "
",
        ),
        (
            "select k from wide where x in (1, 2)",
            "
",
        ),
        (
            "select * from wide where x = 1 or k + 0 = 3",
            "
",
        ),
        (
            "select * from wide where x = 1",
            "
",
        ),
        (
            "update wide set y = 1 where x = 1 or z = 'a'",
            "
",
        ),
    ]);
}

//! What is known of where rows are, as EXPLAIN shows it.

use super::plans::check;

#[test]
fn equalities_on_what_places_rows_leave_their_partitions() {
    check(&[
        (
            "select * from lines where customer = 7 and n + 0 > 2",
            "
        Seq Scan on lines
          Filter: ((customer = 7) AND ((n + 0) > 2))
          Partitions: 1 of 4",
        ),
        (
            "select * from lines where customer in (7, 8::int8) and n = 2",
            "
        Index Only Scan using lines_0_idx on lines
          Index Cond: (n = 2)
          Filter: ((customer)::bigint = ANY (ARRAY['7'::bigint, '8'::bigint]))
          Partitions: 2 of 4",
        ),
    ]);
}

//! Several looks at indexes together, as EXPLAIN shows them.

use super::plans::check;

#[test]
fn an_or_over_indexes_unites_what_they_find() {
    check(&[
        (
            "select * from wide where x = 1 or z = 'a'",
            "
        Bitmap Heap Scan on wide
          Recheck Cond: ((x = 1) OR (z = 'a'::text))
          Partitions: all 4
          ->  BitmapOr
                ->  Bitmap Index Scan on wide_0_idx
                      Index Cond: (x = 1)
                ->  Bitmap Index Scan on wide_2_idx
                      Index Cond: (z = 'a'::text)",
        ),
        (
            "select * from wide where (x = 1 or k = 4) and y <> 2",
            "
        Bitmap Heap Scan on wide
          Recheck Cond: ((x = 1) OR (k = 4))
          Filter: (y <> 2)
          Partitions: all 4
          ->  BitmapOr
                ->  Bitmap Index Scan on wide_0_idx
                      Index Cond: (x = 1)
                ->  Bitmap Index Scan on wide_pkey
                      Index Cond: (k = 4)",
        ),
        (
            "select * from wide where x = 1 or y = 2 and x > 0",
            "
        Bitmap Heap Scan on wide
          Recheck Cond: ((x = 1) OR ((y = 2) AND (x > 0)))
          Partitions: all 4
          ->  BitmapOr
                ->  Bitmap Index Scan on wide_0_idx
                      Index Cond: (x = 1)
                ->  Bitmap Index Scan on wide_1_idx
                      Index Cond: ((y = 2) AND (x > 0))",
        ),
        (
            "select k from wide where x in (1, 2)",
            "
        Bitmap Heap Scan on wide
          Recheck Cond: (x = ANY (ARRAY[1, 2]))
          Partitions: all 4
          ->  Bitmap Index Scan on wide_0_idx
                Index Cond: (x = ANY (ARRAY[1, 2]))",
        ),
        (
            "select * from wide where x = 1 or k + 0 = 3",
            "
        Seq Scan on wide
          Filter: ((x = 1) OR ((k + 0) = 3))
          Partitions: all 4",
        ),
        (
            "select * from wide where x = 1",
            "
        Index Scan using wide_0_idx on wide
          Index Cond: (x = 1)
          Partitions: all 4",
        ),
        (
            "update wide set y = 1 where x = 1 or z = 'a'",
            "
        Update on wide
          ->  Seq Scan on wide
                Filter: ((x = 1) OR (z = 'a'::text))
                Partitions: all 4",
        ),
    ]);
}

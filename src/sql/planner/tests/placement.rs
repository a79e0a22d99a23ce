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

#[test]
fn what_is_joined_by_what_places_it_is_joined_there() {
    check(&[
        (
            "select o.total, l.n from orders o join lines l on l.customer = o.customer and l.id = o.id where o.total > 3",
            "
        Gather
          Partitions: all 4
          ->  Hash Join
                Hash Cond: ((orders.customer = lines.customer) AND (orders.id = lines.id))
                ->  Hash
                      ->  Seq Scan on orders
                            Filter: (total > 3)
                ->  Seq Scan on lines",
        ),
        (
            "select count(*) from orders o join lines l on l.customer = o.customer where l.customer = 3",
            "
        Finalize Aggregate
          ->  Gather
                Partitions: 1 of 4
                ->  Partial Aggregate
                      ->  Hash Join
                            Hash Cond: (lines.customer = orders.customer)
                            ->  Seq Scan on lines
                                  Filter: (customer = 3)
                            ->  Hash
                                  ->  Index Scan using orders_pkey on orders
                                        Index Cond: (customer = 3)",
        ),
        (
            "select o.customer, l.n from orders o left join lines l on l.customer = o.customer order by n limit 3",
            "
        Limit
          ->  Sort
                Sort Key: lines.n
                Rows Kept: 3
                ->  Gather
                      Partitions: all 4
                      ->  Sort
                            Sort Key: lines.n
                            Rows Kept: 3
                            ->  Hash Left Join
                                  Hash Cond: (orders.customer = lines.customer)
                                  ->  Seq Scan on orders
                                  ->  Hash
                                        ->  Seq Scan on lines",
        ),
        (
            "select customer, count(distinct n) from lines group by customer",
            "
        Gather
          Partitions: all 4
          ->  HashAggregate
                Group Key: lines.customer
                ->  Seq Scan on lines",
        ),
        (
            "select o.id from orders o join lines l on l.id = o.id",
            "
        Hash Join
          Hash Cond: (lines.id = orders.id)
          ->  Seq Scan on lines
                Partitions: all 4
          ->  Hash
                ->  Seq Scan on orders
                      Partitions: all 4",
        ),
        (
            "select o.id from orders o join lines l on l.customer = o.id",
            "
        Hash Join
          Hash Cond: (lines.customer = orders.id)
          ->  Seq Scan on lines
                Partitions: all 4
          ->  Hash
                ->  Seq Scan on orders
                      Partitions: all 4",
        ),
    ]);
}

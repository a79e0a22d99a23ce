//! Consistency conditions 1 to 4 of TPC-C (clause 3.3.2): what must hold of the tables whatever transactions ran beside each other.
//!
//! Each is a query for the rows that break it. That some rows were looked at is part of the condition.

use super::{DISTRICTS, Scale};
use crate::wire::Connection;
use std::io;

/// What a condition says, and the query whose rows break it.
const CONDITIONS: [(&str, &str); 4] = [
    (
        "1: a warehouse's W_YTD is the sum of its districts' D_YTD",
        "select w_id, w_ytd, sum(d_ytd) from warehouse join district on d_w_id = w_id group by w_id, w_ytd
         having w_ytd <> sum(d_ytd)",
    ),
    (
        "2: D_NEXT_O_ID - 1 is the greatest order and the greatest new order",
        "select d_w_id, d_id, d_next_o_id, o, n from district
         join (select o_w_id, o_d_id, max(o_id) as o from orders group by o_w_id, o_d_id) a
           on o_w_id = d_w_id and o_d_id = d_id
         left join (select no_w_id, no_d_id, max(no_o_id) as n from new_order group by no_w_id, no_d_id) b
           on no_w_id = d_w_id and no_d_id = d_id
         where d_next_o_id - 1 <> o or (n is not null and n <> o)",
    ),
    (
        "3: new orders of a district are without a gap",
        "select no_w_id, no_d_id, min(no_o_id), max(no_o_id), count(*) from new_order group by no_w_id, no_d_id
         having max(no_o_id) - min(no_o_id) + 1 <> count(*)",
    ),
    (
        "4: the sum of a district's O_OL_CNT is the count of its order lines",
        "select o_w_id, o_d_id, o, l from
           (select o_w_id, o_d_id, sum(o_ol_cnt) as o from orders group by o_w_id, o_d_id) a
         full join (select ol_w_id, ol_d_id, count(*) as l from order_line group by ol_w_id, ol_d_id) b
           on ol_w_id = o_w_id and ol_d_id = o_d_id
         where o is distinct from l",
    ),
];

/// Those that do not hold, each with the first row that breaks it.
pub fn broken(connection: &mut Connection, scale: Scale) -> io::Result<Vec<String>> {
    let mut broken = Vec::new();
    let counts = "select (select count(*) from warehouse), (select count(*) from district),
                         (select count(*) from (select distinct o_w_id, o_d_id from orders) x)";
    let counts = connection.query(counts)?;
    let expected = [1, DISTRICTS, DISTRICTS].map(|n| n * scale.warehouses);
    for (column, expected) in expected.into_iter().enumerate() {
        let count: u64 = counts.get(0, column)?;
        if count != expected {
            broken.push(format!("there are {count} of {expected} to look at"));
        }
    }
    for (says, text) in CONDITIONS {
        let rows = connection.query(text)?;
        if let Some(first) = rows.0.first() {
            let values: Vec<&str> = first
                .iter()
                .map(|v| v.as_deref().unwrap_or("NULL"))
                .collect();
            let count = rows.0.len();
            broken.push(format!(
                "{says}: broken {count} times, by {}",
                values.join(", ")
            ));
        }
    }
    Ok(broken)
}

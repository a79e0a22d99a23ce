//! The tables, and the rows they begin with.
//!
//! Bounds: a warehouse is loaded in a transaction for each of its tables. Texts that no transaction looks at are shorter than
//! the specification's.

use super::{DISTRICTS, Dice, Scale, last_name, names};
use crate::wire::Connection;
use std::fmt::Display;
use std::io::{self, Write};

const TABLES: [&str; 9] = [
    "create table warehouse (w_id int primary key, w_name text, w_street_1 text, w_city text, w_state text, w_zip text,
       w_tax numeric(4,4), w_ytd numeric(12,2))",
    "create table district (d_w_id int, d_id int, d_name text, d_street_1 text, d_city text, d_state text, d_zip text,
       d_tax numeric(4,4), d_ytd numeric(12,2), d_next_o_id int, primary key (d_w_id, d_id))",
    "create table customer (c_w_id int, c_d_id int, c_id int, c_first text, c_middle text, c_last text, c_street_1 text,
       c_city text, c_state text, c_zip text, c_phone text, c_since timestamp, c_credit text, c_credit_lim numeric(12,2),
       c_discount numeric(4,4), c_balance numeric(12,2), c_ytd_payment numeric(12,2), c_payment_cnt int, c_delivery_cnt int,
       c_data text, primary key (c_w_id, c_d_id, c_id))",
    "create table history (h_c_id int, h_c_d_id int, h_c_w_id int, h_d_id int, h_w_id int, h_date timestamp,
       h_amount numeric(6,2), h_data text)",
    "create table item (i_id int primary key, i_im_id int, i_name text, i_price numeric(5,2), i_data text)",
    "create table stock (s_w_id int, s_i_id int, s_quantity int, s_dist text, s_ytd int, s_order_cnt int,
       s_remote_cnt int, s_data text, primary key (s_w_id, s_i_id))",
    "create table orders (o_w_id int, o_d_id int, o_id int, o_c_id int, o_entry_d timestamp, o_carrier_id int, o_ol_cnt int,
       o_all_local int, primary key (o_w_id, o_d_id, o_id))",
    "create table new_order (no_w_id int, no_d_id int, no_o_id int, primary key (no_w_id, no_d_id, no_o_id))",
    "create table order_line (ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int, ol_supply_w_id int,
       ol_delivery_d timestamp, ol_quantity int, ol_amount numeric(6,2), ol_dist_info text,
       primary key (ol_w_id, ol_d_id, ol_o_id, ol_number))",
];

const INDEXES: [&str; 2] = [
    "create index customer_by_name on customer (c_w_id, c_d_id, c_last, c_first)",
    "create index orders_by_customer on orders (o_w_id, o_d_id, o_c_id, o_id)",
];

const DAY: &str = "2026-01-01 00:00:00";

/// `placed`: the rows of a warehouse in one partition, which PostgreSQL has no word for.
pub fn load(connection: &mut Connection, scale: Scale, placed: bool) -> io::Result<()> {
    for statement in TABLES {
        let warehouse = statement.split_once("primary key (").map(|(_, key)| key);
        let warehouse = warehouse.and_then(|key| key.split_once(','));
        match warehouse.filter(|_| placed) {
            Some((column, _)) => {
                connection.query(&format!("{statement} partition by hash ({column})"))?
            }
            None => connection.query(statement)?,
        };
    }
    let mut dice = Dice::new(1);
    let mut rows = Vec::new();
    for i in 1..=scale.items {
        let price = f64::from(dice.between(100, 10_000) as u32) / 100.0;
        let data = match dice.percent(10) {
            true => format!("{}ORIGINAL", dice.letters(20)),
            false => dice.letters(30),
        };
        let image = dice.between(1, 10_000);
        line(&mut rows, &[&i, &image, &dice.letters(16), &price, &data]);
    }
    put(connection, "item", &rows)?;
    for w in 1..=scale.warehouses {
        warehouse(connection, scale, w, &mut dice)?;
    }
    for statement in INDEXES {
        connection.query(statement)?;
    }
    connection.query("analyze").map(drop)
}

fn line(rows: &mut Vec<u8>, values: &[&dyn Display]) {
    for (n, value) in values.iter().enumerate() {
        let end = if n + 1 == values.len() { '\n' } else { '\t' };
        write!(rows, "{value}{end}").expect("memory takes it");
    }
}

fn put(connection: &mut Connection, table: &str, rows: &[u8]) -> io::Result<()> {
    let mut pieces = rows.chunks(16 << 10);
    connection.copy(&format!("copy {table} from stdin"), |out| {
        let piece = pieces.next();
        out.extend(piece.unwrap_or_default());
        piece.is_some()
    })
}

/// An address as warehouses, districts and customers have it.
fn address(dice: &mut Dice) -> [String; 4] {
    let zip = format!("{:04}11111", dice.between(0, 9_999));
    [
        dice.letters(15),
        dice.letters(15),
        dice.letters(2).to_uppercase(),
        zip,
    ]
}

fn warehouse(connection: &mut Connection, scale: Scale, w: u64, dice: &mut Dice) -> io::Result<()> {
    let mut rows = Vec::new();
    let [street, city, state, zip] = address(dice);
    let name = dice.letters(8);
    let ytd = 30_000 * DISTRICTS;
    line(
        &mut rows,
        &[&w, &name, &street, &city, &state, &zip, &"0.1000", &ytd],
    );
    put(connection, "warehouse", &rows)?;
    rows.clear();
    for i in 1..=scale.items {
        let (quantity, texts) = (dice.between(10, 100), dice.letters(240));
        line(
            &mut rows,
            &[&w, &i, &quantity, &texts, &0, &0, &0, &dice.letters(30)],
        );
    }
    put(connection, "stock", &rows)?;
    rows.clear();
    for d in 1..=DISTRICTS {
        let [street, city, state, zip] = address(dice);
        let (name, next) = (dice.letters(8), scale.customers + 1);
        line(
            &mut rows,
            &[
                &w, &d, &name, &street, &city, &state, &zip, &"0.0500", &30_000, &next,
            ],
        );
    }
    put(connection, "district", &rows)?;
    for d in 1..=DISTRICTS {
        customers(connection, scale, (w, d), dice)?;
        orders(connection, scale, (w, d), dice)?;
    }
    Ok(())
}

fn customers(
    connection: &mut Connection,
    scale: Scale,
    (w, d): (u64, u64),
    dice: &mut Dice,
) -> io::Result<()> {
    let (mut rows, mut history) = (Vec::new(), Vec::new());
    for c in 1..=scale.customers {
        let last = match c <= names(scale) {
            true => last_name(c - 1),
            false => last_name(dice.uneven(255, 0, 999)),
        };
        let credit = if dice.percent(10) { "BC" } else { "GC" };
        let [street, city, state, zip] = address(dice);
        let (first, data) = (dice.letters(12), dice.letters(200));
        let phone = dice.between(1_000_000_000, 9_999_999_999);
        let discount = f64::from(dice.between(0, 5_000) as u32) / 10_000.0;
        let values: [&dyn Display; 20] = [
            &w, &d, &c, &first, &"OE", &last, &street, &city, &state, &zip, &phone, &DAY, &credit,
            &50_000, &discount, &-10, &10, &1, &0, &data,
        ];
        line(&mut rows, &values);
        line(
            &mut history,
            &[&c, &d, &w, &d, &w, &DAY, &10, &dice.letters(16)],
        );
    }
    put(connection, "customer", &rows)?;
    put(connection, "history", &history)
}

/// One order of each customer, in a random order; the last 30 % are not delivered.
fn orders(
    connection: &mut Connection,
    scale: Scale,
    (w, d): (u64, u64),
    dice: &mut Dice,
) -> io::Result<()> {
    let (mut rows, mut new, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut customers: Vec<u64> = (1..=scale.customers).collect();
    for at in (1..customers.len()).rev() {
        customers.swap(at, dice.between(0, at as u64) as usize);
    }
    let delivered = scale.customers * 7 / 10;
    for (o, c) in (1..).zip(customers) {
        let count = dice.between(5, 15);
        let is_new = o > delivered;
        let carrier = match is_new {
            true => "\\N".to_string(),
            false => dice.between(1, 10).to_string(),
        };
        line(&mut rows, &[&w, &d, &o, &c, &DAY, &carrier, &count, &1]);
        if is_new {
            line(&mut new, &[&w, &d, &o]);
        }
        for number in 1..=count {
            let i = dice.between(1, scale.items);
            let (day, amount) = match is_new {
                true => ("\\N", f64::from(dice.between(1, 999_999) as u32) / 100.0),
                false => (DAY, 0.0),
            };
            let text = dice.letters(24);
            line(
                &mut lines,
                &[&w, &d, &o, &number, &i, &w, &day, &5, &amount, &text],
            );
        }
    }
    put(connection, "orders", &rows)?;
    put(connection, "new_order", &new)?;
    put(connection, "order_line", &lines)
}

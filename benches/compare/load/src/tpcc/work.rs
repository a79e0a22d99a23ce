//! The five transactions, one statement after the other, each prepared once.
//!
//! Owns: one client's connection and what it does with it. Bounds: a transaction of at most 15 lines. A statement that fails
//! ends its transaction with a ROLLBACK and the error.
//! Rows of stock are changed in the order of their keys, so that new orders do not wait for each other in a circle.

use super::{DISTRICTS, Dice, Scale, last_name, names};
use crate::wire::Connection;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NewOrder,
    Payment,
    OrderStatus,
    Delivery,
    StockLevel,
}

pub const KINDS: [(Kind, &str); 5] = [
    (Kind::NewOrder, "new_order"),
    (Kind::Payment, "payment"),
    (Kind::OrderStatus, "order_status"),
    (Kind::Delivery, "delivery"),
    (Kind::StockLevel, "stock_level"),
];

const STATEMENTS: [(&str, &str); 28] = [
    ("begin", "begin"),
    ("commit", "commit"),
    ("rollback", "rollback"),
    ("warehouse_tax", "select w_tax from warehouse where w_id = $1"),
    (
        "customer_discount",
        "select c_discount, c_last, c_credit from customer where c_w_id = $1 and c_d_id = $2 and c_id = $3",
    ),
    (
        "next_order",
        "update district set d_next_o_id = d_next_o_id + 1 where d_w_id = $1 and d_id = $2
         returning d_next_o_id - 1, d_tax",
    ),
    (
        "put_order",
        "insert into orders values ($1, $2, $3, $4, localtimestamp, null, $5, $6)",
    ),
    ("put_new", "insert into new_order values ($1, $2, $3)"),
    ("item", "select i_price, i_name, i_data from item where i_id = $1"),
    (
        "take_stock",
        "update stock set s_quantity = case when s_quantity >= $3::int + 10 then s_quantity - $3::int
           else s_quantity - $3::int + 91 end, s_ytd = s_ytd + $3::int, s_order_cnt = s_order_cnt + 1,
           s_remote_cnt = s_remote_cnt + $4::int
         where s_w_id = $1 and s_i_id = $2 returning s_quantity, s_dist, s_data",
    ),
    (
        "put_line",
        "insert into order_line values ($1, $2, $3, $4, $5, $6, null, $7, $8, $9)",
    ),
    (
        "pay_warehouse",
        "update warehouse set w_ytd = w_ytd + $2::numeric where w_id = $1
         returning w_name, w_street_1, w_city, w_state, w_zip",
    ),
    (
        "pay_district",
        "update district set d_ytd = d_ytd + $3::numeric where d_w_id = $1 and d_id = $2
         returning d_name, d_street_1, d_city, d_state, d_zip",
    ),
    (
        "by_name",
        "select c_id from customer where c_w_id = $1 and c_d_id = $2 and c_last = $3 order by c_first",
    ),
    (
        "pay_customer",
        "update customer set c_balance = c_balance - $4::numeric, c_ytd_payment = c_ytd_payment + $4::numeric,
           c_payment_cnt = c_payment_cnt + 1
         where c_w_id = $1 and c_d_id = $2 and c_id = $3
         returning c_first, c_last, c_credit, c_discount, c_balance",
    ),
    (
        "note_customer",
        "update customer set c_data = substr($4::text || c_data, 1, 500) where c_w_id = $1 and c_d_id = $2 and c_id = $3",
    ),
    (
        "put_history",
        "insert into history values ($1, $2, $3, $4, $5, localtimestamp, $6, $7)",
    ),
    (
        "customer_balance",
        "select c_balance, c_first, c_middle, c_last from customer where c_w_id = $1 and c_d_id = $2 and c_id = $3",
    ),
    (
        "last_order",
        "select o_id, o_entry_d, o_carrier_id from orders where o_w_id = $1 and o_d_id = $2 and o_c_id = $3
         order by o_id desc limit 1",
    ),
    (
        "lines",
        "select ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d from order_line
         where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
    ),
    (
        "oldest_new",
        "select no_o_id from new_order where no_w_id = $1 and no_d_id = $2 order by no_o_id limit 1",
    ),
    (
        "take_new",
        "delete from new_order where no_w_id = $1 and no_d_id = $2 and no_o_id = $3 returning no_o_id",
    ),
    (
        "carry",
        "update orders set o_carrier_id = $4 where o_w_id = $1 and o_d_id = $2 and o_id = $3 returning o_c_id",
    ),
    (
        "deliver_lines",
        "update order_line set ol_delivery_d = localtimestamp where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
    ),
    (
        "amount",
        "select sum(ol_amount) from order_line where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
    ),
    (
        "deliver_customer",
        "update customer set c_balance = c_balance + $4::numeric, c_delivery_cnt = c_delivery_cnt + 1
         where c_w_id = $1 and c_d_id = $2 and c_id = $3",
    ),
    (
        "next_id",
        "select d_next_o_id from district where d_w_id = $1 and d_id = $2",
    ),
    (
        "low_stock",
        "select count(distinct s_i_id) from order_line join stock on s_w_id = ol_w_id and s_i_id = ol_i_id
         where ol_w_id = $1 and ol_d_id = $2 and ol_o_id >= $3 and ol_o_id < $4 and s_quantity < $5",
    ),
];

pub struct Client {
    connection: Connection,
    scale: Scale,
    /// Its home.
    warehouse: u64,
    pub dice: Dice,
}

impl Client {
    pub fn new(
        mut connection: Connection,
        scale: Scale,
        number: u64,
        isolation: &str,
    ) -> io::Result<Client> {
        let level = format!("set default_transaction_isolation = '{isolation}'");
        connection.query(&level)?;
        for (name, text) in STATEMENTS {
            connection.prepare(name, text)?;
        }
        Ok(Client {
            connection,
            scale,
            warehouse: number % scale.warehouses + 1,
            dice: Dice::new(number * 7_919 + 17),
        })
    }

    /// False when it was rolled back as it should be: an order of an item that there is not.
    pub fn transact(&mut self, kind: Kind) -> io::Result<bool> {
        self.connection.call("begin", &[])?;
        let done = match kind {
            Kind::NewOrder => self.new_order(),
            Kind::Payment => self.payment(),
            Kind::OrderStatus => self.order_status(),
            Kind::Delivery => self.delivery(),
            Kind::StockLevel => self.stock_level(),
        };
        let last = match done {
            Ok(true) => "commit",
            Ok(false) | Err(_) => "rollback",
        };
        let ended = self.connection.call(last, &[]);
        let done = done?;
        ended?;
        Ok(done)
    }

    fn district(&mut self) -> u64 {
        self.dice.between(1, DISTRICTS)
    }

    /// Any but the client's own, where there is one.
    fn other_warehouse(&mut self) -> u64 {
        match self.scale.warehouses {
            1 => 1,
            n => (self.warehouse - 1 + self.dice.between(1, n - 1)) % n + 1,
        }
    }

    fn new_order(&mut self) -> io::Result<bool> {
        let (w, d) = (self.warehouse, self.district());
        let c = self.dice.uneven(1_023, 1, self.scale.customers);
        let mut lines = Vec::new();
        for _ in 0..self.dice.between(5, 15) {
            let item = self.dice.uneven(8_191, 1, self.scale.items);
            let supply = match self.dice.percent(1) {
                true => self.other_warehouse(),
                false => w,
            };
            lines.push((supply, item, self.dice.between(1, 10)));
        }
        lines.sort_unstable();
        // The last of them does not exist: all that was done is undone.
        if self.dice.percent(1)
            && let Some(last) = lines.last_mut()
        {
            last.1 = self.scale.items + 1;
        }
        let sql = &mut self.connection;
        let tax: f64 = sql.call("warehouse_tax", &[&w])?.get(0, 0)?;
        let discount: f64 = sql.call("customer_discount", &[&w, &d, &c])?.get(0, 0)?;
        let next = sql.call("next_order", &[&w, &d])?;
        let (o, district_tax): (u64, f64) = (next.get(0, 0)?, next.get(0, 1)?);
        let local = u8::from(lines.iter().all(|(supply, ..)| *supply == w));
        sql.call("put_order", &[&w, &d, &o, &c, &lines.len(), &local])?;
        sql.call("put_new", &[&w, &d, &o])?;
        let mut total = 0.0;
        for (number, (supply, item, quantity)) in (1..).zip(&lines) {
            let found = sql.call("item", &[item])?;
            if found.is_empty() {
                return Ok(false);
            }
            let remote = u8::from(*supply != w);
            let stock = sql.call("take_stock", &[supply, item, quantity, &remote])?;
            let texts: String = stock.get(0, 1)?;
            let at = (d as usize - 1) * 24;
            let amount = found.get::<f64>(0, 0)? * *quantity as f64;
            total += amount;
            let amount = format!("{amount:.2}");
            let text = texts.get(at..at + 24).unwrap_or_default();
            let number: u8 = number;
            sql.call(
                "put_line",
                &[&w, &d, &o, &number, item, supply, quantity, &amount, &text],
            )?;
        }
        std::hint::black_box(total * (1.0 - discount) * (1.0 + tax + district_tax));
        Ok(true)
    }

    /// By last name in 60 of 100, the middle one of those who have it.
    fn customer(&mut self, w: u64, d: u64) -> io::Result<u64> {
        if !self.dice.percent(60) {
            return Ok(self.dice.uneven(1_023, 1, self.scale.customers));
        }
        let name = last_name(self.dice.uneven(255, 0, names(self.scale) - 1));
        let found = self.connection.call("by_name", &[&w, &d, &name])?;
        found.get(found.0.len().saturating_sub(1) / 2, 0)
    }

    fn payment(&mut self) -> io::Result<bool> {
        let (w, d) = (self.warehouse, self.district());
        let (cw, cd) = match self.dice.percent(85) {
            true => (w, d),
            false => (self.other_warehouse(), self.district()),
        };
        let cents = self.dice.between(100, 500_000);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let warehouse = self.connection.call("pay_warehouse", &[&w, &amount])?;
        let name: String = warehouse.get(0, 0)?;
        let district = self.connection.call("pay_district", &[&w, &d, &amount])?;
        let name = format!("{name}    {}", district.get::<String>(0, 0)?);
        let c = self.customer(cw, cd)?;
        let sql = &mut self.connection;
        let paid = sql.call("pay_customer", &[&cw, &cd, &c, &amount])?;
        if paid.get::<String>(0, 2)? == "BC" {
            let note = format!("{c} {cd} {cw} {d} {w} {amount} ");
            sql.call("note_customer", &[&cw, &cd, &c, &note])?;
        }
        sql.call("put_history", &[&c, &cd, &cw, &d, &w, &amount, &name])?;
        Ok(true)
    }

    fn order_status(&mut self) -> io::Result<bool> {
        let (w, d) = (self.warehouse, self.district());
        let c = self.customer(w, d)?;
        let sql = &mut self.connection;
        sql.call("customer_balance", &[&w, &d, &c])?
            .get::<f64>(0, 0)?;
        let order = sql.call("last_order", &[&w, &d, &c])?;
        let o: u64 = order.get(0, 0)?;
        match sql.call("lines", &[&w, &d, &o])?.0.len() {
            5..=15 => Ok(true),
            n => Err(io::Error::other(format!("order {w} {d} {o} has {n} lines"))),
        }
    }

    fn delivery(&mut self) -> io::Result<bool> {
        let (w, carrier) = (self.warehouse, self.dice.between(1, 10));
        let sql = &mut self.connection;
        for d in 1..=DISTRICTS {
            let oldest = sql.call("oldest_new", &[&w, &d])?;
            if oldest.is_empty() {
                continue;
            }
            let o: u64 = oldest.get(0, 0)?;
            // Somebody else may have delivered it since.
            if sql.call("take_new", &[&w, &d, &o])?.is_empty() {
                continue;
            }
            let c: u64 = sql.call("carry", &[&w, &d, &o, &carrier])?.get(0, 0)?;
            sql.call("deliver_lines", &[&w, &d, &o])?;
            let amount: String = sql.call("amount", &[&w, &d, &o])?.get(0, 0)?;
            sql.call("deliver_customer", &[&w, &d, &c, &amount])?;
        }
        Ok(true)
    }

    fn stock_level(&mut self) -> io::Result<bool> {
        let (w, d) = (self.warehouse, self.district());
        let level = self.dice.between(10, 20);
        let sql = &mut self.connection;
        let next: u64 = sql.call("next_id", &[&w, &d])?.get(0, 0)?;
        let since = next.saturating_sub(20);
        let low = sql.call("low_stock", &[&w, &d, &since, &next, &level])?;
        low.get::<u64>(0, 0)?;
        Ok(true)
    }
}

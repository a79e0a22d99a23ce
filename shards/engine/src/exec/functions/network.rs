//! Functions and operators of inet, cidr, macaddr and macaddr8.
//!
//! Owns: arithmetic over addresses and masks. Asked by: the registry. Never: knows who is connected; `system::session` does.
//! Source: PostgreSQL 15 manual, section 9.12; `network.c`, `mac.c`, `mac8.c`.

use super::Function;
use super::args;
use DataType::*;
use types::network::{Inet as Address, Mac, Mac8, V6_BITS};
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("network_sub", &[Inet, Inet], Bool, |_, a| {
        within(a, 1, 0, true)
    })
    .op("<<"),
    Function::new("network_subeq", &[Inet, Inet], Bool, |_, a| {
        within(a, 1, 0, false)
    })
    .op("<<="),
    Function::new("network_sup", &[Inet, Inet], Bool, |_, a| {
        within(a, 0, 1, true)
    })
    .op(">>"),
    Function::new("network_supeq", &[Inet, Inet], Bool, |_, a| {
        within(a, 0, 1, false)
    })
    .op(">>="),
    Function::new("network_overlap", &[Inet, Inet], Bool, |_, a| {
        let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
        Ok((left.covers(right) || right.covers(left)).into())
    })
    .op("&&"),
    Function::new("network_cmp", &[Inet, Inet], Int4, |_, a| {
        let order = args::inet(a, 0)?.compare(args::inet(a, 1)?);
        Ok(Value::Int4(order as i32))
    }),
    Function::new("inetnot", &[Inet], Inet, |_, a| {
        let address = args::inet(a, 0)?;
        Ok(Value::Inet(address.with_number(!address.number())))
    })
    .op("~"),
    Function::new("inetand", &[Inet, Inet], Inet, |_, a| {
        both(a, "AND", |x, y| x & y)
    })
    .op("&"),
    Function::new("inetor", &[Inet, Inet], Inet, |_, a| {
        both(a, "OR", |x, y| x | y)
    })
    .op("|"),
    Function::new("inetpl", &[Inet, Int8], Inet, |_, a| {
        moved(args::inet(a, 0)?, i128::from(args::int(a, 1)?))
    })
    .op("+"),
    Function::new("int8pl_inet", &[Int8, Inet], Inet, |_, a| {
        moved(args::inet(a, 1)?, i128::from(args::int(a, 0)?))
    })
    .op("+"),
    Function::new("inetmi_int8", &[Inet, Int8], Inet, |_, a| {
        moved(args::inet(a, 0)?, -i128::from(args::int(a, 1)?))
    })
    .op("-"),
    Function::new("inetmi", &[Inet, Inet], Int8, |_, a| distance(a)).op("-"),
    Function::new("inet_abbrev", &[Inet], Text, |_, a| {
        Ok(text_of(args::inet(a, 0)?, false))
    })
    .sql("abbrev"),
    Function::new("cidr_abbrev", &[Cidr], Text, |_, a| {
        Ok(args::inet(a, 0)?.abbreviated().into())
    })
    .sql("abbrev"),
    Function::new("network_broadcast", &[Inet], Inet, |_, a| {
        let address = args::inet(a, 0)?;
        let last = address.number() | address.host_mask();
        Ok(Value::Inet(address.with_number(last)))
    })
    .sql("broadcast"),
    Function::new("network_family", &[Inet], Int4, |_, a| {
        let six = args::inet(a, 0)?.max_bits() == V6_BITS;
        Ok(Value::Int4(if six { 6 } else { 4 }))
    })
    .sql("family"),
    Function::new("network_host", &[Inet], Text, |_, a| {
        let address = args::inet(a, 0)?;
        Ok(text_of(&address.with_bits(address.max_bits()), false))
    })
    .sql("host"),
    Function::new("network_hostmask", &[Inet], Inet, |_, a| {
        let address = args::inet(a, 0)?;
        let mask = address.with_number(address.host_mask());
        Ok(Value::Inet(mask.with_bits(mask.max_bits())))
    })
    .sql("hostmask"),
    Function::new("network_masklen", &[Inet], Int4, |_, a| {
        Ok(Value::Int4(i32::from(args::inet(a, 0)?.bits())))
    })
    .sql("masklen"),
    Function::new("network_netmask", &[Inet], Inet, |_, a| {
        let address = args::inet(a, 0)?;
        let mask = address.with_number(!address.host_mask());
        Ok(Value::Inet(mask.with_bits(mask.max_bits())))
    })
    .sql("netmask"),
    Function::new("network_network", &[Inet], Cidr, |_, a| {
        Ok(Value::Inet(args::inet(a, 0)?.network()))
    })
    .sql("network"),
    Function::new("inet_set_masklen", &[Inet, Int4], Inet, |_, a| {
        Ok(Value::Inet(masked(a)?.plain()))
    })
    .sql("set_masklen"),
    Function::new("cidr_set_masklen", &[Cidr, Int4], Cidr, |_, a| {
        Ok(Value::Inet(masked(a)?.network()))
    })
    .sql("set_masklen"),
    Function::new("network_show", &[Inet], Text, |_, a| {
        Ok(text_of(args::inet(a, 0)?, true))
    })
    .sql("text"),
    Function::new("inet_same_family", &[Inet, Inet], Bool, |_, a| {
        Ok(args::inet(a, 0)?.same_family(args::inet(a, 1)?).into())
    }),
    Function::new("inet_merge", &[Inet, Inet], Cidr, |_, a| merge(a)),
    Function::new("macaddr_cmp", &[Macaddr, Macaddr], Int4, |_, a| {
        let (left, right) = args::two(a)?;
        Ok(Value::Int4(types::order::compare(left, right) as i32))
    }),
    Function::new("macaddr8_cmp", &[Macaddr8, Macaddr8], Int4, |_, a| {
        let (left, right) = args::two(a)?;
        Ok(Value::Int4(types::order::compare(left, right) as i32))
    }),
    Function::new("macaddr_not", &[Macaddr], Macaddr, |_, a| {
        Ok(Value::Macaddr(Mac(args::macaddr(a, 0)?.0.map(|b| !b))))
    })
    .op("~"),
    Function::new("macaddr_and", &[Macaddr, Macaddr], Macaddr, |_, a| {
        let (Mac(x), Mac(y)) = (args::macaddr(a, 0)?, args::macaddr(a, 1)?);
        Ok(Value::Macaddr(Mac(bytewise(*x, *y, |x, y| x & y))))
    })
    .op("&"),
    Function::new("macaddr_or", &[Macaddr, Macaddr], Macaddr, |_, a| {
        let (Mac(x), Mac(y)) = (args::macaddr(a, 0)?, args::macaddr(a, 1)?);
        Ok(Value::Macaddr(Mac(bytewise(*x, *y, |x, y| x | y))))
    })
    .op("|"),
    Function::new("macaddr_trunc", &[Macaddr], Macaddr, |_, a| {
        let Mac([x, y, z, ..]) = *args::macaddr(a, 0)?;
        Ok(Value::Macaddr(Mac([x, y, z, 0, 0, 0])))
    })
    .sql("trunc"),
    Function::new("macaddr8_not", &[Macaddr8], Macaddr8, |_, a| {
        Ok(Value::Macaddr8(Mac8(args::macaddr8(a, 0)?.0.map(|b| !b))))
    })
    .op("~"),
    Function::new("macaddr8_and", &[Macaddr8, Macaddr8], Macaddr8, |_, a| {
        let (Mac8(x), Mac8(y)) = (args::macaddr8(a, 0)?, args::macaddr8(a, 1)?);
        Ok(Value::Macaddr8(Mac8(bytewise(*x, *y, |x, y| x & y))))
    })
    .op("&"),
    Function::new("macaddr8_or", &[Macaddr8, Macaddr8], Macaddr8, |_, a| {
        let (Mac8(x), Mac8(y)) = (args::macaddr8(a, 0)?, args::macaddr8(a, 1)?);
        Ok(Value::Macaddr8(Mac8(bytewise(*x, *y, |x, y| x | y))))
    })
    .op("|"),
    Function::new("macaddr8_trunc", &[Macaddr8], Macaddr8, |_, a| {
        let Mac8([x, y, z, ..]) = *args::macaddr8(a, 0)?;
        Ok(Value::Macaddr8(Mac8([x, y, z, 0, 0, 0, 0, 0])))
    })
    .sql("trunc"),
    Function::new("macaddr8_set7bit", &[Macaddr8], Macaddr8, |_, a| {
        let Mac8(mut bytes) = *args::macaddr8(a, 0)?;
        bytes[0] |= 2;
        Ok(Value::Macaddr8(Mac8(bytes)))
    }),
    Function::new("network_larger", &[Inet, Inet], Inet, |_, a| {
        let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
        let larger = if left.compare(right).is_gt() {
            left
        } else {
            right
        };
        Ok(Value::Inet(*larger))
    }),
    Function::new("network_smaller", &[Inet, Inet], Inet, |_, a| {
        let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
        let smaller = if left.compare(right).is_lt() {
            left
        } else {
            right
        };
        Ok(Value::Inet(*smaller))
    }),
];

fn text_of(address: &Address, always: bool) -> Value {
    let mut out = String::new();
    address.write(always, &mut out);
    out.into()
}

/// Whether the one is in the network of the other, or the same where that is not `strict`.
fn within(a: &[Value], outer: usize, inner: usize, strict: bool) -> Result<Value> {
    let (outer, inner) = (args::inet(a, outer)?, args::inet(a, inner)?);
    let differ = !strict || outer.bits() < inner.bits();
    Ok((differ && outer.covers(inner)).into())
}

fn both(a: &[Value], word: &str, f: fn(u128, u128) -> u128) -> Result<Value> {
    let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
    if !left.same_family(right) {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("cannot {word} inet values of different sizes"),
        ));
    }
    let bits = left.bits().max(right.bits());
    let number = f(left.number(), right.number());
    Ok(Value::Inet(left.with_number(number).with_bits(bits)))
}

fn out_of_range() -> Error {
    Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "result is out of range",
    )
}

fn moved(address: &Address, by: i128) -> Result<Value> {
    let number = match u128::try_from(by) {
        Ok(by) => address.number().checked_add(by),
        Err(_) => address.number().checked_sub(by.unsigned_abs()),
    };
    let max = u128::MAX >> (V6_BITS - address.max_bits());
    let number = number.filter(|n| *n <= max).ok_or_else(out_of_range)?;
    Ok(Value::Inet(address.with_number(number)))
}

fn distance(a: &[Value]) -> Result<Value> {
    let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
    if !left.same_family(right) {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "cannot subtract inet values of different sizes",
        ));
    }
    let (left, right) = (left.number(), right.number());
    let apart = i128::try_from(left.abs_diff(right)).map_err(|_| out_of_range())?;
    let signed = if left < right { -apart } else { apart };
    let small = i64::try_from(signed).map_err(|_| out_of_range())?;
    Ok(Value::Int8(small))
}

/// -1 stands for all bits there are.
fn masked(a: &[Value]) -> Result<Address> {
    let (address, bits) = (args::inet(a, 0)?, args::int4(a, 1)?);
    let bits = match bits {
        -1 => Some(address.max_bits()),
        n => u8::try_from(n).ok().filter(|n| *n <= address.max_bits()),
    };
    let bits = bits.ok_or_else(|| {
        let wrong = args::int4(a, 1).map_or(String::new(), |n| n.to_string());
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid mask length: {wrong}"),
        )
    })?;
    Ok(address.with_bits(bits))
}

/// The smallest network that has both.
fn merge(a: &[Value]) -> Result<Value> {
    let (left, right) = (args::inet(a, 0)?, args::inet(a, 1)?);
    if !left.same_family(right) {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "cannot merge addresses from different families",
        ));
    }
    let differ = (left.number() ^ right.number()) << (V6_BITS - left.max_bits());
    let common = differ.leading_zeros() as u8;
    let bits = common.min(left.bits()).min(right.bits());
    Ok(Value::Inet(left.with_bits(bits).network()))
}

fn bytewise<const N: usize>(x: [u8; N], y: [u8; N], f: fn(u8, u8) -> u8) -> [u8; N] {
    let mut out = x;
    for (out, y) in out.iter_mut().zip(y) {
        *out = f(*out, y);
    }
    out
}

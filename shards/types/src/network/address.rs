//! inet and cidr: an address of IPv4 or IPv6 and how many of its bits are the network's.
//!
//! Owns: their texts, which are older than today's rules (`10/8`, `10.1`, classes of networks), and their order: the network's
//! bits, then how many they are, then the rest. Source: PostgreSQL 15, `inet_net_pton.c`, `inet_cidr_ntop.c`, `network_cmp_internal`.

use crate::text::invalid;
use crate::{DataType, Error, Result, SqlState};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const V4_BITS: u8 = 32;
pub const V6_BITS: u8 = 128;

/// On the wire: PostgreSQL's own numbers of address families.
const WIRE_V4: u8 = 2;
const WIRE_V6: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inet {
    address: IpAddr,
    /// At most as many as the address has.
    bits: u8,
    /// Of type cidr: shown with its bits always.
    cidr: bool,
}

impl Inet {
    /// `None` for more bits than the address has, and for a cidr with something behind them.
    pub fn new(address: IpAddr, bits: u8, cidr: bool) -> Option<Inet> {
        let new = Inet {
            address,
            bits,
            cidr,
        };
        let fits = bits <= new.max_bits() && (!cidr || new.network().address == address);
        fits.then_some(new)
    }

    /// One machine.
    pub fn host(address: IpAddr) -> Inet {
        let mut host = Inet {
            address,
            bits: 0,
            cidr: false,
        };
        host.bits = host.max_bits();
        host
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn bits(&self) -> u8 {
        self.bits
    }

    pub fn is_cidr(&self) -> bool {
        self.cidr
    }

    pub fn max_bits(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => V4_BITS,
            IpAddr::V6(_) => V6_BITS,
        }
    }

    pub fn same_family(&self, other: &Inet) -> bool {
        self.max_bits() == other.max_bits()
    }

    /// The address as a number, its first bit the highest of `max_bits`.
    pub fn number(&self) -> u128 {
        match self.address {
            IpAddr::V4(a) => u128::from(u32::from(a)),
            IpAddr::V6(a) => u128::from(a),
        }
    }

    /// Another address of the same family and bits; the number's low bits count. It is of type inet.
    pub fn with_number(&self, number: u128) -> Inet {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        Inet {
            address,
            cidr: false,
            ..*self
        }
    }

    /// With so many bits, which must not be more than there are.
    pub fn with_bits(&self, bits: u8) -> Inet {
        Inet {
            bits: bits.min(self.max_bits()),
            ..*self
        }
    }

    /// The bits behind the network's, set.
    pub fn host_mask(&self) -> u128 {
        let all = u128::MAX >> (V6_BITS - self.max_bits());
        let mask = u128::MAX.checked_shl(u32::from(self.max_bits() - self.bits));
        all & !mask.unwrap_or(0)
    }

    /// Of type cidr, with nothing behind the network's bits.
    pub fn network(&self) -> Inet {
        let cleared = self.with_number(self.number() & !self.host_mask());
        Inet {
            cidr: true,
            ..cleared
        }
    }

    /// As type inet.
    pub fn plain(&self) -> Inet {
        Inet {
            cidr: false,
            ..*self
        }
    }

    /// Whether the other one's network is in this one, or the same.
    pub fn covers(&self, other: &Inet) -> bool {
        self.same_family(other)
            && self.bits <= other.bits
            && self.network().address == other.with_bits(self.bits).network().address
    }

    pub fn compare(&self, other: &Inet) -> Ordering {
        let bits = self.bits.min(other.bits);
        let within = |i: &Inet| i.with_bits(bits).network().number();
        (self.max_bits().cmp(&other.max_bits()))
            .then_with(|| within(self).cmp(&within(other)))
            .then_with(|| self.bits.cmp(&other.bits))
            .then_with(|| self.number().cmp(&other.number()))
    }

    /// The bytes of the address, its first one first.
    pub fn octets(&self) -> Vec<u8> {
        match self.address {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        }
    }

    /// 4 or 16 bytes.
    pub fn from_octets(octets: &[u8], bits: u8, cidr: bool) -> Option<Inet> {
        let address = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(v4), _) => IpAddr::from(v4),
            (_, Ok(v6)) => IpAddr::from(v6),
            _ => return None,
        };
        Inet::new(address, bits, cidr)
    }

    /// 22P02 for what is no address.
    pub fn parse(text: &str, ty: DataType) -> Result<Inet> {
        let cidr = ty == DataType::Cidr;
        let parts = match (text.contains(':'), cidr) {
            (true, _) => v6(text),
            (false, true) => network_v4(text),
            (false, false) => host_v4(text),
        };
        let (address, bits) = parts.ok_or_else(|| invalid(text, ty))?;
        Inet::new(address, bits, cidr).ok_or_else(|| {
            let message = format!("invalid cidr value: \"{text}\"");
            crate::text::invalid_literal(message).with_detail(BEHIND_MASK)
        })
    }

    /// The text, with `/bits` where `always` or where they are not all.
    pub fn write(&self, always: bool, out: &mut String) {
        match self.address {
            IpAddr::V4(a) => {
                let _ = write!(out, "{a}");
            }
            IpAddr::V6(a) => write_v6(a, out),
        }
        if always || self.bits != self.max_bits() {
            let _ = write!(out, "/{}", self.bits);
        }
    }

    /// `10.1/16`: without bytes that are behind the network's.
    pub fn abbreviated(&self) -> String {
        let mut out = String::new();
        match self.address {
            IpAddr::V4(a) => {
                let bytes = usize::from(self.bits.div_ceil(8)).max(1);
                let shown = a
                    .octets()
                    .iter()
                    .take(bytes)
                    .map(u8::to_string)
                    .collect::<Vec<_>>();
                out.push_str(&shown.join("."));
            }
            IpAddr::V6(a) => write_network_v6(a, self.bits, &mut out),
        }
        let _ = write!(out, "/{}", self.bits);
        out
    }

    pub fn to_wire(&self, out: &mut Vec<u8>) {
        let octets = self.octets();
        let family = if octets.len() == 4 { WIRE_V4 } else { WIRE_V6 };
        out.extend([family, self.bits, u8::from(self.cidr), octets.len() as u8]);
        out.extend(octets);
    }

    /// 22P03 for what is no address.
    pub fn from_wire(bytes: &[u8], ty: DataType) -> Result<Inet> {
        let cidr = ty == DataType::Cidr;
        let refused = |what: &str| {
            let message = format!("invalid {what} in external \"{ty}\" value");
            Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
        };
        let [family, bits, _, length, octets @ ..] = bytes else {
            return Err(refused("length"));
        };
        let (size, max) = match *family {
            WIRE_V4 => (4, V4_BITS),
            WIRE_V6 => (16, V6_BITS),
            _ => return Err(refused("address family")),
        };
        if *bits > max {
            return Err(refused("bits"));
        }
        if usize::from(*length) != size || octets.len() != size {
            return Err(refused("length"));
        }
        Inet::from_octets(octets, *bits, cidr).ok_or_else(|| {
            let message = "invalid external \"cidr\" value";
            Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message).with_detail(BEHIND_MASK)
        })
    }
}

const BEHIND_MASK: &str = "Value has bits set to right of mask.";

type Parts = Option<(IpAddr, u8)>;

/// Digits off the front of a text, as a number up to `max`.
fn number(rest: &mut &[u8], max: u32) -> Option<u32> {
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut value = 0u32;
    for digit in rest.get(..digits).filter(|d| !d.is_empty())? {
        value = value * 10 + u32::from(digit - b'0');
        if value > max {
            return None;
        }
    }
    *rest = rest.get(digits..)?;
    Some(value)
}

/// `/bits` to the end; `None` inside where there is nothing.
fn mask(rest: &[u8]) -> Option<Option<u8>> {
    match rest {
        [] => Some(None),
        [b'/', bits @ ..] => {
            let mut bits = bits;
            let value = number(&mut bits, u32::from(V4_BITS))?;
            bits.is_empty().then_some(Some(value as u8))
        }
        _ => None,
    }
}

fn of_bytes(bytes: &[u8]) -> IpAddr {
    let mut octets = [0; 4];
    for (to, from) in octets.iter_mut().zip(bytes) {
        *to = *from;
    }
    IpAddr::from(octets)
}

/// Bytes that are missing are zeros, where the mask does not count them.
fn host_v4(text: &str) -> Parts {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::new();
    while rest.first().is_some_and(u8::is_ascii_digit) {
        if bytes.len() == 4 {
            return None;
        }
        bytes.push(number(&mut rest, 255)? as u8);
        match rest.first() {
            None | Some(b'/') => break,
            Some(b'.') => rest = rest.get(1..)?,
            Some(_) => return None,
        }
    }
    let bits = match mask(rest)? {
        Some(bits) => bits,
        None if bytes.len() == 4 => V4_BITS,
        None => return None,
    };
    let named = !bytes.is_empty() && usize::from(bits / 8) <= bytes.len();
    named.then(|| (of_bytes(&bytes), bits))
}

/// Where there is no mask the class of the first byte, or more bytes, say it.
fn network_v4(text: &str) -> Parts {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::new();
    if let [b'0', b'x' | b'X', digits @ ..] = rest
        && digits.first().is_some_and(u8::is_ascii_hexdigit)
    {
        let count = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (hex, behind) = digits.split_at(count);
        rest = behind;
        for pair in hex.chunks(2) {
            let digit = |at: usize| pair.get(at).and_then(|b| char::from(*b).to_digit(16));
            bytes.push((digit(0)? << 4 | digit(1).unwrap_or(0)) as u8);
        }
    } else {
        loop {
            bytes.push(number(&mut rest, 255)? as u8);
            match rest.first() {
                None | Some(b'/') => break,
                Some(b'.') => rest = rest.get(1..)?,
                Some(_) => return None,
            }
        }
    }
    let first = *bytes.first()?;
    if bytes.len() > 4 {
        return None;
    }
    let class = || match first {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    let bits = mask(rest)?.unwrap_or_else(|| {
        let bits = class().max(bytes.len() as u8 * 8);
        if bits == 8 && first == 224 { 4 } else { bits }
    });
    Some((of_bytes(&bytes), bits))
}

fn v6(text: &str) -> Parts {
    let (address, bits) = match text.split_once('/') {
        None => (text, V6_BITS),
        Some((address, bits)) => {
            let plain = bits == "0" || !bits.starts_with('0');
            let mut rest = bits.as_bytes();
            let value = number(&mut rest, u32::from(V6_BITS))?;
            (rest.is_empty() && plain).then_some((address, value as u8))?
        }
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some((IpAddr::V6(address), bits))
}

/// The longest run of zeros of at least two words: from where, how many.
fn zeros(words: &[u16]) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < words.len() {
        let run = words.iter().skip(at).take_while(|w| **w == 0).count();
        if run >= 2 && best.is_none_or(|(_, longest)| run > longest) {
            best = Some((at, run));
        }
        at += run.max(1);
    }
    best
}

fn write_v6(a: Ipv6Addr, out: &mut String) {
    let words = a.segments();
    let run = zeros(&words);
    let [.., high, low] = words;
    for (i, word) in words.iter().enumerate() {
        if let Some((from, count)) = run
            && (from..from + count).contains(&i)
        {
            if i == from {
                out.push(':');
            }
            continue;
        }
        if i > 0 {
            out.push(':');
        }
        let v4 = match run {
            Some((0, 6)) => true,
            Some((0, 5)) => words.get(5) == Some(&0xffff),
            _ => false,
        };
        if i == 6 && v4 {
            let v4 = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
            let _ = write!(out, "{v4}");
            return;
        }
        let _ = write!(out, "{word:x}");
    }
    if run.is_some_and(|(from, count)| from + count == words.len()) {
        out.push(':');
    }
}

/// The words that the mask reaches, without the longest zeros among them, as `inet_cidr_ntop_ipv6` finds these.
fn write_network_v6(a: Ipv6Addr, bits: u8, out: &mut String) {
    if bits == 0 {
        return out.push_str("::");
    }
    let words = a.segments();
    let reached = usize::from(bits.div_ceil(16)).max(2);
    let words = words.get(..reached).unwrap_or(&words);
    let (mut from, mut count) = (0, 0);
    let (mut begun, mut run) = (0, 0);
    for (i, word) in words.iter().chain([&1]).enumerate() {
        if *word == 0 {
            if run == 0 {
                begun = i;
            }
            run += 1;
        } else if run > count {
            (from, count, run) = (begun, run, 0);
        }
    }
    let low = words.get(7).copied().unwrap_or(0);
    let v4 = count != words.len()
        && from == 0
        && (count == 6
            || (count == 5 && words.get(5) == Some(&0xffff))
            || (count == 7 && low > 0xff && low & 0xff != 1));
    for (i, word) in words.iter().enumerate() {
        let [high, low] = word.to_be_bytes();
        if count > 0 && (from..from + count).contains(&i) {
            let last = i + 1 == words.len();
            out.push_str(match (i == from, last) {
                (true, true) => "::",
                (false, false) => "",
                _ => ":",
            });
        } else if v4 && i > 5 {
            let _ = write!(out, "{}{high}", if i == 6 { ':' } else { '.' });
            if i != 7 || bits > 120 {
                let _ = write!(out, ".{low}");
            }
        } else {
            let colon = if i == 0 { "" } else { ":" };
            let _ = write!(out, "{colon}{word:x}");
        }
    }
}

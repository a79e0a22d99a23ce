//! A mix of transactions like TPC-C's: the five of it, in its proportions, on its tables.
//!
//! Owns: `load` (tables and rows), `work` (the five transactions), `mix` (who does which, and what it took), `check`
//! (consistency conditions 1 to 4). Asked by: `bin/tpcc`. Never: TPC-C in its own sense: there is no think time, no terminal, no
//! audit, districts have fewer customers and there are fewer items unless told otherwise, and a rate here compares with nothing
//! but another of the same run.
//! Source: TPC BENCHMARK C, Standard Specification, revision 5.11: clauses 1.3 (tables), 2.4 to 2.8 (transactions), 3.3.2
//! (consistency), 4.3 (rows), 5.2.3 (the mix).

pub mod check;
pub mod load;
pub mod mix;
pub mod work;

/// Fixed by the specification.
pub const DISTRICTS: u64 = 10;

/// How many there are of each.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub warehouses: u64,
    /// 100,000 in the specification.
    pub items: u64,
    /// Of a district, and its orders at the beginning; 3,000 in the specification.
    pub customers: u64,
}

/// Repeatable numbers: splitmix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Both ends included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    pub fn percent(&mut self, of_hundred: u64) -> bool {
        self.between(1, 100) <= of_hundred
    }

    /// Clause 2.1.6: some more often than others. `a` is 255, 1,023 or 8,191, shrunk with the range.
    pub fn uneven(&mut self, a: u64, low: u64, high: u64) -> u64 {
        let mut a = a;
        while a > high {
            a /= 2;
        }
        let c = 123 % (a + 1);
        (((self.between(0, a) | self.between(low, high)) + c) % (high - low + 1)) + low
    }

    /// Lower-case letters.
    pub fn letters(&mut self, count: usize) -> String {
        let letter = |_| char::from(b'a' + (self.draw() % 26) as u8);
        (0..count).map(letter).collect()
    }
}

/// Clause 4.3.2.3: of 0 to 999.
pub fn last_name(n: u64) -> String {
    const PARTS: [&str; 10] = [
        "BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING",
    ];
    let part = |n: u64| PARTS[(n % 10) as usize];
    [part(n / 100), part(n / 10), part(n)].concat()
}

/// The last names that customers of a district have.
pub fn names(scale: Scale) -> u64 {
    scale.customers.min(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_specifications() {
        assert_eq!(last_name(371), "PRICALLYOUGHT");
        assert_eq!(last_name(40), "BARPRESBAR");
    }

    #[test]
    fn dice_stay_within_their_ends() {
        let mut dice = Dice::new(7);
        for high in [1, 10, 300, 3_000, 100_000] {
            for _ in 0..2_000 {
                assert!((1..=high).contains(&dice.uneven(1_023, 1, high)));
                assert!((1..=high).contains(&dice.between(1, high)));
            }
        }
    }
}

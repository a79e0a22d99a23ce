//! A recorded history for every anomaly, and what each level says to it: the checkers see what they are there for.

use super::anomaly::Name;
use super::history::{Level, Txn, list};
use super::{lists, registers};

struct Planted {
    what: &'static str,
    /// A transaction a line; for lists a last line with how they ended, for registers `1=2` and `1=nil`.
    history: &'static str,
    names: &'static [Name],
}

const fn planted(what: &'static str, history: &'static str, names: &'static [Name]) -> Planted {
    Planted {
        what,
        history,
        names,
    }
}

const LISTS: [Planted; 21] = [
    planted(
        "nothing wrong",
        "0-1 ok a1:1
         2-3 ok r1[1] a1:2 r1[1,2] a2:3
         4-5 fail a1:4
         4-9 info a1:5
         6-7 ok r1[1,2] r2[3]
         end 1[1,2] 2[3]",
        &[],
    ),
    planted(
        "two keys, written in different orders",
        "0-9 ok a1:1 a2:2
         0-9 ok a1:3 a2:4
         end 1[1,3] 2[4,2]",
        &[Name::G0],
    ),
    planted(
        "what was rolled back was read",
        "0-1 fail a1:1
         0-9 ok r1[1]
         end 1[]",
        &[Name::G1a],
    ),
    planted(
        "what was rolled back is there",
        "0-1 fail a1:1
         end 1[1]",
        &[Name::G1a],
    ),
    planted(
        "half of a transaction was read",
        "0-9 ok a1:1 a1:2
         0-9 ok r1[1]
         end 1[1,2]",
        &[Name::GSingle, Name::G1b],
    ),
    planted(
        "each has read what the other wrote",
        "0-9 ok a1:1 r2[2]
         0-9 ok a2:2 r1[1]
         end 1[1] 2[2]",
        &[Name::G1c],
    ),
    planted(
        "read skew: one of two writes of a transaction was seen",
        "0-9 ok a1:1 a2:2
         0-9 ok r1[1] r2[]
         end 1[1] 2[2]",
        &[Name::GSingle],
    ),
    planted(
        "lost update: both read nothing and then wrote",
        "0-9 ok r1[] a1:1
         0-9 ok r1[] a1:2
         end 1[1,2]",
        &[Name::GSingle, Name::LostUpdate],
    ),
    planted(
        "long fork: two readers see two writers in different orders",
        "0-9 ok a1:1
         0-9 ok a2:2
         0-9 ok r1[1] r2[]
         0-9 ok r1[] r2[2]
         end 1[1] 2[2]",
        &[Name::LongFork, Name::G2Item],
    ),
    planted(
        "write skew",
        "0-9 ok r1[] r2[] a1:1
         0-9 ok r1[] r2[] a2:2
         end 1[1] 2[2]",
        &[Name::G2Item],
    ),
    planted(
        "a reader between two writers (Fekete's read-only anomaly)",
        "0-9 ok r1[] r2[] a1:1
         0-9 ok r2[] a2:2
         0-9 ok r1[] r2[2]
         end 1[1] 2[2]",
        &[Name::G2Item],
    ),
    planted(
        "a read of what was long written over",
        "0-1 ok a1:1
         2-3 ok r1[]
         end 1[1]",
        &[Name::GSingleRealTime, Name::StaleRead],
    ),
    planted(
        "a write before one that had ended when it began",
        "0-1 ok a1:1
         2-3 ok a1:2
         end 1[2,1]",
        &[Name::G0RealTime],
    ),
    planted(
        "a read of what is not written yet",
        "0-1 ok r1[1]
         2-3 ok a1:1
         end 1[1]",
        &[Name::G1cRealTime],
    ),
    planted(
        "a fork that only time closes",
        "0-1 ok a1:1
         5-9 ok r1[] a2:2
         2-9 ok r3[] r2[2]
         2-3 ok a3:3
         end 1[1] 2[2] 3[3]",
        &[Name::GSingleRealTime, Name::StaleRead],
    ),
    planted(
        "two readers, one of which time puts after a writer that the other did not see",
        "0-1 ok a2:2
         2-3 ok r1[]
         0-9 ok a1:1
         0-9 ok r1[1] r2[]
         end 1[1] 2[2]",
        &[Name::LongForkRealTime, Name::G2ItemRealTime],
    ),
    planted(
        "write skew with somebody who had ended",
        "0-1 ok a2:2
         2-9 ok r1[]
         0-9 ok r2[] a1:1
         end 1[1] 2[2]",
        &[Name::G2ItemRealTime],
    ),
    planted(
        "a committed write that is gone",
        "0-1 ok a1:1
         end 1[]",
        &[Name::LostWrite],
    ),
    planted(
        "half of a transaction whose end nobody heard",
        "0-1 info a1:1 a2:2
         end 1[1] 2[]",
        &[Name::LostWrite],
    ),
    planted(
        "reads that no order explains",
        "0-9 ok a1:1
         0-9 ok a1:2
         0-9 ok r1[2]
         end 1[1,2]",
        &[Name::IncompatibleOrder],
    ),
    planted(
        "its own writes not seen, and numbers out of nowhere",
        "0-9 ok a1:1 r1[]
         0-9 ok r2[7]
         end 1[1] 2[]",
        &[Name::Garbage, Name::Internal],
    ),
];

const REGISTERS: [Planted; 15] = [
    planted(
        "nothing wrong",
        "0-1 ok r1=nil w1:1
         2-3 ok r1=1 w1:2 r1=2 w2:3
         4-5 fail w1:4
         4-9 info r1=2 w1:5
         6-7 ok r1=2 r2=3
         end 1=2 2=3",
        &[],
    ),
    planted(
        "written over in different orders",
        "0-9 ok r1=nil w1:1 r2=4 w2:2
         0-9 ok r1=1 w1:3 r2=nil w2:4
         end 1=3 2=2",
        &[Name::G0, Name::G1c, Name::GSingle],
    ),
    planted(
        "what was rolled back was read",
        "0-1 fail w1:1
         0-9 ok r1=1
         end 1=nil",
        &[Name::G1a],
    ),
    planted(
        "what was written over by the writer itself was read",
        "0-9 ok w1:1 w1:2
         0-9 ok r1=1
         end 1=2",
        &[Name::G1b],
    ),
    planted(
        "each has read what the other wrote",
        "0-9 ok w1:1 r2=2
         0-9 ok w2:2 r1=1
         end 1=1 2=2",
        &[Name::G1c],
    ),
    planted(
        "read skew",
        "0-9 ok w1:1 w2:2
         0-9 ok r1=1 r2=nil
         end 1=1 2=2",
        &[Name::GSingle],
    ),
    planted(
        "lost update",
        "0-1 ok w1:9
         2-9 ok r1=9 w1:1
         2-9 ok r1=9 w1:2
         end 1=2",
        &[Name::G2Item, Name::LostUpdate],
    ),
    planted(
        "long fork",
        "0-9 ok w1:1
         0-9 ok w2:2
         0-9 ok r1=1 r2=nil
         0-9 ok r1=nil r2=2
         end 1=1 2=2",
        &[Name::LongFork, Name::G2Item],
    ),
    planted(
        "write skew",
        "0-9 ok r1=nil r2=nil w1:1
         0-9 ok r1=nil r2=nil w2:2
         end 1=1 2=2",
        &[Name::G2Item],
    ),
    planted(
        "a stale read",
        "0-1 ok w1:1
         2-3 ok r1=nil
         end 1=1",
        &[Name::GSingleRealTime, Name::StaleRead],
    ),
    planted(
        "a version after one that came later",
        "0-1 ok r1=2 w1:1
         2-3 ok r1=nil w1:2
         end 1=1",
        &[
            Name::StaleRead,
            Name::G0RealTime,
            Name::G1cRealTime,
            Name::GSingleRealTime,
        ],
    ),
    planted(
        "all that was written is gone",
        "0-1 ok w1:1
         end 1=nil",
        &[Name::LostWrite],
    ),
    planted(
        "what was written over is back",
        "0-1 ok w1:1
         2-3 ok r1=1 w1:2
         end 1=1",
        &[Name::LostWrite],
    ),
    planted(
        "its own write not seen",
        "0-9 ok w1:1 r1=nil
         end 1=1",
        &[Name::Internal],
    ),
    planted(
        "a number out of nowhere",
        "0-9 ok r1=7
         end 1=nil",
        &[Name::Garbage],
    ),
];

/// The transactions, and the last line's words.
fn parse(history: &str) -> (Vec<Txn>, Vec<&str>) {
    let (txns, end) = history.split_once("end ").expect(history);
    let lines = txns.lines().map(str::trim).filter(|l| !l.is_empty());
    (
        lines.map(Txn::parse).collect(),
        end.split_whitespace().collect(),
    )
}

fn same(planted: &Planted, found: Vec<super::Anomaly>) {
    let mut names: Vec<Name> = found.iter().map(|a| a.name).collect();
    let mut wanted = planted.names.to_vec();
    names.sort();
    names.dedup();
    wanted.sort();
    assert_eq!(names, wanted, "{}: {found:#?}", planted.what);
}

#[test]
fn every_anomaly_of_lists_is_named() {
    for planted in &LISTS {
        let (history, end) = parse(planted.history);
        let last = end.into_iter().map(list).collect();
        same(planted, lists::check(&history, &last));
    }
}

#[test]
fn every_anomaly_of_registers_is_named() {
    for planted in &REGISTERS {
        let (history, end) = parse(planted.history);
        let register = |word: &str| {
            let (key, n) = word.split_once('=').unwrap();
            (key.parse().unwrap(), n.parse().ok())
        };
        let last = end.into_iter().map(register).collect();
        same(planted, registers::check(&history, &last));
    }
}

#[test]
fn every_name_is_planted_and_some_level_forbids_it() {
    let planted = || LISTS.iter().chain(&REGISTERS).flat_map(|p| p.names);
    for name in [
        Name::G0,
        Name::G1a,
        Name::G1b,
        Name::G1c,
        Name::GSingle,
        Name::LostUpdate,
        Name::LongFork,
        Name::G2Item,
        Name::StaleRead,
        Name::G0RealTime,
        Name::G1cRealTime,
        Name::GSingleRealTime,
        Name::LongForkRealTime,
        Name::G2ItemRealTime,
        Name::LostWrite,
        Name::IncompatibleOrder,
        Name::Garbage,
        Name::Internal,
    ] {
        assert!(planted().any(|n| *n == name), "{name:?}");
        assert!(!name.allowed(Level::Serializable));
        let stricter = name.allowed(Level::ReadCommitted) || !name.allowed(Level::RepeatableRead);
        assert!(stricter, "{name:?}");
    }
}

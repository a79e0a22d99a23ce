//! The choice among overloads.
//!
//! Owns: the order of PostgreSQL's rules. Asked by: the functions of this folder. Never: words an error.
//! Source: PostgreSQL 15 `func_match_argtypes`, `func_select_candidate`, `binary_oper_exact`.

use super::Resolved;
use super::polymorphic::{self, Slots};
use crate::exec::cast::{CastContext, can_cast, is_preferred};
use crate::exec::functions::Function;
use DataType::Unknown;
use types::DataType;

/// What came of a choice.
pub enum Choice {
    None,
    Many,
    One(Resolved),
}

/// A candidate's declared type at each argument, and what it would make of the call.
struct Candidate {
    func: &'static Function,
    slots: Slots,
}

/// Chooses for a function, or for an operator (where one unknown operand first tries the type of the other).
pub fn choose(
    overloads: &'static [&'static Function],
    args: &[DataType],
    operator: bool,
) -> Choice {
    let all: Vec<Candidate> = overloads
        .iter()
        .filter_map(|f| {
            let slots = polymorphic::slots(f, args)?;
            Some(Candidate { func: f, slots })
        })
        .collect();
    if let Some(exact) = all.iter().find(|c| is_exact(c, args)) {
        return settle(exact, args);
    }
    if operator && let [left, right] = *args {
        let same = match (left, right) {
            (Unknown, known) | (known, Unknown) if known != Unknown => Some(known),
            _ => None,
        };
        if let Some(ty) = same
            && let Some(exact) = all.iter().find(|c| is_exact(c, &[ty, ty]))
        {
            return settle(exact, &[ty, ty]);
        }
    }
    let mut fitting: Vec<&Candidate> = all.iter().filter(|c| accepts(c, args)).collect();
    if fitting.len() > 1 {
        fitting = narrow(fitting, args);
    }
    match fitting.as_slice() {
        [] => Choice::None,
        [one] => settle(one, args),
        _ => Choice::Many,
    }
}

fn settle(c: &Candidate, args: &[DataType]) -> Choice {
    match polymorphic::settle(c.func, args) {
        Some((arg_types, ret)) => Choice::One(Resolved {
            func: c.func,
            arg_types,
            ret,
        }),
        None => Choice::None,
    }
}

/// Pseudo-types are never exact.
fn is_exact(c: &Candidate, args: &[DataType]) -> bool {
    c.slots.declared == args && !c.slots.pseudo.contains(&true) && !args.contains(&Unknown)
}

fn accepts(c: &Candidate, args: &[DataType]) -> bool {
    // An array is no vector here: what has an overload for vectors has one for arrays.
    let vector = |to: DataType, from: DataType| to.is_vector() && from.is_array() && from != to;
    let fits = |(to, from): (&DataType, &DataType)| {
        !vector(*to, *from) && can_cast(*from, *to, CastContext::Implicit)
    };
    c.slots.declared.len() == args.len() && c.slots.declared.iter().zip(args).all(fits)
}

/// Rules 4.c to 4.f of the manual's section 10.3.
fn narrow<'a>(candidates: Vec<&'a Candidate>, args: &[DataType]) -> Vec<&'a Candidate> {
    let known = |i: usize| args[i] != Unknown;
    let exact = |c: &Candidate| {
        let hits = |i: &usize| known(*i) && !c.slots.pseudo[*i] && c.slots.declared[*i] == args[*i];
        (0..args.len()).filter(hits).count()
    };
    let candidates = keep_best(candidates, exact);
    let preferred = |c: &Candidate| {
        let hits = |i: &usize| {
            let (to, from) = (c.slots.declared[*i], args[*i]);
            known(*i)
                && !c.slots.pseudo[*i]
                && (to == from || (is_preferred(to) && to.category() == from.category()))
        };
        (0..args.len()).filter(hits).count()
    };
    let candidates = keep_best(candidates, preferred);
    if candidates.len() < 2 || !args.contains(&Unknown) {
        return candidates;
    }
    let candidates = by_category(candidates, args);
    if candidates.len() < 2 {
        return candidates;
    }
    assume_known(candidates, args)
}

fn keep_best(candidates: Vec<&Candidate>, score: impl Fn(&Candidate) -> usize) -> Vec<&Candidate> {
    let best = candidates.iter().map(|c| score(c)).max().unwrap_or(0);
    candidates
        .into_iter()
        .filter(|c| score(c) == best)
        .collect()
}

/// For each unknown argument the string category if any candidate takes it, else the one category all share.
fn by_category<'a>(candidates: Vec<&'a Candidate>, args: &[DataType]) -> Vec<&'a Candidate> {
    let mut kept = candidates.clone();
    for i in (0..args.len()).filter(|i| args[*i] == Unknown) {
        let at = |c: &Candidate| match c.slots.pseudo[i] {
            true => 'P',
            false => c.slots.declared[i].category(),
        };
        let preferred = |c: &Candidate| !c.slots.pseudo[i] && is_preferred(c.slots.declared[i]);
        let string = candidates.iter().any(|c| at(c) == 'S');
        let category = match candidates.first().map(|c| at(c)) {
            _ if string => 'S',
            Some(first) if candidates.iter().all(|c| at(c) == first) => first,
            _ => return candidates,
        };
        let in_category = |c: &&Candidate| at(c) == category;
        let prefers = candidates.iter().any(|c| in_category(c) && preferred(c));
        kept.retain(|c| in_category(c) && (!prefers || preferred(c)));
    }
    if kept.is_empty() { candidates } else { kept }
}

/// If all known arguments have one type, the unknown ones may have it too.
fn assume_known<'a>(candidates: Vec<&'a Candidate>, args: &[DataType]) -> Vec<&'a Candidate> {
    let mut known = args.iter().filter(|t| **t != Unknown);
    let Some(&ty) = known.next() else {
        return candidates;
    };
    if known.any(|t| *t != ty) {
        return candidates;
    }
    let same = vec![ty; args.len()];
    let fitting: Vec<&Candidate> = candidates
        .iter()
        .copied()
        .filter(|c| accepts(c, &same))
        .collect();
    if fitting.len() == 1 {
        fitting
    } else {
        candidates
    }
}

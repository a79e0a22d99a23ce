//! Window calls: found while a select list or ORDER BY is bound, taken out of it, and put into operators above the rows.
//!
//! Owns: the stand-in columns of window calls, named windows, frames and their checks, and the order in which windows are
//! computed (as PostgreSQL does, so that sorts are shared). Never: lets one into a clause where PostgreSQL refuses it.
//! Source: `parse_agg.c` (`transformWindowFuncCall`), `parse_clause.c` (`transformWindowDefinitions`,
//! `transformFrameOffset`), `planner.c` (`select_active_windows`).

use super::agg::sort_key;
use super::group::Grouping;
use super::{Binder, Clause, Cx, names, syntax, unsupported, walk};
use engine::exec::cast::{self, CastContext};
use engine::exec::resolve;
use engine::plan::{
    Expr, Frame, FrameBound, FrameExclude, FrameUnits, Plan, SortKey, Window, WindowCall,
    WindowFunc,
};
use sqlparser::ast::{self, NamedWindowExpr, WindowFrameBound, WindowSpec, WindowType};
use types::{DataType, Error, Result, SqlState};

/// Columns from here on stand for window calls; below those of set-returning functions.
const STAND_IN: usize = 1 << 30;
const STAND_INS_MAX: usize = 1 << 20;

/// The windows of one SELECT and the calls over them.
#[derive(Default)]
pub(super) struct Collector {
    named: Vec<(String, Bound)>,
    windows: Vec<Bound>,
    /// Each with the number of its window.
    calls: Vec<(usize, WindowCall)>,
}

/// A window as bound.
#[derive(Clone)]
struct Bound {
    partition: Vec<Expr>,
    order: Vec<SortKey>,
    frame: Frame,
    frame_is_written: bool,
}

/// A call as written, arguments bound.
pub(super) struct Written<'n, 'a> {
    pub name: &'n str,
    pub args: Vec<&'a ast::Expr>,
    pub star: bool,
    pub distinct: bool,
    pub ordered: bool,
    pub filter: Option<&'a ast::Expr>,
    pub over: &'a WindowType,
}

pub(super) fn is_stand_in(column: usize) -> bool {
    (STAND_IN..STAND_IN + STAND_INS_MAX).contains(&column)
}

/// Somewhere in it a window call stands.
pub(super) fn has_call(e: &Expr) -> bool {
    e.any(&mut |x| matches!(x, Expr::Column(i, _) if is_stand_in(*i)))
}

fn windowing(message: impl Into<String>) -> Error {
    Error::new(SqlState::WINDOWING_ERROR, message)
}

impl<'a> Binder<'a> {
    /// The WINDOW clause, in the place where calls will look for its names.
    pub(super) fn named_windows(
        &mut self,
        list: &'a [ast::NamedWindowDefinition],
        cx: &mut Cx,
    ) -> Result<()> {
        for ast::NamedWindowDefinition(name, spec) in list {
            let name = names::ident(name);
            let known = cx.windows.iter().flat_map(|c| &c.named);
            if known.into_iter().any(|(n, _)| *n == name) {
                return Err(windowing(format!("window \"{name}\" is already defined")));
            }
            let NamedWindowExpr::WindowSpec(spec) = spec else {
                return Err(syntax("syntax error in the WINDOW clause"));
            };
            let bound = self.window_spec(spec, cx)?;
            if let Some(collector) = &mut cx.windows {
                collector.named.push((name, bound));
            }
        }
        Ok(())
    }

    /// A call with OVER.
    pub(super) fn window_call(&mut self, w: Written<'_, 'a>, cx: &mut Cx) -> Result<Expr> {
        if cx.windows.is_none() {
            return Err(not_here(cx.clause));
        }
        refuse_extras(&w)?;
        let args = self.without_windows(Clause::WindowArguments, cx, |b, cx| {
            let args = w.args.iter().map(|e| b.expr(e, cx));
            args.collect::<Result<Vec<_>>>()
        })?;
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let found = called(&w, &types)?;
        let args = args
            .into_iter()
            .zip(&found.arg_types)
            .map(|(e, ty)| {
                let e = self.coerce_arg(e, *ty)?;
                self.json_label(w.name, e)
            })
            .collect::<Result<Vec<_>>>()?;
        let filter = match w.filter {
            Some(e) => self.without_windows(Clause::Filter, cx, |b, cx| {
                let e = b.expr(e, cx)?;
                b.condition(e, "FILTER").map(Some)
            })?,
            None => None,
        };
        let window = self.over(w.over, cx)?;
        let call = WindowCall {
            func: found.func,
            args,
            filter,
            ty: found.ret,
        };
        match &mut cx.windows {
            Some(collector) => collector.add(window, call),
            None => Err(Error::internal("windows without a collector")),
        }
    }

    /// Binds what no window call may stand in; aggregates may.
    fn without_windows<T>(
        &mut self,
        clause: Clause,
        cx: &mut Cx,
        f: impl FnOnce(&mut Self, &mut Cx) -> Result<T>,
    ) -> Result<T> {
        let before = cx.clause;
        let windows = cx.windows.take();
        let series = cx.series.take();
        cx.clause = clause;
        let out = f(self, cx);
        (cx.clause, cx.windows, cx.series) = (before, windows, series);
        out
    }

    fn over(&mut self, over: &'a WindowType, cx: &mut Cx) -> Result<Bound> {
        match over {
            WindowType::NamedWindow(name) => named(&names::ident(name), cx).cloned(),
            WindowType::WindowSpec(spec) => self.window_spec(spec, cx),
        }
    }

    fn window_spec(&mut self, spec: &'a WindowSpec, cx: &mut Cx) -> Result<Bound> {
        let (items, exclude) = exclusion(&spec.order_by)?;
        let mut bound = Bound {
            partition: Vec::new(),
            order: Vec::new(),
            frame: Frame::usual(),
            frame_is_written: spec.window_frame.is_some(),
        };
        if let Some(name) = &spec.window_name {
            let name = names::ident(name);
            let base = named(&name, cx)?.clone();
            if !spec.partition_by.is_empty() {
                return Err(windowing(format!(
                    "cannot override PARTITION BY clause of window \"{name}\""
                )));
            }
            if !items.is_empty() && !base.order.is_empty() {
                return Err(windowing(format!(
                    "cannot override ORDER BY clause of window \"{name}\""
                )));
            }
            if base.frame_is_written {
                let e = windowing(format!(
                    "cannot copy window \"{name}\" because it has a frame clause"
                ));
                let bare = items.is_empty() && spec.window_frame.is_none();
                return Err(if bare {
                    e.with_hint("Omit the parentheses in this OVER clause.")
                } else {
                    e
                });
            }
            (bound.partition, bound.order) = (base.partition, base.order);
        }
        let (partition, order) = self.without_windows(Clause::Window, cx, |b, cx| {
            let mut order = Vec::with_capacity(items.len());
            for item in items {
                let e = b.expr(&item.expr, cx)?;
                let e = b.settle_unknown(e)?;
                order.push(sort_key(e, &item.options)?);
            }
            let mut partition = Vec::with_capacity(spec.partition_by.len());
            for e in &spec.partition_by {
                let e = b.expr(e, cx)?;
                let e = b.settle_unknown(e)?;
                super::agg::needs_equality(e.ty())?;
                partition.push(e);
            }
            Ok((partition, order))
        })?;
        bound.partition.extend(partition);
        if !order.is_empty() {
            bound.order = order;
        }
        if let Some(frame) = &spec.window_frame {
            bound.frame = self.frame(frame, exclude, &bound.order, cx)?;
        }
        Ok(bound)
    }

    fn frame(
        &mut self,
        frame: &'a ast::WindowFrame,
        exclude: FrameExclude,
        order: &[SortKey],
        cx: &mut Cx,
    ) -> Result<Frame> {
        check_bounds(frame)?;
        let units = match frame.units {
            ast::WindowFrameUnits::Rows => FrameUnits::Rows,
            ast::WindowFrameUnits::Range => FrameUnits::Range,
            ast::WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        if units == FrameUnits::Groups && order.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause"));
        }
        let start = self.frame_bound(&frame.start_bound, units, order, cx)?;
        let end = match &frame.end_bound {
            Some(end) => self.frame_bound(end, units, order, cx)?,
            None => FrameBound::CurrentRow,
        };
        Ok(Frame {
            units,
            start,
            end,
            exclude,
        })
    }

    fn frame_bound(
        &mut self,
        bound: &'a WindowFrameBound,
        units: FrameUnits,
        order: &[SortKey],
        cx: &mut Cx,
    ) -> Result<FrameBound> {
        Ok(match bound {
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Preceding(None) => FrameBound::UnboundedPreceding,
            WindowFrameBound::Following(None) => FrameBound::UnboundedFollowing,
            WindowFrameBound::Preceding(Some(e)) => {
                FrameBound::Preceding(self.frame_offset(e, units, order, cx)?)
            }
            WindowFrameBound::Following(Some(e)) => {
                FrameBound::Following(self.frame_offset(e, units, order, cx)?)
            }
        })
    }

    fn frame_offset(
        &mut self,
        e: &'a ast::Expr,
        units: FrameUnits,
        order: &[SortKey],
        cx: &mut Cx,
    ) -> Result<Expr> {
        let (clause, word) = match units {
            FrameUnits::Rows => (Clause::WindowRows, "ROWS"),
            FrameUnits::Groups => (Clause::WindowGroups, "GROUPS"),
            FrameUnits::Range => (Clause::WindowRange, "RANGE"),
        };
        let aggregates = cx.aggregates.take();
        let bound = self.without_windows(clause, cx, |b, cx| b.expr(e, cx));
        cx.aggregates = aggregates;
        let bound = bound?;
        if !bound.columns().is_empty() {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("argument of {word} must not contain variables"),
            ));
        }
        if units != FrameUnits::Range {
            return self.must_be(bound, DataType::Int8, word);
        }
        let [key] = order else {
            return Err(windowing(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        };
        self.range_offset(bound, key.expr.ty())
    }

    /// An offset of the type that moves the ordered type.
    fn range_offset(&mut self, offset: Expr, ordered: DataType) -> Result<Expr> {
        use DataType::{
            Date, Float4, Float8, Int2, Int4, Int8, Interval, Numeric, Time, Timestamp, Timestamptz,
        };
        let given = offset.ty();
        let takes: &[DataType] = match ordered {
            Int2 | Int4 => &[Int2, Int4, Int8],
            Int8 => &[Int8],
            Float4 | Float8 => &[Float8],
            Numeric => &[Numeric],
            Date | Time | Timestamp | Timestamptz | Interval => &[Interval],
            _ => {
                return Err(Error::unsupported(format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {ordered}"
                )));
            }
        };
        let wanted = if takes.contains(&given) {
            given
        } else if given == DataType::Unknown && takes.contains(&ordered) {
            ordered
        } else {
            let fits = |t: &&DataType| {
                given == DataType::Unknown || cast::can_cast(given, **t, CastContext::Implicit)
            };
            let Some(ty) = takes.iter().rev().find(fits) else {
                return Err(Error::unsupported(format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {ordered} and offset type {given}"
                ))
                .with_hint("Cast the offset value to an appropriate type."));
            };
            *ty
        };
        self.coerce_arg(offset, wanted)
    }

    /// Puts the windows' operators above the rows, and their columns in the place of the stand-ins.
    pub(super) fn windowed<'e>(
        &mut self,
        mut plan: Plan,
        width: usize,
        collector: Collector,
        keys_first: &[Expr],
        targets: impl Iterator<Item = &'e mut Expr>,
    ) -> Result<(Plan, usize)> {
        let mut at = width;
        let mut columns = vec![0; collector.calls.len()];
        let mut sorted: Vec<SortKey> = Vec::new();
        for window in order_of(&collector, keys_first) {
            let Some(bound) = collector.windows.get(window) else {
                continue;
            };
            let mine = collector.calls.iter().enumerate();
            let mine: Vec<_> = mine.filter(|(_, (w, _))| *w == window).collect();
            for (i, _) in &mine {
                columns[*i] = at;
                at += 1;
            }
            self.count_relation()?;
            let wanted = bound.sort_keys();
            if !is_prefix(&wanted, &sorted) {
                plan = Plan::Sort {
                    input: Box::new(plan),
                    keys: wanted.clone(),
                    top: None,
                };
                sorted = wanted;
            }
            plan = Plan::Window(Box::new(Window {
                input: plan,
                partition: bound.partition.clone(),
                order: bound.order.clone(),
                frame: bound.frame.clone(),
                calls: mine.into_iter().map(|(_, (_, c))| c.clone()).collect(),
            }));
        }
        for target in targets {
            replace(target, &columns)?;
        }
        Ok((plan, at))
    }
}

impl Collector {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The stand-in for a call; equal calls share one.
    fn add(&mut self, window: Bound, call: WindowCall) -> Result<Expr> {
        let known = self.windows.iter().position(|w| w.same(&window));
        let window = known.unwrap_or_else(|| {
            self.windows.push(window);
            self.windows.len() - 1
        });
        let ty = call.ty;
        let known = self
            .calls
            .iter()
            .position(|(w, c)| *w == window && same_call(c, &call));
        let n = known.unwrap_or_else(|| {
            self.calls.push((window, call));
            self.calls.len() - 1
        });
        if n >= STAND_INS_MAX {
            return Err(super::too_complex("too many window functions"));
        }
        Ok(Expr::Column(STAND_IN + n, ty))
    }

    /// What the calls read becomes columns of the groups below.
    pub(super) fn regroup(&mut self, grouping: &mut Grouping<'_>) -> Result<()> {
        self.exprs_mut()
            .into_iter()
            .try_for_each(|e| grouping.rewrite(e))
    }

    pub(super) fn number_aggregates(&mut self, grouping: &Grouping<'_>) -> Result<()> {
        self.exprs_mut()
            .into_iter()
            .try_for_each(|e| grouping.number_aggregates(e))
    }

    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let mut out: Vec<&mut Expr> = Vec::new();
        for w in &mut self.windows {
            out.extend(&mut w.partition);
            out.extend(w.order.iter_mut().map(|k| &mut k.expr));
        }
        for (_, c) in &mut self.calls {
            out.extend(c.args.iter_mut().chain(&mut c.filter));
        }
        out
    }
}

impl Bound {
    /// Partition, then order, nothing twice.
    fn sort_keys(&self) -> Vec<SortKey> {
        let partition = self.partition.iter().map(|e| SortKey {
            expr: e.clone(),
            descending: false,
            nulls_first: false,
        });
        let mut out: Vec<SortKey> = Vec::new();
        for key in partition.chain(self.order.iter().cloned()) {
            if !out.iter().any(|k| walk::same(&k.expr, &key.expr)) {
                out.push(key);
            }
        }
        out
    }

    fn same(&self, other: &Bound) -> bool {
        let exprs = |a: &[Expr], b: &[Expr]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| walk::same(a, b))
        };
        let keys = self.order.iter().zip(&other.order);
        exprs(&self.partition, &other.partition)
            && self.order.len() == other.order.len()
            && keys.into_iter().all(|(a, b)| same_key(a, b))
            && self.frame.units == other.frame.units
            && self.frame.exclude == other.frame.exclude
            && same_bound(&self.frame.start, &other.frame.start)
            && same_bound(&self.frame.end, &other.frame.end)
    }
}

/// What only plain aggregates take, or nothing over a window.
fn refuse_extras(w: &Written<'_, '_>) -> Result<()> {
    let aggregate = resolve::is_aggregate(w.name);
    let is_window = WindowFunc::by_name(w.name).is_some();
    let message = if w.distinct && (aggregate || is_window) {
        "DISTINCT is not implemented for window functions"
    } else if w.ordered && aggregate {
        "aggregate ORDER BY is not implemented for window functions"
    } else if w.filter.is_some() && is_window {
        "FILTER is not implemented for non-aggregate window functions"
    } else {
        return Ok(());
    };
    Err(Error::unsupported(message))
}

/// The window function or aggregate that is meant.
fn called(w: &Written<'_, '_>, types: &[DataType]) -> Result<resolve::ResolvedWindow> {
    if resolve::is_aggregate(w.name) {
        let found = resolve::aggregate(w.name, types, w.star)?;
        return Ok(resolve::ResolvedWindow {
            func: WindowFunc::Aggregate(found.func),
            arg_types: found.arg_types,
            ret: found.ret,
        });
    }
    if WindowFunc::by_name(w.name).is_some() {
        return resolve::window_function(w.name, types);
    }
    resolve::function(w.name, types)?;
    Err(Error::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!(
            "OVER specified, but {} is not a window function nor an aggregate function",
            w.name
        ),
    ))
}

fn same_bound(a: &FrameBound, b: &FrameBound) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
        && match (a.offset(), b.offset()) {
            (Some(a), Some(b)) => walk::same(a, b) && !a.is_volatile(),
            _ => true,
        }
}

fn same_key(a: &SortKey, b: &SortKey) -> bool {
    a.descending == b.descending && a.nulls_first == b.nulls_first && walk::same(&a.expr, &b.expr)
}

fn same_call(a: &WindowCall, b: &WindowCall) -> bool {
    let exprs = a.args.iter().chain(&a.filter);
    let others: Vec<&Expr> = b.args.iter().chain(&b.filter).collect();
    a.func == b.func
        && a.ty == b.ty
        && a.args.len() == b.args.len()
        && a.filter.is_some() == b.filter.is_some()
        && exprs
            .zip(others)
            .all(|(a, b)| walk::same(a, b) && !a.is_volatile())
}

fn is_prefix(wanted: &[SortKey], sorted: &[SortKey]) -> bool {
    wanted.len() <= sorted.len() && wanted.iter().zip(sorted).all(|(a, b)| same_key(a, b))
}

/// Windows in the order in which they are computed: keys that were named later first, longer lists first, so that windows
/// with a common beginning stand together and the longest sorts for all. `keys_first` are those of the query itself.
fn order_of(collector: &Collector, keys_first: &[Expr]) -> Vec<usize> {
    let mut refs: Vec<Expr> = keys_first.to_vec();
    let mut number = |e: &Expr| match refs.iter().position(|r| walk::same(r, e)) {
        Some(at) => at,
        None => {
            refs.push(e.clone());
            refs.len() - 1
        }
    };
    for w in &collector.windows {
        let order = w.order.iter().map(|k| &k.expr);
        order.chain(&w.partition).for_each(|e| {
            number(e);
        });
    }
    type Ranked = Vec<(usize, bool, bool)>;
    let ranked = collector.windows.iter().map(|w| -> Ranked {
        let keys = w.sort_keys();
        let rank = |k: &SortKey| (number(&k.expr), k.descending, k.nulls_first);
        keys.iter().map(rank).collect()
    });
    let mut ranked: Vec<(usize, Ranked)> = ranked.enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| {
        let first = a
            .iter()
            .zip(b)
            .find_map(|(a, b)| (a != b).then(|| b.cmp(a)));
        first.unwrap_or_else(|| b.len().cmp(&a.len()))
    });
    ranked.into_iter().map(|(w, _)| w).collect()
}

fn replace(e: &mut Expr, columns: &[usize]) -> Result<()> {
    if let Expr::Column(i, _) = e {
        if is_stand_in(*i)
            && let Some(column) = columns.get(*i - STAND_IN)
        {
            *i = *column;
        }
        return Ok(());
    }
    walk::parts(e, &mut |x| replace(x, columns))
}

fn named<'c>(name: &str, cx: &'c Cx) -> Result<&'c Bound> {
    let all = cx.windows.iter().flat_map(|c| &c.named);
    all.into_iter()
        .find(|(n, _)| n == name)
        .map(|(_, bound)| bound)
        .ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("window \"{name}\" does not exist"),
            )
        })
}

fn not_here(clause: Clause) -> Error {
    match clause {
        Clause::WindowArguments => windowing("window function calls cannot be nested"),
        Clause::Aggregate => Error::new(
            SqlState::GROUPING_ERROR,
            "aggregate function calls cannot contain window function calls",
        ),
        clause => windowing(format!(
            "window functions are not allowed in {}",
            clause.name()
        )),
    }
}

/// The items of ORDER BY without the mark that EXCLUDE has left behind the last, and what it stands for.
fn exclusion(items: &[ast::OrderByExpr]) -> Result<(&[ast::OrderByExpr], FrameExclude)> {
    let Some((last, rest)) = items.split_last() else {
        return Ok((items, FrameExclude::NoOthers));
    };
    let ast::Expr::UnaryOp {
        op: ast::UnaryOperator::PGPrefixFactorial,
        expr,
    } = &last.expr
    else {
        return Ok((items, FrameExclude::NoOthers));
    };
    let exclude = match &**expr {
        ast::Expr::Value(v) => match &v.value {
            ast::Value::SingleQuotedString(s) => match s.as_str() {
                "others" => FrameExclude::NoOthers,
                "row" => FrameExclude::CurrentRow,
                "group" => FrameExclude::Group,
                "ties" => FrameExclude::Ties,
                _ => return Err(unsupported("this frame")),
            },
            _ => return Err(unsupported("this frame")),
        },
        _ => return Err(unsupported("this frame")),
    };
    Ok((rest, exclude))
}

/// What the grammar refuses.
fn check_bounds(frame: &ast::WindowFrame) -> Result<()> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let message = match (&frame.start_bound, &frame.end_bound) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (Following(Some(_)), None) => {
            "frame starting from following row cannot end with current row"
        }
        (_, Some(Preceding(None))) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Some(Preceding(Some(_)))) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Following(Some(_)), Some(Preceding(Some(_)) | CurrentRow)) => {
            "frame starting from following row cannot have preceding rows"
        }
        _ => return Ok(()),
    };
    Err(windowing(message))
}

//! Making an expression have the type its place wants.
//!
//! Owns: the meaning of untyped literals and parameters, implicit, assignment and explicit casts with typmods.
//! Never: decides which function an operator means (`exec::resolve` does). Source: `parse_coerce.c`, `parse_param.c`.

use super::{Binder, Cx};
use engine::exec::cast::{self, CastContext};
use engine::plan::Expr;
use types::{DataType, Error, Result, SqlState, Value};

impl Binder<'_> {
    /// `None` when no such conversion exists in that context.
    pub(super) fn coerce(
        &mut self,
        e: Expr,
        to: DataType,
        typmod: i32,
        how: CastContext,
    ) -> Result<Option<Expr>> {
        let from = e.ty();
        let explicit = matches!(how, CastContext::Explicit);
        match e {
            Expr::Const(value, DataType::Unknown) => {
                self.literal(value, to, typmod, explicit).map(Some)
            }
            Expr::Param(n, DataType::Unknown) => {
                let ty = self.param_as(n, to)?;
                if ty != to {
                    return self.coerce(Expr::Param(n, ty), to, typmod, how);
                }
                Ok(Some(with_typmod(Expr::Param(n, to), to, typmod, explicit)))
            }
            _ if from == to => Ok(Some(with_typmod(e, to, typmod, explicit))),
            _ if let (DataType::Record, DataType::Composite(oid)) = (from, to) => {
                self.row_as(&e, oid, how)
            }
            _ if !cast::can_cast(from, to, how) => Ok(None),
            Expr::Const(Value::Null, _) => Ok(Some(Expr::Const(Value::Null, to))),
            _ => Ok(Some(self.folded(Expr::Cast {
                expr: Box::new(e),
                to,
                typmod,
                explicit,
            }))),
        }
    }

    /// To a type that the resolver said the argument can have.
    pub(super) fn coerce_arg(&mut self, e: Expr, to: DataType) -> Result<Expr> {
        let from = e.ty();
        match self.coerce(e, to, -1, CastContext::Implicit)? {
            Some(e) => Ok(e),
            None => Err(mismatch(from, to)),
        }
    }

    /// An untyped literal becomes a value now, with PostgreSQL's error for its text; what depends on the moment
    /// (`'now'`) waits until the statement runs.
    fn literal(&mut self, value: Value, to: DataType, typmod: i32, explicit: bool) -> Result<Expr> {
        let Value::Text(text) = &value else {
            return Ok(Expr::Const(Value::Null, to));
        };
        if to == DataType::Unknown {
            return Ok(Expr::Const(value, to));
        }
        let context = self.env.context;
        let settled = cast::cast(
            value.clone(),
            DataType::Unknown,
            to,
            typmod,
            explicit,
            context,
        )?;
        if depends_on_moment(text, to) {
            return Ok(Expr::Cast {
                expr: Box::new(Expr::Const(value, DataType::Text)),
                to,
                typmod,
                explicit: true,
            });
        }
        Ok(Expr::Const(settled, to))
    }

    /// Gives a parameter its type, or tells the one it already has.
    fn param_as(&mut self, n: u16, to: DataType) -> Result<DataType> {
        let Some(slot) = self.params.get_mut(usize::from(n)) else {
            return Err(Error::internal("parameter out of range"));
        };
        match *slot {
            Some(ty) if ty != DataType::Unknown => Ok(ty),
            _ => {
                *slot = Some(to);
                Ok(to)
            }
        }
    }

    /// A cast of a constant is done now where its result can never change; one that fails is left to fail when it runs.
    fn folded(&self, e: Expr) -> Expr {
        let Expr::Cast {
            expr,
            to,
            typmod,
            explicit,
        } = &e
        else {
            return e;
        };
        let Expr::Const(value, from) = &**expr else {
            return e;
        };
        let steady = |t: DataType| t.is_number() || t.is_string() || t == DataType::Bool;
        if !steady(*from) || !steady(*to) {
            return e;
        }
        match cast::cast(
            value.clone(),
            *from,
            *to,
            *typmod,
            *explicit,
            self.env.context,
        ) {
            Ok(v) => Expr::Const(v, *to),
            Err(_) => e,
        }
    }

    /// `x::ty` and its spellings.
    pub(super) fn explicit_cast(&mut self, e: Expr, to: DataType, typmod: i32) -> Result<Expr> {
        let from = e.ty();
        if let (Expr::Array(items, _), Some(element)) = (&e, to.element()) {
            return self.array_as(items.clone(), element, to, typmod);
        }
        match self.coerce(e, to, typmod, CastContext::Explicit)? {
            Some(e) => Ok(e),
            None => Err(Error::new(
                SqlState::CANNOT_COERCE,
                format!("cannot cast type {from} to {to}"),
            )),
        }
    }

    /// `ARRAY[…]::ty[]`: each item is what the cast says, literals among them at once.
    fn array_as(
        &mut self,
        items: Vec<Expr>,
        element: DataType,
        to: DataType,
        typmod: i32,
    ) -> Result<Expr> {
        let item = |e| match e {
            Expr::Const(value, DataType::Text) => {
                self.explicit_cast(Expr::Const(value, DataType::Unknown), element, typmod)
            }
            e => self.explicit_cast(e, element, typmod),
        };
        let items = items.into_iter().map(item).collect::<Result<_>>()?;
        Ok(Expr::Array(items, to))
    }

    /// For a column of a table: INSERT, UPDATE, DEFAULT.
    pub(super) fn assign(&mut self, e: Expr, column: &engine::catalog::ColumnDef) -> Result<Expr> {
        let from = e.ty();
        match self.coerce(e, column.ty, column.typmod, CastContext::Assignment)? {
            Some(e) => Ok(e),
            None => Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{}\" is of type {} but expression is of type {from}",
                    column.name, column.ty
                ),
            )
            .with_hint("You will need to rewrite or cast the expression.")),
        }
    }

    /// A condition: `argument of WHERE must be type boolean, not type integer`.
    pub(super) fn condition(&mut self, e: Expr, construct: &str) -> Result<Expr> {
        self.must_be(e, DataType::Bool, construct)
    }

    pub(super) fn must_be(&mut self, e: Expr, ty: DataType, construct: &str) -> Result<Expr> {
        let from = e.ty();
        // LIMIT and OFFSET take whatever assigns to bigint; conditions only what is boolean.
        let how = if ty == DataType::Bool {
            CastContext::Implicit
        } else {
            CastContext::Assignment
        };
        match self.coerce(e, ty, -1, how)? {
            Some(e) => Ok(e),
            None => Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {construct} must be type {ty}, not type {from}"),
            )),
        }
    }

    /// An output column that stayed untyped is text.
    pub(super) fn settle_unknown(&mut self, e: Expr) -> Result<Expr> {
        if e.ty() != DataType::Unknown {
            return Ok(e);
        }
        self.coerce_arg(e, DataType::Text)
    }

    /// All of one type by the rule of UNION, CASE and VALUES; `word` names the construct in the error.
    pub(super) fn unify(&mut self, items: Vec<Expr>, word: &str) -> Result<(Vec<Expr>, DataType)> {
        let types: Vec<DataType> = items.iter().map(Expr::ty).collect();
        let ty = common_type(&types, word)?;
        let items = items
            .into_iter()
            .map(|e| self.coerce_arg(e, ty))
            .collect::<Result<Vec<_>>>()?;
        Ok((items, ty))
    }

    /// Typmod of an expression: of a plain column or a cast; -1 for what is computed.
    pub(super) fn typmod_of(&self, e: &Expr, cx: &Cx) -> i32 {
        match e {
            Expr::Column(i, _) => cx.scope.typmod(*i),
            Expr::Cast { typmod, .. } => *typmod,
            Expr::Subscript { array, .. } => self.typmod_of(array, cx),
            Expr::Call { func, args, .. } if func.0.name == "array_slice" => {
                args.first().map_or(-1, |array| self.typmod_of(array, cx))
            }
            _ => -1,
        }
    }
}

/// 42804 `WORD types a and b cannot be matched`, naming the first two that cannot.
pub(super) fn common_type(types: &[DataType], word: &str) -> Result<DataType> {
    engine::exec::resolve::common_type(types).map_err(|e| {
        let known: Vec<DataType> = types
            .iter()
            .copied()
            .filter(|t| *t != DataType::Unknown)
            .collect();
        let clash = (1..known.len())
            .find(|n| engine::exec::resolve::common_type(&known[..=*n]).is_err())
            .and_then(|n| Some((known.get(n - 1)?, known.get(n)?)));
        match clash {
            Some((a, b)) => Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("{word} types {a} and {b} cannot be matched"),
            ),
            None => e,
        }
    })
}

fn mismatch(from: DataType, to: DataType) -> Error {
    Error::new(
        SqlState::CANNOT_COERCE,
        format!("cannot cast type {from} to {to}"),
    )
}

/// The same type with a length or scale to keep to.
fn with_typmod(e: Expr, to: DataType, typmod: i32, explicit: bool) -> Expr {
    if typmod < 0 || matches!(&e, Expr::Cast { typmod: m, .. } if *m == typmod) {
        return e;
    }
    Expr::Cast {
        expr: Box::new(e),
        to,
        typmod,
        explicit,
    }
}

/// `'now'`, `'today'` and their like mean another value each time.
fn depends_on_moment(text: &str, to: DataType) -> bool {
    let dated = matches!(
        to,
        DataType::Date | DataType::Time | DataType::Timestamp | DataType::Timestamptz
    );
    if !dated {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    ["now", "today", "tomorrow", "yesterday"]
        .iter()
        .any(|w| lower.contains(w))
}

/// A constant expression's value, for places that only take constants.
pub(super) fn constant(e: &Expr) -> Option<&Value> {
    match e {
        Expr::Const(v, _) => Some(v),
        _ => None,
    }
}

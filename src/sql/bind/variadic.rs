//! Calls that no list of values is written for: `f(a, VARIADIC array)`, `normalize(s, NFC)`.
//!
//! Owns: what the grammar crate's tree has for them: an argument called `variadic`, and a name. Asked by: `function`.
//! Source: PostgreSQL 15, `parse_func.c` (`func_variadic`), `gram.y` (`unicode_normal_form`).

use super::{Binder, Cx, names};
use engine::exec::functions::{self, spread::SPREAD};
use engine::exec::resolve;
use engine::plan::{Expr, FuncRef};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr};
use types::{DataType, Error, Result, SqlState, Value};

/// The array behind VARIADIC, and the arguments before it.
pub(super) fn split(args: &[FunctionArg]) -> Option<(&ast::Expr, &[FunctionArg])> {
    let (last, given) = args.split_last()?;
    let (name, array) = match last {
        FunctionArg::Named {
            name,
            arg: FunctionArgExpr::Expr(e),
            ..
        }
        | FunctionArg::ExprNamed {
            name: ast::Expr::Identifier(name),
            arg: FunctionArgExpr::Expr(e),
            ..
        } => (name, e),
        _ => return None,
    };
    let is = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("variadic");
    is.then_some((array, given))
}

impl<'a> Binder<'a> {
    pub(super) fn call_spread(
        &mut self,
        name: &str,
        given: &'a [FunctionArg],
        array: &'a ast::Expr,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let given = super::function::positional(given, name)?;
        let mut args = Vec::with_capacity(given.len() + 2);
        for e in given {
            args.push(self.expr(e, cx)?);
        }
        let mut array = self.expr(array, cx)?;
        let element = match array.ty() {
            DataType::Unknown => DataType::Unknown,
            ty => ty.element().ok_or_else(|| {
                Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    "VARIADIC argument must be an array",
                )
            })?,
        };
        let mut types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        types.push(array.ty());
        let undefined = resolve::undefined(name, &types);
        types.pop();
        types.push(element);
        let found = resolve::function(name, &types).map_err(|_| undefined.clone())?;
        if !found.func.variadic || found.func.args.len() != types.len() {
            return Err(undefined);
        }
        let declared = found.func.args.last().copied();
        let wanted = declared.filter(|ty| *ty != functions::ANY);
        if let Some(ty) = wanted.and_then(DataType::array) {
            array = self.coerce_arg(array, ty)?;
        } else if element == DataType::Unknown {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                "VARIADIC argument must be an array",
            ));
        }
        let own = Expr::Const(Value::from(found.func.name), DataType::Text);
        let mut all = vec![own];
        for (e, ty) in args.into_iter().zip(&found.arg_types) {
            all.push(self.coerce_arg(e, *ty)?);
        }
        all.push(array);
        let func = functions::by_name(SPREAD)
            .ok_or_else(|| Error::internal("the call of arrays is gone"))?;
        Ok(Expr::Call {
            func: FuncRef(func),
            args: all,
            ty: found.ret,
        })
    }
}

/// The text, and the form, which is a word.
pub(super) fn with_form<'a>(
    b: &mut Binder<'a>,
    args: Vec<&'a ast::Expr>,
    cx: &mut Cx,
) -> Result<Vec<Expr>> {
    let word = |form: &str| Expr::Const(Value::from(form), DataType::Text);
    let mut out = Vec::with_capacity(2);
    for (n, e) in args.iter().enumerate() {
        out.push(match e {
            ast::Expr::Identifier(i) if n == 1 && i.quote_style.is_none() => {
                match names::ident(i).as_str() {
                    form @ ("nfc" | "nfd" | "nfkc" | "nfkd") => word(form),
                    _ => b.expr(e, cx)?,
                }
            }
            e => b.expr(e, cx)?,
        });
    }
    if out.len() == 1 {
        out.push(word("NFC"));
    }
    Ok(out)
}

/// `s IS [NOT] [form] NORMALIZED`
pub(super) fn is_normalized<'a>(
    b: &mut Binder<'a>,
    (text, form, negated): (&'a ast::Expr, Option<ast::NormalizationForm>, bool),
    cx: &mut Cx,
) -> Result<Expr> {
    let form = form.map_or("NFC".to_owned(), |f| f.to_string());
    let form = Expr::Const(Value::from(form), DataType::Text);
    let text = b.expr(text, cx)?;
    let is = b.call("is_normalized", vec![text, form])?;
    Ok(if negated { Expr::Not(Box::new(is)) } else { is })
}

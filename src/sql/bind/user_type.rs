//! Types that users have made, where a statement names them.
//!
//! Owns: their lookup along the search path, after the system's own; ALTER TYPE; what is said of an enum's type instead of by
//! its values (`pg_typeof`, `enum_range`). Source: PostgreSQL 15, `parse_type.c`, `typecmds.c`.

use super::{Binder, datatype, names};
use crate::parse::define::{self, Action};
use engine::catalog::path;
use engine::exec::functions;
use engine::exec::functions::domains::{TO_DOMAIN, cast_to_domain};
use engine::plan::ddl::{AlterTarget, LabelPlace, QualifiedName, TypeAction};
use engine::plan::{Expr, FuncRef};
use sqlparser::ast::{self, ArrayElemTypeDef};
use types::{DataType, Error, Reg, Result, SqlState, Value};

/// A type as it is written.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    /// That of its values: of a domain the one under it.
    pub ty: DataType,
    pub typmod: i32,
    /// Oid of the domain or enum, 0 for the system's.
    pub declared: u32,
}

impl<'a> Binder<'a> {
    /// A type where a domain may stand.
    pub(super) fn declared_type(&self, ty: &ast::DataType) -> Result<Declared> {
        if let Some(oid) = self.domain(ty)?
            && let Some((base, typmod)) = self.env.catalog.domain_base(oid)
        {
            return Ok(Declared {
                ty: base,
                typmod,
                declared: oid,
            });
        }
        let (ty, typmod) = self.data_type(ty)?;
        Ok(Declared {
            ty,
            typmod,
            declared: ty.user_oid().unwrap_or(0),
        })
    }

    /// The domain that a type is.
    fn domain(&self, ty: &ast::DataType) -> Result<Option<u32>> {
        let ast::DataType::Custom(name, modifiers) = ty else {
            return Ok(None);
        };
        if !modifiers.is_empty() || datatype::resolve(ty).is_ok() {
            return Ok(None);
        }
        let found = self.user_type(name)?.filter(|t| !t.is_array());
        let oid = found.and_then(DataType::user_oid);
        Ok(oid.filter(|oid| self.env.catalog.is_domain(*oid)))
    }

    /// The cast to a type as it is written: to the type under a domain, which then is held to it.
    pub(super) fn declared_cast(&mut self, e: Expr, to: Declared) -> Result<Expr> {
        let e = self.explicit_cast(e, to.ty, to.typmod)?;
        if !self.env.catalog.is_domain(to.declared) {
            return Ok(e);
        }
        let func = functions::by_name(TO_DOMAIN)
            .ok_or_else(|| Error::internal("the cast to a domain is gone"))?;
        let oid = Expr::Const(Value::Oid(to.declared), DataType::Oid);
        Ok(Expr::Call {
            func: FuncRef(func),
            args: vec![e, oid],
            ty: to.ty,
        })
    }

    /// The type and its typmod (-1 none), the system's or a user's that is no domain.
    pub(super) fn data_type(&self, ty: &ast::DataType) -> Result<(DataType, i32)> {
        match ty {
            ast::DataType::Array(
                ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::Qualified(inner, _),
            ) => {
                let (element, typmod) = self.data_type(inner)?;
                match element.array() {
                    Some(array) => Ok((array, typmod)),
                    None => datatype::resolve(ty),
                }
            }
            ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                let known = datatype::resolve(ty);
                match known {
                    Err(e) if e.code() == SqlState::UNDEFINED_OBJECT => {
                        let found = self.user_type(name)?.ok_or(e)?;
                        let oid = found.user_oid().unwrap_or(0);
                        match self.env.catalog.is_domain(oid) {
                            true => Err(self.refused_domain(found)),
                            false => Ok((found, -1)),
                        }
                    }
                    known => known,
                }
            }
            ty => datatype::resolve(ty),
        }
    }

    fn refused_domain(&self, ty: DataType) -> Error {
        let what = match ty.is_array() {
            true => "an array of a domain is not supported",
            false => "a domain is not supported here",
        };
        let base = self.env.catalog.domain_base(ty.user_oid().unwrap_or(0));
        let base = base.map_or_else(|| "its base type".into(), |(ty, _)| self.type_text(ty));
        Error::unsupported(what).with_hint(format!("Use the type under it, {base}."))
    }

    pub(super) fn user_type(&self, name: &ast::ObjectName) -> Result<Option<DataType>> {
        let (schema, base) = self.qualified(name)?;
        let catalog = &self.env.catalog;
        let found = catalog.user_type(&self.path, schema.as_deref(), &base);
        if let Some(oid) = found.filter(|t| !t.is_array()).and_then(DataType::user_oid) {
            self.note_type(name, oid);
        }
        Ok(found)
    }

    /// A type by its name: where it was found, else where it would be made.
    pub(super) fn type_named(&self, name: &ast::ObjectName) -> Result<QualifiedName> {
        let found = self.user_type(name)?.and_then(DataType::user_oid);
        let found = found.and_then(|oid| self.env.catalog.types.get(&oid));
        let (schema, name) = self.qualified(name)?;
        let schema = match (found, schema) {
            (Some(found), _) => found.schema.clone(),
            (None, Some(schema)) => schema,
            (None, None) => path::creation(self.env.context)?,
        };
        Ok(QualifiedName { schema, name })
    }

    /// As definitions that are kept as text name a type.
    pub(super) fn type_text(&self, ty: DataType) -> String {
        let own = self.env.catalog.user_type_name(ty);
        own.unwrap_or_else(|| ty.to_string())
    }

    pub(super) fn alter_type(&mut self, a: &'a define::Alter) -> Result<AlterTarget> {
        let found = self.user_type(&a.name)?.filter(|t| !t.is_array());
        let own = |oid: &u32| self.env.catalog.types.contains_key(oid);
        let Some(oid) = found.and_then(DataType::user_oid).filter(own) else {
            let (_, base) = names::qualified(&a.name)?;
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type \"{base}\" does not exist"),
            ));
        };
        if let Some(action) = self.attribute_actions(&a.actions)? {
            return Ok(AlterTarget::Type { oid, action });
        }
        match a.actions.as_slice() {
            [Action::Owner(_)] => Ok(AlterTarget::Nothing),
            [action] => {
                let action = match self.domain_action(a.kind, oid, action)? {
                    Some(action) => TypeAction::Domain(action),
                    None => type_action(action)?,
                };
                Ok(AlterTarget::Type { oid, action })
            }
            _ => Err(super::syntax("syntax error in ALTER TYPE")),
        }
    }

    /// What `pg_typeof` says of a user's type.
    pub(super) fn type_of(&self, args: &[Expr]) -> Option<Expr> {
        let [arg] = args else {
            return None;
        };
        let ty = match cast_to_domain(arg) {
            Some(domain) => DataType::Enum(domain),
            None => arg.ty(),
        };
        let name = self.env.catalog.user_type_name(ty)?;
        let reg = Reg {
            oid: ty.oid(),
            name: name.into(),
        };
        Some(Expr::Const(Value::Reg(reg), DataType::Regtype))
    }
}

/// The functions of enums are told the type by one more argument.
pub(super) fn with_enum(function: &str, types: &[DataType], args: &mut Vec<Expr>) {
    if !matches!(function, "enum_first" | "enum_last" | "enum_range") {
        return;
    }
    if let Some(oid) = types.iter().find_map(|t| t.user_oid()) {
        args.push(Expr::Const(Value::Oid(oid), DataType::Oid));
    }
}

fn type_action(action: &Action) -> Result<TypeAction> {
    Ok(match action {
        Action::RenameTo(to) => TypeAction::RenameTo(names::ident(to)),
        Action::SetSchema(to) => TypeAction::SetSchema(names::ident(to)),
        Action::AddValue {
            label,
            if_not_exists,
            beside,
        } => TypeAction::AddValue {
            label: label.clone(),
            if_not_exists: *if_not_exists,
            place: match beside {
                None => LabelPlace::Last,
                Some((true, other)) => LabelPlace::Before(other.clone()),
                Some((false, other)) => LabelPlace::After(other.clone()),
            },
        },
        Action::RenameValue { from, to } => TypeAction::RenameValue {
            from: from.clone(),
            to: to.clone(),
        },
        _ => return Err(super::syntax("syntax error in ALTER TYPE")),
    })
}

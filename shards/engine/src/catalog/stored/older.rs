//! Functions, triggers and views as older forms of the catalog had them: functions that are all in SQL (third), that are bound when they are
//! made (fourth), triggers of rows alone (fourth), views of which it is not known what can be changed (second).
//!
//! Owns: the declarations, which are the stored forms. Asked by: `stored`. Never: written any more; what changes is stored in the form of
//! today. The body of a function in SQL is its text from now on.

use crate::catalog::objects::{
    Firing, FunctionArg, Language, Returns, Stated, TriggerWhen, ViewColumn,
};
use serde::Deserialize;
use types::TableId;

#[derive(Deserialize)]
pub struct ThirdFunction {
    oid: u32,
    schema: String,
    name: String,
    args: Vec<FunctionArg>,
    returns: Returns,
    volatility: char,
    strict: bool,
    body: Stated,
}

#[derive(Deserialize)]
pub struct FourthFunction {
    third: ThirdFunction,
    language: Language,
}

impl From<ThirdFunction> for FourthFunction {
    fn from(third: ThirdFunction) -> FourthFunction {
        FourthFunction {
            third,
            language: Language::Sql,
        }
    }
}

impl From<FourthFunction> for crate::catalog::Function {
    fn from(old: FourthFunction) -> crate::catalog::Function {
        let FourthFunction { third, language } = old;
        let body = match language {
            Language::Sql => Stated {
                sql: third.body.sql,
                ..Stated::default()
            },
            _ => third.body,
        };
        let mut new = crate::catalog::Function {
            oid: third.oid,
            schema: third.schema,
            name: third.name,
            args: third.args,
            returns: third.returns,
            volatility: third.volatility,
            strict: third.strict,
            body,
            language,
            fixed: false,
            settings: Vec::new(),
            written: Vec::new(),
            definer: false,
        };
        new.uses_its_types();
        new
    }
}

#[derive(Deserialize)]
pub struct FourthTrigger {
    oid: u32,
    table: TableId,
    name: String,
    function: u32,
    before: bool,
    insert: bool,
    update: bool,
    delete: bool,
    columns: Vec<i16>,
    when: Option<TriggerWhen>,
    args: Vec<String>,
    firing: Firing,
}

impl From<FourthTrigger> for crate::catalog::Trigger {
    fn from(old: FourthTrigger) -> crate::catalog::Trigger {
        crate::catalog::Trigger {
            oid: old.oid,
            table: old.table,
            name: old.name,
            function: old.function,
            before: old.before,
            insert: old.insert,
            update: old.update,
            delete: old.delete,
            columns: old.columns,
            when: old.when,
            args: old.args,
            firing: old.firing,
            statement: false,
        }
    }
}

#[derive(Deserialize)]
pub struct SecondView {
    id: TableId,
    schema: String,
    name: String,
    columns: Vec<ViewColumn>,
    query: Stated,
    since: u64,
}

impl From<SecondView> for crate::catalog::View {
    fn from(old: SecondView) -> crate::catalog::View {
        crate::catalog::View {
            id: old.id,
            schema: old.schema,
            name: old.name,
            columns: old.columns,
            query: old.query,
            since: old.since,
            updatable: Vec::new(),
            check: None,
        }
    }
}

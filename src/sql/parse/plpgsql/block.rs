//! Blocks: their declarations, statements and handlers of errors.
//!
//! Owns: DECLARE and EXCEPTION. Never: looks a type up; `%TYPE` and `%ROWTYPE` are kept as they are written.
//! Source: PostgreSQL 15, `pl_gram.y` (`pl_block`, `decl_statement`, `exception_sect`).

use super::{Block, Condition, Handler, Reader, Variable, VariableType, conditions, raise, syntax};
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

impl Reader<'_> {
    /// `[DECLARE …] BEGIN … [EXCEPTION …] END [label]`
    pub(super) fn block(&mut self, label: Option<String>, line: u64) -> Result<Block> {
        let around = self.scope_begins(label.as_ref());
        let mut declared = Vec::new();
        if self.c.accept("declare") {
            while !self.c.is("begin") {
                if self.c.accept("declare") {
                    continue;
                }
                declared.extend(self.variable()?);
            }
        }
        self.loops.push((label.clone(), false));
        self.c.expect("begin")?;
        let steps = self.steps(&["end", "exception"])?;
        let mut handlers = Vec::new();
        if self.c.accept("exception") {
            while self.c.is("when") {
                handlers.push(self.handler()?);
            }
            if handlers.is_empty() {
                return Err(self.c.error());
            }
        }
        self.c.expect("end")?;
        self.loops.pop();
        self.end_label(label.as_deref(), "block")?;
        self.scope = around;
        Ok(Block {
            label,
            line,
            declared,
            steps,
            handlers,
        })
    }

    /// The label behind END, which has to be that of the beginning.
    pub(super) fn end_label(&mut self, label: Option<&str>, what: &str) -> Result<()> {
        if !matches!(self.c.peek(), Some(Token::Word(_))) {
            return Ok(());
        }
        let end = self.c.name()?;
        match label {
            // As functions made by older versions may have it.
            None if self.depth == 0 => Ok(()),
            None => Err(syntax(format!(
                "end label \"{end}\" specified for unlabeled {what}"
            ))),
            Some(label) if label != end => Err(syntax(format!(
                "end label \"{end}\" differs from {what}'s label \"{label}\""
            ))),
            Some(_) => Ok(()),
        }
    }

    /// `name [CONSTANT] type [NOT NULL] [{DEFAULT | := | =} expression];` `None`: it is another name of one.
    fn variable(&mut self) -> Result<Option<usize>> {
        let line = self.c.line();
        if self.c.at_end() {
            return Err(self.c.error());
        }
        let place = self.c.clone();
        let name = self.c.name()?;
        if self.is_declared_here(&name) {
            return Err(place.error_of("duplicate declaration"));
        }
        if self.c.is("alias") {
            self.alias(name)?;
            return Ok(None);
        }
        if self.c.is("cursor")
            || self.c.second_is("cursor")
            || self.c.is("refcursor")
            || self.c.is("scroll")
        {
            return Err(Error::unsupported("cursors in PL/pgSQL are not supported")
                .with_hint("FOR … IN query LOOP goes through the rows of a query."));
        }
        let constant = self.c.accept("constant");
        let ty = self.variable_type()?;
        if self.c.is("collate") {
            return Err(Error::unsupported(
                "COLLATE of PL/pgSQL variables is not supported",
            ));
        }
        let not_null = self.c.accept("not") && {
            self.c.expect("null")?;
            true
        };
        let given = self.c.accept("default")
            || self.c.accept_token(&Token::Assignment)
            || self.c.accept_token(&Token::Eq);
        let default = match given {
            true => Some(self.upto_semicolon()?),
            false => None,
        };
        if not_null && default.is_none() {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!(
                    "variable \"{name}\" must have a default value, since it's declared NOT NULL"
                ),
            ));
        }
        self.ends()?;
        let number = self.declare(Variable {
            name,
            ty,
            constant,
            not_null,
            default,
            line,
        })?;
        Ok(Some(number))
    }

    fn variable_type(&mut self) -> Result<VariableType> {
        if self.c.accept("record") {
            return Ok(VariableType::Record);
        }
        let mut ahead = self.c.clone();
        if let Ok(name) = ahead.object_name()
            && ahead.accept_token(&Token::Mod)
        {
            let ty = match () {
                () if ahead.accept("type") => VariableType::Like(name),
                () if ahead.accept("rowtype") => VariableType::RowOf(name),
                () => return Err(ahead.error()),
            };
            self.c = ahead;
            return Ok(ty);
        }
        Ok(VariableType::Written(self.c.data_type()?))
    }

    /// `WHEN condition [OR condition …] THEN …`
    fn handler(&mut self) -> Result<Handler> {
        self.c.expect("when")?;
        let mut conditions = vec![self.condition()?];
        while self.c.accept("or") {
            conditions.push(self.condition()?);
        }
        self.c.expect("then")?;
        let around = self.scope_begins(None);
        let state = self.declare_own("sqlstate", VariableType::Text)?;
        let message = self.declare_own("sqlerrm", VariableType::Text)?;
        self.caught += 1;
        let steps = self.steps(&["when", "end"])?;
        self.caught -= 1;
        self.scope = around;
        Ok(Handler {
            conditions,
            state,
            message,
            steps,
        })
    }

    fn condition(&mut self) -> Result<Condition> {
        if self.c.accept("sqlstate") {
            let code = self.c.string()?;
            let state = conditions::literal(&code);
            return match state {
                Some(state) => Ok(Condition::State(state)),
                None => Err(syntax("invalid SQLSTATE code")),
            };
        }
        let name = self.c.name()?;
        if name == "others" {
            return Ok(Condition::Others);
        }
        conditions::named(&name)
            .map(Condition::State)
            .ok_or_else(|| raise::unrecognized(&name))
    }
}

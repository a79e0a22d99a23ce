//! RAISE.
//!
//! Owns: the error or notice that it makes. Never: sends one; the session gives notices out. What is for the log goes there, to the
//! client as well if it wants to hear it. Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_raise`).

use super::Machine;
use sql::program::{Level, Raise, RaiseOption, Text, Use, state};
use types::{Error, Result, SqlState, Value, text};

impl Machine<'_> {
    pub(super) async fn raise(&self, raise: &Raise) -> Result<()> {
        let mut message = None;
        if let Some(format) = &raise.format {
            let mut args = Vec::with_capacity(raise.args.len());
            for arg in &raise.args {
                args.push(self.shown(arg).await?);
            }
            message = Some(filled(format, args));
        }
        let mut code = raise.condition.as_ref().map(|(_, code)| *code);
        let mut options = Vec::new();
        for (option, value) in &raise.options {
            let Value::Text(value) = self.value(value, Use::Text).await? else {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "RAISE statement option cannot be null",
                ));
            };
            match option {
                RaiseOption::Errcode => code = Some(state(&value)?),
                RaiseOption::Message => message = Some(value.to_string()),
                _ => options.push((*option, value.to_string())),
            }
        }
        let code = code.unwrap_or(match raise.level {
            Level::Exception => SqlState::RAISE_EXCEPTION,
            Level::Warning => SqlState::WARNING,
            Level::Notice | Level::Info | Level::Log | Level::Debug => {
                SqlState::SUCCESSFUL_COMPLETION
            }
        });
        let name = || match &raise.condition {
            Some((name, _)) => name.clone(),
            None => code.to_string(),
        };
        let mut said = Error::new(code, message.unwrap_or_else(name));
        for (option, value) in options {
            said = match option {
                RaiseOption::Detail => said.with_detail(value),
                RaiseOption::Hint => said.with_hint(value),
                RaiseOption::Column => said.with_column(value),
                RaiseOption::Constraint => said.with_constraint(value),
                RaiseOption::Table => said.with_table_name(value),
                RaiseOption::Schema => said.with_schema(value),
                RaiseOption::Errcode | RaiseOption::Message | RaiseOption::Unsent => said,
            };
        }
        match raise.level {
            Level::Exception => return Err(said),
            Level::Warning | Level::Notice | Level::Info => {
                self.scene.source.notices.say(said);
            }
            Level::Log | Level::Debug => {
                if raise.level == Level::Log {
                    tracing::info!(message = said.message(), "raised by a function");
                }
                if self.hears(raise.level) {
                    self.scene.source.notices.say(said);
                }
            }
        }
        Ok(())
    }

    /// Whether the client wants to hear it: `client_min_messages`.
    fn hears(&self, level: Level) -> bool {
        let mut settings = self.ctx.session.settings.iter();
        let found = settings.find(|(name, _)| name == "client_min_messages");
        found.is_some_and(|(_, least)| match level {
            Level::Log => least == "log" || least.starts_with("debug"),
            _ => least.starts_with("debug"),
        })
    }

    /// As RAISE prints a value.
    async fn shown(&self, arg: &Text) -> Result<String> {
        let computed = self.program.value(arg, Use::Any, &self.moment())?;
        let value = self.computed(&computed).await?;
        Ok(match value {
            Value::Null => "<NULL>".into(),
            value => text::to_string(&value, computed.ty(), &self.ctx.session.forms),
        })
    }
}

/// The format with an argument for each `%`, and `%%` for one.
fn filled(format: &str, args: Vec<String>) -> String {
    let mut out = String::with_capacity(format.len());
    let mut args = args.into_iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '%' if rest.peek() == Some(&'%') => {
                rest.next();
                out.push('%');
            }
            '%' => out.push_str(&args.next().unwrap_or_default()),
            c => out.push(c),
        }
    }
    out
}

//! EXPLAIN, and the running of what EXPLAIN ANALYZE explains.
//!
//! Owns: the statement's run with every operator measured; its rows are thrown away. Never: shows what was not measured.

use super::Session;
use super::statement::{Started, Work, reads_beside};
use super::utility::listing;
use engine::exec::operators::open_in_place;
use engine::exec::profile::{Measured, Profile};
use sql::planner::{Explained, Took};
use sql::{ExplainOptions, Statement};
use std::rc::Rc;
use std::time::Duration;
use types::{Error, Result};

impl Session {
    /// `planning`: what planning the statement took.
    pub(super) async fn explain(
        &self,
        statement: &Statement,
        options: ExplainOptions,
        planning: Duration,
        work: &Work<'_>,
    ) -> Result<Started> {
        if let Statement::ExecutePrepared { name, args } = statement {
            let Some((parsed, types, params)) = self.prepared_with(name, args, work)? else {
                return Ok(listing("QUERY PLAN", Vec::new(), "EXPLAIN"));
            };
            let ctx = self.context(params);
            let planned = self.plan(&parsed, &types, &ctx)?;
            let planned = self.for_rows(planned, &ctx.params, &ctx)?;
            let work = Work {
                ctx,
                txn: work.txn.clone(),
                ..*work
            };
            let statement = planned.statement();
            if options.analyze && statement.writes() {
                self.about_to_write(statement, &work).await?;
            }
            return Box::pin(self.explain(statement, options, planned.took, &work)).await;
        }
        let mut explained = Explained {
            statement,
            catalog: &work.ctx.catalog,
            context: &work.ctx,
            options,
            profile: None,
            changed: None,
            took: Took {
                planning,
                execution: None,
            },
        };
        let profile = Rc::new(Profile::default());
        if options.analyze {
            let began = runtime::Instant::now();
            let rows = self.measured(statement, &profile, work).await?;
            let total = began.elapsed();
            explained.took.execution = Some(total);
            explained.changed = rows.map(|rows| Measured {
                loops: 1,
                rows,
                startup: total,
                total,
                ..Measured::default()
            });
            explained.profile = Some(&profile);
        }
        let lines = match options.json {
            true => vec![explained.json().to_string()],
            false => explained.text(),
        };
        let lines = lines.iter().map(|l| work.ctx.catalog.named(l).into_owned());
        Ok(listing("QUERY PLAN", lines.collect(), "EXPLAIN"))
    }

    /// Runs it; how many rows it has changed.
    async fn measured(
        &self,
        statement: &Statement,
        profile: &Rc<Profile>,
        work: &Work<'_>,
    ) -> Result<Option<u64>> {
        let router = &self.node.router;
        let env =
            || work.write_env_for(Some(profile.clone()), work.calls || reads_beside(statement));
        let out = match statement {
            Statement::Query(query) => {
                let exec = work.exec_for(Some(profile.clone()), work.calls);
                let mut rows = open_in_place(&query.plan, &exec)?;
                while rows.next().await?.is_some() {}
                return Ok(None);
            }
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_) => router.change(&env(), statement).await?,
            Statement::With { .. } => {
                return Err(Error::unsupported(
                    "EXPLAIN ANALYZE of a data-modifying statement in WITH is not supported",
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(out.count))
    }
}

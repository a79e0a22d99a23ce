//! Statements that came whole: Bind of the unnamed portal, perhaps Describe, Execute to its end and Sync in one piece, as most
//! drivers send prepared statements. Each is one request.
//!
//! Owns: their answers, and which of them are still owed: a read that another shard is asked for does not hold up the next
//! statement, so a row of them costs about one way there and back. Asked by: `conn`, `extended`. Never: answers out of order, or begins anything
//! but such a statement while an answer is owed.
//! Bounds: `OWING_MAX` answers of one row each; whoever asks for more waits.

use super::codec::Formats;
use super::conn::{Conn, End, Fail, request};
use super::encode::Output;
use super::extended::unexpected_reply;
use super::results::Shape;
use crate::service::{Answer, Operation, Reply};
use futures_lite::future::poll_once;
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_util::future::LocalBoxFuture;
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Column, Result, Value};

/// Answers that a connection owes its client while it goes on.
pub(super) const OWING_MAX: usize = 32;

/// How a statement's rows are to be answered.
pub(super) struct Form {
    pub columns: Option<Arc<Vec<Column>>>,
    pub formats: Formats,
    /// Describe was part of it.
    pub described: bool,
    /// It asks for a row and does nothing else.
    pub looks_up: bool,
}

/// What was asked and is not answered yet, in order.
pub(super) struct Owing(VecDeque<(Owed, Form)>);

enum Owed {
    Here(Result<Reply>),
    Later(LocalBoxFuture<'static, Result<Reply>>),
}

impl Owing {
    pub fn new() -> Owing {
        Owing(VecDeque::new())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<'_, S> {
    pub(super) async fn run_whole(
        &mut self,
        statement: String,
        (params, bytes): (Vec<Value>, usize),
        form: Form,
    ) -> Result<(), End> {
        self.portals.remove("");
        // What is owed was asked outside of the block that this may begin.
        if self.owing.0.len() >= OWING_MAX || !form.looks_up {
            self.settle().await?;
        }
        if let Some(Err(error)) = form.columns.as_ref().map(|c| form.formats.check(c.len())) {
            self.settle().await?;
            return self.fail_simple(Fail::Own(error)).await;
        }
        let session = self.session.clone();
        let op = Operation::Run { statement, params };
        let reply = match session.call(request(op, bytes)) {
            Answer::Now(reply @ (Ok(Reply::Whole(_)) | Err(_))) if !self.owing.0.is_empty() => {
                self.owing.0.push_back((Owed::Here(reply), form));
                return Ok(());
            }
            Answer::Now(reply) => {
                self.settle().await?;
                reply
            }
            Answer::Apart(mut reply) => {
                let owed = match poll_once(&mut reply).await {
                    Some(reply) => Owed::Here(reply),
                    None => Owed::Later(reply),
                };
                self.owing.0.push_back((owed, form));
                return Ok(());
            }
            Answer::Later(reply) => {
                self.settle().await?;
                self.wire.watch(reply).await?
            }
        };
        self.answer(reply, form).await
    }

    /// Answers all that is owed.
    pub(super) async fn settle(&mut self) -> Result<(), End> {
        match self.owing.0.is_empty() {
            true => Ok(()),
            false => Box::pin(self.settle_owed()).await,
        }
    }

    async fn settle_owed(&mut self) -> Result<(), End> {
        while let Some((owed, form)) = self.owing.0.pop_front() {
            let reply = match owed {
                Owed::Here(reply) => reply,
                Owed::Later(reply) => self.wire.watch(reply).await?,
            };
            self.answer(reply, form).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, reply: Result<Reply>, form: Form) -> Result<(), End> {
        let outcome = match reply {
            Ok(reply) => self.ran(reply, form).await?,
            Err(error) => Err(Fail::Door(error)),
        };
        match outcome {
            Ok(()) => self.ready().await,
            Err(fail) => self.fail_simple(fail).await,
        }
    }

    async fn ran(&mut self, reply: Reply, form: Form) -> Result<Result<(), Fail>, End> {
        let Form {
            columns,
            formats,
            described,
            ..
        } = form;
        let head = |out: &mut Output| {
            out.bind_complete();
            match &columns {
                _ if !described => {}
                Some(columns) => out.row_description(columns, &formats),
                None => out.no_data(),
            }
        };
        match reply {
            Reply::Whole(whole) => self.whole(whole, &formats, head).await,
            Reply::Results(mut results) => {
                self.wire.put(head).await?;
                let mut shape = Shape::bound(formats, columns);
                Box::pin(self.pump(results.as_mut(), &mut shape)).await
            }
            Reply::Done | Reply::Statement { .. } | Reply::Portal { .. } => {
                Ok(Err(Fail::Own(unexpected_reply())))
            }
        }
    }
}

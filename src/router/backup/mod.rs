//! Backups of all partitions together.
//!
//! Owns: the order of one. Full: every partition holds an image, and only when all do, they are copied; then each copies its
//! log up to a mark that is later than all images, and the manifest makes the directory a backup. Incremental: the logs
//! alone, from where the base ends. Asked by: session. Never: blocks a statement; leaves something held, whatever fails.
//! Bounds: one backup a process. A directory without a manifest is none; one that failed is removed.

mod manifest;

pub use manifest::{FILE, Manifest, Part, shown};

use super::{Router, odd};
use engine::shard::call::{BackupStep, PartitionCall};
use engine::shard::{Reply, ShardReply};
use engine::txn::Stop;
use engine::txn::backup::Sealed;
use runtime::{Dir, oneshot};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, SqlState, Ts};

/// What is to be backed up, and where to.
pub struct Job {
    /// Must not exist, or be empty.
    pub to: PathBuf,
    /// The backup that has everything before.
    pub base: Option<PathBuf>,
    /// The backend that asked.
    pub pid: i32,
}

/// What a backup has.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Everything committed until then.
    pub to: Ts,
    pub pages: u64,
    pub log_bytes: u64,
}

impl Router {
    /// Takes a backup. It goes on to its end when the caller goes away, unless `stop` ends it.
    pub async fn backup(self: &Rc<Self>, job: Job, stop: Arc<Stop>) -> Result<Taken> {
        let router = self.clone();
        let (done, outcome) = oneshot::channel();
        runtime::spawn(async move {
            // The caller may have gone.
            let _ = done.send(router.take(job, stop).await);
        })
        .detach();
        outcome.await.unwrap_or_else(|_| {
            Err(Error::new(
                SqlState::ADMIN_SHUTDOWN,
                "the shard is stopping",
            ))
        })
    }

    async fn take(&self, job: Job, stop: Arc<Stop>) -> Result<Taken> {
        let base = match &job.base {
            Some(base) => Some(self.base(base).await?),
            None => None,
        };
        let progress = self.shard.backup_progress();
        progress.begin(job.pid)?;
        let taken = match new_dir(&job.to).await {
            Ok(()) => {
                let taken = self.copy(&job, base.as_ref(), &stop).await;
                // A partition that is out of service holds nothing that matters.
                let _ = self.step(&stop, |_| BackupStep::End).await;
                if taken.is_err() {
                    remove(&job.to).await;
                }
                taken
            }
            Err(e) => Err(e),
        };
        progress.end();
        taken
    }

    /// The manifest of the backup that an incremental one goes on from.
    async fn base(&self, path: &Path) -> Result<Manifest> {
        let base = Manifest::read(path).await?;
        let layout = self.shard.layout;
        if base.partitions.len() != usize::from(layout.partitions)
            || base.generation != layout.generation
        {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the base backup was taken before the directory was repartitioned",
            )
            .with_hint("Take a full backup."));
        }
        Ok(base)
    }

    async fn copy(&self, job: &Job, base: Option<&Manifest>, stop: &Arc<Stop>) -> Result<Taken> {
        let layout = self.shard.layout;
        let place = |p: PartitionId| job.to.join(layout.name(p));
        let mut images_until = base.map_or(Ts(0), |b| Ts(b.from));
        if base.is_none() {
            self.step(stop, |_| BackupStep::Begin).await?;
            images_until = self.shard.now();
            self.step(stop, |p| BackupStep::Copy { to: place(p) })
                .await?;
        }
        // Every seal is marked after this moment.
        let to = self.shard.now();
        let from = |p: PartitionId| base.and_then(|b| b.partitions.get(usize::from(p.0)));
        let seal = |p: PartitionId| BackupStep::Seal {
            to: place(p),
            from: from(p).map(|part| part.end()),
        };
        let replies = self.step(stop, seal).await?;
        let mut parts = Vec::new();
        let mut taken = Taken {
            to,
            pages: 0,
            log_bytes: 0,
        };
        for (p, reply) in self.partition_ids().zip(replies) {
            let Reply::Sealed(sealed) = reply else {
                return Err(odd());
            };
            if from(p).is_some_and(|base| base.store() != Some(sealed.store)) {
                return Err(Error::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "the base is a backup of another data directory",
                ));
            }
            taken.pages += sealed.pages;
            taken.log_bytes += sealed.end.0 - sealed.from.0;
            parts.push(part(p, layout.name(p), &sealed));
        }
        stop.check()?;
        Manifest::new(base, layout.generation, (images_until, to), parts)
            .write(&job.to)
            .await?;
        Ok(taken)
    }

    /// One step in every partition. All have ended when it returns, with an error or without.
    async fn step(
        &self,
        stop: &Arc<Stop>,
        step: impl Fn(PartitionId) -> BackupStep,
    ) -> Result<Vec<Reply>> {
        let calls = self.partition_ids().map(|p| {
            let stop = stop.clone();
            let step = step(p);
            async move {
                let done: ShardReply = self
                    .call(
                        p,
                        PartitionCall::Backup {
                            step,
                            stop: stop.clone(),
                        },
                    )
                    .await;
                if done.is_err() {
                    // The others need not go on.
                    stop.cancel();
                }
                done
            }
        });
        let mut first = None;
        let mut replies = Vec::new();
        for done in futures_util::future::join_all(calls).await {
            match done {
                Ok(reply) => replies.push(reply),
                // What another failure has cancelled is not the reason.
                Err(e) if e.code() == SqlState::QUERY_CANCELED => first = first.or(Some(e)),
                Err(e) => {
                    first = match first {
                        Some(f) if f.code() != SqlState::QUERY_CANCELED => Some(f),
                        _ => Some(e),
                    }
                }
            }
        }
        first.map_or(Ok(replies), Err)
    }
}

fn part(p: PartitionId, directory: String, sealed: &Sealed) -> Part {
    Part {
        number: p.0,
        directory,
        store: format!("{:016x}", sealed.store),
        from: sealed.from.0,
        end: sealed.end.0,
        pages: sealed.pages,
    }
}

async fn new_dir(path: &Path) -> Result<()> {
    let io = |e| failed("create", path, &e);
    let dir = Dir::open_or_create(path).await.map_err(io)?;
    match dir.list().await.map_err(io)?.is_empty() {
        true => Ok(()),
        false => Err(Error::new(
            SqlState::DUPLICATE_FILE,
            format!(
                "the directory \"{}\" exists and is not empty",
                path.display()
            ),
        )),
    }
}

async fn remove(path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return;
    };
    let removed = async { Dir::open(parent).await?.remove_dir(name).await };
    if let Err(error) = removed.await {
        let path = path.display();
        tracing::warn!(%path, %error, "what a failed backup has left was not removed");
    }
}

fn failed(what: &str, path: &Path, e: &std::io::Error) -> Error {
    let code = match runtime::io_error_is_disk_full(e) {
        true => SqlState::DISK_FULL,
        false => SqlState::IO_ERROR,
    };
    Error::new(
        code,
        format!("could not {what} \"{}\": {e}", path.display()),
    )
}

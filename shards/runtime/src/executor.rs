//! One executor a core: starting, placing, ending and reporting them.
//!
//! Owns: the executor threads, the thread-local context of each (its shard id, its two task queues, its live
//! tasks), and the rule that a panic in a task ends the run.
//! Asked by: `server` (start), tests, benches and tools (block_on). Never: runs work of its own.
//! Bounds: `shards` executors, one thread each. An executor ends when its main future returns; whatever tasks
//! still exist then are dropped on their own executor, so that their sockets and files close. The executor itself is
//! never freed: the kernel may still be writing into its buffers (`Kept`).
//! Source: design.md §9 for the scheduling numbers (preempt timer and a latency queue, else a busy task delays
//! every message by 100 ms and more).

use crate::buffers::{self, Limits};
use crate::net::NetworkMethod;
use crate::ring::{self, Ring};
use crate::task::{self, Registry};
use crate::turns::{self, Turns};
use glommio::{
    Latency, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement, Shares, TaskQueueHandle,
};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Poll, Waker};
use std::time::Duration;
use types::ShardId;
use types::limits::SHARD_STACK_BYTES;

/// The most executors a process may run; also what fits the bits that `Xid` keeps for its origin.
pub const SHARDS_MAX: usize = 1024;

/// Registered I/O memory of an executor made by `block_on`, and the floor for shards.
const IO_MEMORY_MIN: usize = 64 * 1024;

/// Shares of the latency queue against the background queue's `BACKGROUND_SHARES`.
const LATENCY_SHARES: usize = 1000;
const BACKGROUND_SHARES: usize = 100;

/// See `turns::backstop`.
const BACKSTOPS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1500)];

/// Buffers that lay free for so long go back to the system.
const TRIM: Duration = Duration::from_secs(10);

/// Turns given to cancelled tasks at the end of an executor, so that the ring sees their closes.
const TEARDOWN_TURNS: usize = 8;

#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// 1 to `SHARDS_MAX`.
    pub shards: usize,
    /// One core each. Ignored (as if false) when there are fewer cores than shards.
    pub pin: bool,
    /// How long a shard that has just had something to do looks for more before it sleeps. Only pinned shards spin.
    pub spin: Duration,
    /// Bytes of registered I/O buffers an executor; counts against RLIMIT_MEMLOCK.
    pub io_memory: usize,
    /// After this long `need_yield` turns true and the other queue gets its turn.
    pub preempt: Duration,
    /// Ceilings of each shard's general buffer pool.
    pub buffers: Limits,
    pub network: NetworkMethod,
}

impl Default for ShardOptions {
    fn default() -> ShardOptions {
        ShardOptions {
            shards: 1,
            pin: false,
            spin: Duration::ZERO,
            io_memory: 256 * 1024,
            preempt: Duration::from_micros(200),
            buffers: Limits::default(),
            network: NetworkMethod::Auto,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the number of shards must be between 1 and {max}, not {wanted}")]
    ShardCount { wanted: usize, max: usize },
    #[error("could not start the thread of shard {shard}: {source}")]
    Thread {
        shard: ShardId,
        #[source]
        source: std::io::Error,
    },
    #[error("could not create the executor of shard {shard}: {reason}")]
    Executor { shard: ShardId, reason: String },
}

/// A shard's main future or one of its tasks panicked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("shard {shard} panicked: {message}")]
pub struct ShardPanic {
    pub shard: ShardId,
    pub message: String,
}

/// The running executors. Dropping it detaches them.
pub struct Shards {
    ended: crossbeam_channel::Receiver<(ShardId, Result<(), String>)>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Shards {
    /// Waits until every shard's main future returned. The first panic is reported at once, without waiting for
    /// the other shards: they may be waiting for the one that died.
    pub fn join(self) -> Result<(), ShardPanic> {
        for _ in 0..self.threads.len() {
            match self.ended.recv() {
                Ok((_, Ok(()))) => {}
                Ok((shard, Err(message))) => return Err(ShardPanic { shard, message }),
                Err(_) => {
                    return Err(ShardPanic {
                        shard: ShardId(0),
                        message: "a shard's thread ended without a word".into(),
                    });
                }
            }
        }
        for thread in self.threads {
            // Its outcome arrived through the channel already.
            let _ = thread.join();
        }
        Ok(())
    }
}

/// Starts `shards` executor threads named "shard-N"; each runs `main(ShardId)` to completion. Returns once every
/// executor exists, or with the first failure and none running.
pub fn start<F, Fut>(opts: ShardOptions, main: F) -> Result<Shards, StartError>
where
    F: Fn(ShardId) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    if opts.shards == 0 || opts.shards > SHARDS_MAX {
        return Err(StartError::ShardCount {
            wanted: opts.shards,
            max: SHARDS_MAX,
        });
    }
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let (ready_tx, ready_rx) = crossbeam_channel::bounded(opts.shards);
    let (ended_tx, ended_rx) = crossbeam_channel::bounded(opts.shards);
    // Nobody's main starts before every executor exists: dropping `go` sends them all home.
    let (go_tx, go_rx) = crossbeam_channel::bounded::<()>(opts.shards);
    let mut threads = Vec::with_capacity(opts.shards);
    for index in 0..opts.shards {
        let shard = ShardId(index as u16);
        let core = (opts.pin && ids.len() >= opts.shards).then(|| ids[index].id);
        let (opts, main) = (opts.clone(), main.clone());
        let (ready, ended, go) = (ready_tx.clone(), ended_tx.clone(), go_rx.clone());
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .stack_size(SHARD_STACK_BYTES)
            .spawn(move || {
                let executor = match make(&opts, core) {
                    Ok(executor) => executor,
                    Err(reason) => {
                        let _ = ready.send(Err(StartError::Executor { shard, reason }));
                        return;
                    }
                };
                let _ = ready.send(Ok(()));
                if go.recv().is_err() {
                    return;
                }
                buffers::install(&opts.buffers);
                // Caught so that join hears of it even when the executor itself fails.
                let outcome = catch_unwind(AssertUnwindSafe(move || {
                    run(executor, shard, &opts, move || main(shard))
                }))
                .unwrap_or_else(Err);
                let _ = ended.send((shard, outcome.map_err(|p| panic_message(p.as_ref()))));
            })
            .map_err(|source| StartError::Thread { shard, source })?;
        threads.push(thread);
    }
    for _ in 0..opts.shards {
        match ready_rx.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                return Err(StartError::Executor {
                    shard: ShardId(0),
                    reason: "its thread died".into(),
                });
            }
        }
    }
    for _ in 0..opts.shards {
        let _ = go_tx.send(());
    }
    Ok(Shards {
        ended: ended_rx,
        threads,
    })
}

/// Runs one future on an unpinned executor on the calling thread, as `ShardId(0)`. For tests, benches and tools. The
/// thread keeps its executor for the next call.
///
/// # Panics
/// When the future or a task it spawned panics (with the same payload), when the executor cannot be made, and
/// when the thread already runs one.
pub fn block_on<T: 'static>(fut: impl Future<Output = T> + 'static) -> T {
    block_on_by(NetworkMethod::Auto, fut)
}

/// As `block_on`, with sockets of one kind.
pub fn block_on_by<T: 'static>(
    network: NetworkMethod,
    fut: impl Future<Output = T> + 'static,
) -> T {
    thread_local! {
        static MINE: Cell<Option<Kept>> = const { Cell::new(None) };
    }
    let opts = ShardOptions {
        io_memory: IO_MEMORY_MIN,
        network,
        ..ShardOptions::default()
    };
    let executor = match MINE.get().map_or_else(|| make(&opts, None), Ok) {
        Ok(executor) => executor,
        Err(reason) => panic!("could not create an executor: {reason}"),
    };
    MINE.set(Some(executor));
    let outcome = run(executor, ShardId(0), &opts, move || fut);
    match outcome {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Online cores this process may use; at least 1.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// The shard whose executor runs the calling code; `ShardId(0)` under `block_on` and outside of executors.
pub fn current_shard() -> ShardId {
    CURRENT.with_borrow(|current| current.as_ref().map_or(ShardId(0), |c| c.shard))
}

/// True while the calling thread unwinds.
pub fn is_panicking() -> bool {
    std::thread::panicking()
}

type PanicHook = Box<dyn Fn(ShardId, &str) + Send + Sync>;
static PANIC_HOOK: OnceLock<PanicHook> = OnceLock::new();

/// Called once for every panic that a task or a message handler caught, with its message, on the shard where it
/// happened. Without a hook the panic goes to the log. Only the first hook counts: returns whether it was set.
pub fn set_panic_hook(hook: impl Fn(ShardId, &str) + Send + Sync + 'static) -> bool {
    PANIC_HOOK.set(Box::new(hook)).is_ok()
}

pub(crate) fn report_panic(payload: &(dyn Any + Send)) {
    let (shard, message) = (current_shard(), panic_message(payload));
    match PANIC_HOOK.get() {
        Some(hook) => hook(shard, &message),
        None => tracing::error!(shard = shard.0, message, "a task panicked"),
    }
}

pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic with a payload that is not text".to_string()
    }
}

pub(crate) type PanicPayload = Box<dyn Any + Send>;

/// What an executor thread knows of itself.
pub(crate) struct Context {
    pub(crate) shard: ShardId,
    pub(crate) backend: Backend,
    pub(crate) tasks: Registry,
    fatal: RefCell<Option<PanicPayload>>,
    root: RefCell<Option<Waker>>,
    pub(crate) turns: Turns,
    /// Nanoseconds that the pump looks for something to do before it sleeps.
    pub(crate) spin: u64,
}

/// What runs the tasks of an executor.
pub(crate) enum Backend {
    Ring {
        latency: TaskQueueHandle,
        background: TaskQueueHandle,
        /// None where sockets wait for readiness and glommio reads and writes.
        network: Option<Rc<Ring>>,
    },
    #[cfg(feature = "simulation")]
    Simulated(Rc<crate::sim::Machine>),
}

impl Context {
    fn new(shard: ShardId, backend: Backend, preempt: Duration, spin: Duration) -> Rc<Context> {
        Rc::new(Context {
            shard,
            backend,
            tasks: Registry::default(),
            fatal: RefCell::new(None),
            root: RefCell::new(None),
            turns: Turns::new(preempt),
            spin: u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    fn network(&self) -> Option<Rc<Ring>> {
        match &self.backend {
            Backend::Ring { network, .. } => network.clone(),
            #[cfg(feature = "simulation")]
            Backend::Simulated(_) => None,
        }
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn machine(&self) -> Option<&Rc<crate::sim::Machine>> {
        match &self.backend {
            Backend::Ring { .. } => None,
            Backend::Simulated(machine) => Some(machine),
        }
    }

    /// Ends this executor's run; the first panic is the one reported.
    pub(crate) fn fail(&self, payload: PanicPayload) {
        self.fatal.borrow_mut().get_or_insert(payload);
        if let Some(waker) = self.root.borrow_mut().take() {
            waker.wake();
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

pub(crate) fn try_context() -> Option<Rc<Context>> {
    CURRENT.with_borrow(|current| current.clone())
}

/// # Panics
/// Outside of an executor.
pub(crate) fn context() -> Rc<Context> {
    match try_context() {
        Some(context) => context,
        None => panic!("this must be called on an executor: inside start() or block_on()"),
    }
}

/// An executor lives as long as the process. Freeing one would close its rings, which the kernel takes down later, in
/// its own time: until then operations in flight, and the read of the descriptor that wakes the executor, write into
/// memory that is no longer theirs.
type Kept = &'static LocalExecutor;

fn make(opts: &ShardOptions, core: Option<usize>) -> Result<Kept, String> {
    let placement = core.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .spin_before_park(opts.spin)
        .io_memory(opts.io_memory.max(IO_MEMORY_MIN))
        .preempt_timer(turns::NEVER)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .make()
        .map(|executor| -> Kept { Box::leak(Box::new(executor)) })
        .map_err(|error| error.to_string())
}

fn run<T, Fut>(
    executor: Kept,
    shard: ShardId,
    opts: &ShardOptions,
    main: impl FnOnce() -> Fut + 'static,
) -> Result<T, PanicPayload>
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    assert!(
        try_context().is_none(),
        "an executor already runs on this thread"
    );
    /// Also when the executor unwinds.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            CURRENT.set(None);
        }
    }
    let _forget = Forget;
    let (preempt, network) = (opts.preempt, opts.network);
    let pinned = opts.pin && cores() >= opts.shards;
    let spin = if pinned { opts.spin } else { Duration::ZERO };
    executor.run(async move {
        let proxy = glommio::executor();
        let latency = proxy.create_task_queue(
            Shares::Static(LATENCY_SHARES),
            Latency::Matters(turns::NEVER),
            "latency",
        );
        let background = proxy.create_task_queue(
            Shares::Static(BACKGROUND_SHARES),
            Latency::NotImportant,
            "background",
        );
        let backend = Backend::Ring {
            latency,
            background,
            network: network_of(shard, network)?,
        };
        let context = Context::new(shard, backend, preempt, spin);
        CURRENT.set(Some(context.clone()));
        let tickers = start_tickers(&context, latency)?;
        let outcome = supervise(&context, task::spawn(async move { main().await })).await;
        teardown(&context).await;
        for ticker in tickers {
            ticker.cancel().await;
        }
        if let Some(ring) = context.network() {
            ring.close();
        }
        outcome
    })
}

/// Cancelled when the run ends: they would go on for ever.
fn start_tickers(
    context: &Rc<Context>,
    queue: TaskQueueHandle,
) -> Result<Vec<glommio::Task<()>>, PanicPayload> {
    let lost = |error: glommio::GlommioError<()>| Box::new(error.to_string()) as PanicPayload;
    let pulse = glommio::spawn_local_into(turns::pulse(context.clone()), queue);
    let mut tickers = vec![pulse.map_err(lost)?];
    for period in BACKSTOPS {
        let backstop = glommio::spawn_local_into(turns::backstop(period), queue);
        tickers.push(backstop.map_err(lost)?);
    }
    let trim = glommio::spawn_local_into(trim(), queue);
    tickers.push(trim.map_err(lost)?);
    if let Some(ring) = context.network() {
        let (executor, context) = (context.clone(), context.clone());
        let pump = async move {
            if let Err(error) = ring::pump(ring, executor).await {
                context.fail(Box::new(format!("the shard's ring stopped: {error}")));
            }
        };
        let pump = glommio::spawn_local_into(pump, queue);
        tickers.push(pump.map_err(lost)?);
    }
    Ok(tickers)
}

/// The ring that the sockets of an executor will use, if any.
fn network_of(shard: ShardId, method: NetworkMethod) -> Result<Option<Rc<Ring>>, PanicPayload> {
    if method == NetworkMethod::Readiness {
        return Ok(None);
    }
    match Ring::new(buffers::current()) {
        Ok(ring) => Ok(Some(ring)),
        Err(missing) if method == NetworkMethod::Ring => Err(Box::new(missing.to_string())),
        Err(missing) => {
            tracing::warn!(
                shard = shard.0,
                %missing,
                "sockets wait for readiness: the kernel lacks a part of the network's ring"
            );
            Ok(None)
        }
    }
}

/// The calling executor's own ring.
pub(crate) fn ring() -> Option<Rc<Ring>> {
    try_context().and_then(|context| context.network())
}

async fn trim() {
    loop {
        glommio::timer::sleep(TRIM).await;
        buffers::current().trim();
    }
}

/// Ends with main's value or with the first panic of any task.
async fn supervise<T: 'static>(context: &Context, main: task::Task<T>) -> Result<T, PanicPayload> {
    let mut main = pin!(main);
    std::future::poll_fn(|cx| {
        if let Some(payload) = context.fatal.borrow_mut().take() {
            return Poll::Ready(Err(payload));
        }
        if let Poll::Ready(value) = main.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        let mut root = context.root.borrow_mut();
        if !root.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *root = Some(cx.waker().clone());
        }
        Poll::Pending
    })
    .await
}

/// Drops the tasks that outlived main, here, where their files and sockets can still be closed.
async fn teardown(context: &Context) {
    context.tasks.cancel_all();
    for _ in 0..TEARDOWN_TURNS {
        glommio::executor().yield_task_queue_now().await;
        context.tasks.cancel_all();
    }
}

/// `drive` polls the future that it is given to its end, on the calling thread.
#[cfg(feature = "simulation")]
pub(crate) fn run_simulated<T: 'static>(
    machine: Rc<crate::sim::Machine>,
    fut: impl Future<Output = T> + 'static,
    drive: impl FnOnce(&Context, std::pin::Pin<Box<dyn Future<Output = ()>>>),
) -> Result<T, PanicPayload> {
    assert!(
        try_context().is_none(),
        "an executor already runs on this thread"
    );
    /// Also when the run unwinds: what is dropped may spawn.
    struct Forget(Rc<Context>);
    impl Drop for Forget {
        fn drop(&mut self) {
            for _ in 0..TEARDOWN_TURNS {
                self.0.tasks.cancel_all();
            }
            CURRENT.set(None);
        }
    }
    let context = Context::new(
        ShardId(0),
        Backend::Simulated(machine),
        Duration::MAX,
        Duration::ZERO,
    );
    CURRENT.set(Some(context.clone()));
    let forget = Forget(context.clone());
    let outcome = Rc::new(RefCell::new(None));
    let (supervised, slot) = (context.clone(), outcome.clone());
    let main = async move {
        let ended = supervise(&supervised, task::spawn(fut)).await;
        slot.replace(Some(ended));
    };
    drive(&context, Box::pin(main));
    drop(forget);
    let ended = outcome.take();
    ended.unwrap_or_else(|| Err(Box::new("the main future was lost")))
}

#[cfg(test)]
#[path = "executor_tests.rs"]
mod tests;

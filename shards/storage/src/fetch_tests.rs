//! Promises about frames that are all taken, which only the pool itself can bring about.

use crate::page::PageId;
use crate::pool::{FrameId, Pin};
use crate::{Options, StorageError, Store};
use runtime::{Dir, Instant};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use types::{SqlState, TreeId};

const T: TreeId = TreeId(7);
const FRAMES: u32 = 64;
const FRAME_WAIT: Duration = Duration::from_millis(80);

/// A store of more pages than its 64 frames hold, all of them on disk.
async fn full(path: &Path) -> Rc<Store> {
    let options = Options {
        pool_bytes: 0,
        frame_wait: FRAME_WAIT,
        ..Options::default()
    };
    let dir = Dir::open_or_create(path).await.unwrap();
    let (store, mut replay) = Store::open(dir, options).await.unwrap();
    while replay.next().await.unwrap().is_some() {}
    for i in 0..4000u32 {
        store.put(T, &i.to_be_bytes(), &[1; 150]).await.unwrap();
    }
    store.checkpoint(store.wal_end(), b"").await.unwrap();
    for i in 0..4000u32 {
        store.get(T, &i.to_be_bytes()).await.unwrap();
    }
    store
}

fn pin_all(store: &Store) -> Vec<Pin> {
    let state = store.state.borrow();
    assert_eq!((state.pool.frames() as u32, state.pool.free()), (FRAMES, 0));
    (0..FRAMES).map(|f: FrameId| state.pool.pin(f)).collect()
}

/// A leaf that is not in the pool.
fn absent(store: &Store) -> PageId {
    let state = store.state.borrow();
    let space = &state.space;
    (crate::page::FIRST_PAGE..space.pages())
        .map(PageId)
        .find(|id| space.is_used(*id) && state.pool.find(*id).is_none())
        .unwrap()
}

#[test]
fn a_pool_that_is_all_pinned_waits_for_the_first_unpin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let store = full(&path).await;
        let mut pins = pin_all(&store);
        let id = absent(&store);
        let waiting = {
            let store = store.clone();
            runtime::spawn(async move { store.fetch(id).await })
        };
        runtime::sleep(FRAME_WAIT / 2).await;
        assert!(!waiting.is_finished());
        pins.pop();
        waiting.await.unwrap();
        assert!(store.state.borrow().pool.find(id).is_some());
    });
}

#[test]
fn with_nobody_letting_go_the_pool_is_exhausted_after_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let store = full(&path).await;
        let pins = pin_all(&store);
        let begun = Instant::now();
        let error = store.fetch(absent(&store)).await.unwrap_err();
        assert!(begun.elapsed() >= FRAME_WAIT);
        assert!(matches!(error, StorageError::PoolExhausted { frames: 64 }));
        let code = types::Error::from(error).code();
        assert_eq!(code, SqlState::OUT_OF_MEMORY);
        // Reads of what is there go on, and all is well again once pins are dropped.
        assert!(
            store
                .try_get(T, b"nothing", |v| v.is_none())
                .is_ok_and(|none| none)
        );
        drop(pins);
        for i in 0..4000u32 {
            assert!(store.get(T, &i.to_be_bytes()).await.unwrap().is_some());
        }
    });
}

#[test]
fn who_holds_pins_lets_them_go_before_waiting_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let store = full(&path).await;
        let mut pins = pin_all(&store);
        // All but one are somebody else's, who never lets go.
        let mut waits = crate::wait::Waits::new();
        waits.pins.extend(pins.pop());
        let id = absent(&store);
        let begun = Instant::now();
        let miss = || crate::tree::Stall::Miss(id);
        store.relieve(miss(), &mut waits).await.unwrap();
        assert!(waits.pins.is_empty());
        store.relieve(miss(), &mut waits).await.unwrap();
        assert!(store.state.borrow().pool.find(id).is_some());
        assert!(begun.elapsed() < FRAME_WAIT);
    });
}

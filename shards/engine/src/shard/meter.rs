//! The pages that one call uses, however many calls a shard is at.
//!
//! Owns: the reading of the store's counters around every turn of the call. Within a turn nothing else runs on the shard, so
//! what they have grown by is the call's. Never: counts pages that were read ahead by another task, or that another call read
//! while this one waited for the same page; they are hits once they are used.

use crate::exec::profile::Pages;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use storage::Store;

/// What the call answers, and what it used.
pub(super) async fn pages<F: Future>(store: &Store, call: F) -> (F::Output, Pages) {
    let mut call = pin!(call);
    let mut used = Pages::default();
    let out = std::future::poll_fn(|cx| {
        let before = store.page_uses();
        let turn: Poll<F::Output> = call.as_mut().poll(cx);
        let after = store.page_uses();
        used.hits += after.0 - before.0;
        used.reads += after.1 - before.1;
        turn
    })
    .await;
    (out, used)
}

//! Rates, printed. Run by hand: `cargo test -p rustydb-storage --test it -- --ignored --nocapture rates`.

use crate::support::{T, open_replayed};
use std::ops::ControlFlow;
use storage::{Op, Options};

const N: u64 = 1_000_000;

fn rate(what: &str, begun: runtime::Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {:.0}/s", N as f64 / seconds);
}

#[test]
#[ignore = "prints rates"]
fn rates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let options = Options {
            pool_bytes: 512 << 20,
            ..Options::default()
        };
        let (store, _) = open_replayed(&path, options).await;
        let begun = runtime::Instant::now();
        for i in 0..N {
            store.put(T, &i.to_be_bytes(), &[7; 112]).await.unwrap();
        }
        rate("ascending put", begun);
        let begun = runtime::Instant::now();
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        println!("checkpoint: {:?} {:?}", begun.elapsed(), store.stats());
        let begun = runtime::Instant::now();
        for i in 0..N {
            let key = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % N).to_be_bytes();
            store.put(T, &key, &[8; 112]).await.unwrap();
        }
        rate("random replace", begun);
        let begun = runtime::Instant::now();
        for i in 0..N {
            let key = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % N).to_be_bytes();
            let found = store.try_get(T, &key, |v| v.map(|v| v.len()));
            assert!(matches!(found, Ok(Some(112))));
        }
        rate("random get", begun);
        let begun = runtime::Instant::now();
        let mut n = 0;
        store
            .scan(T, b"", &mut |_, _| {
                n += 1;
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
        assert_eq!(n, N);
        rate("scan", begun);
        let begun = runtime::Instant::now();
        let value = [9; 112];
        let keys: Vec<[u8; 8]> = (N..2 * N).map(u64::to_be_bytes).collect();
        let mut ops = keys.iter().map(|key| Op::Put {
            tree: T,
            key,
            value: &value,
        });
        store.apply(&mut ops).await.unwrap();
        rate("apply ascending", begun);
        let begun = runtime::Instant::now();
        for _ in 0..N {
            store.admit(200).await.unwrap();
            store.append(&[7; 180]).unwrap();
        }
        store.durable(store.wal_end()).await.unwrap();
        rate("wal append", begun);
        let begun = runtime::Instant::now();
        for _ in 0..1000 {
            let end = store.append(&[7; 180]).unwrap().end;
            store.durable(end).await.unwrap();
        }
        println!("durable: {:?} each", begun.elapsed() / 1000);
        println!("{:?}", store.stats());
    });
}

/// A scan of a tree of which nothing is in the pool, from a device that nothing else uses.
#[test]
#[ignore = "prints rates"]
fn cold_scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let options = || Options {
        pool_bytes: 32 << 20,
        ..Options::default()
    };
    runtime::block_on({
        let path = path.clone();
        async move {
            let (store, _) = open_replayed(&path, options()).await;
            for i in 0..N {
                store.put(T, &i.to_be_bytes(), &[7; 112]).await.unwrap();
            }
            store.checkpoint(store.wal_end(), b"").await.unwrap();
            store.close().await.unwrap();
        }
    });
    for _ in 0..3 {
        let path = path.clone();
        runtime::block_on(async move {
            let (store, _) = open_replayed(&path, options()).await;
            let begun = runtime::Instant::now();
            let mut n = 0;
            let mut count = |_: &[u8], _: &[u8]| {
                n += 1;
                ControlFlow::Continue(())
            };
            store.scan(T, b"", &mut count).await.unwrap();
            assert_eq!(n, N);
            let pages = store.stats().pages_read;
            let per_second = pages as f64 / begun.elapsed().as_secs_f64();
            println!("cold scan: {pages} pages, {per_second:.0} pages/s");
            rate("cold scan", begun);
        });
    }
}

//! Runs and parts in temporary files.

use super::*;
use proptest::prelude::*;
use runtime::{Dir, TempDir, TempQuota};
use types::{Row, SqlState, Value};

const BUDGET: usize = 256 << 10;

/// Runs `work` in a room of its own; nothing may be left in it.
pub(super) fn in_room<T: 'static, F>(
    quota: u64,
    work: impl FnOnce(TempDir, Memory) -> F + 'static,
) -> T
where
    F: Future<Output = T> + 'static,
{
    let test = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(test.parent().unwrap()).unwrap();
    let path = folder.path().to_path_buf();
    runtime::block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let temp = TempDir::new(dir.clone(), TempQuota::new(quota));
        let memory = Memory::new(BUDGET);
        let out = work(temp.clone(), memory.clone()).await;
        assert_eq!((memory.used(), temp.stats().files_open), (0, 0));
        assert_eq!(temp.quota().used(), 0);
        assert_eq!(dir.list().await.unwrap(), Vec::<String>::new());
        out
    })
}

async fn write(space: &Space, rows: &[Row]) -> Result<Run> {
    let mut writer = Writer::new(space);
    for row in rows {
        writer.push(row).await?;
    }
    writer.finish().await
}

async fn all(mut reader: Reader) -> Vec<Row> {
    let mut out = Vec::new();
    while let Some(row) = reader.next().await.unwrap() {
        out.push(row);
    }
    assert!(reader.next().await.unwrap().is_none());
    out
}

fn text(i: usize, len: usize) -> Row {
    vec![
        Value::Int8(i as i64),
        Value::from("x".repeat(len)),
        Value::Null,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn a_run_gives_its_rows_back_in_order(lengths in proptest::collection::vec(0..9000usize, 0..60)) {
        let rows: Vec<Row> = lengths.iter().enumerate().map(|(i, n)| text(i, *n)).collect();
        in_room(1 << 30, |temp, memory| async move {
            let space = Space::open(&temp, &memory, "Sort").await.unwrap();
            let run = write(&space, &rows).await.unwrap();
            assert_eq!(run.rows(), rows.len() as u64);
            assert_eq!(all(run.read()).await, rows);
            assert_eq!(all(run.drain()).await, rows);
            assert!(memory.peak() <= 8 * space.block_bytes());
        });
    }
}

#[test]
fn blocks_that_were_read_are_written_again() {
    in_room(1 << 30, |temp, memory| async move {
        let space = Space::open(&temp, &memory, "Sort").await.unwrap();
        let rows: Vec<Row> = (0..500).map(|i| text(i, 100)).collect();
        let mut run = write(&space, &rows).await.unwrap();
        let held = temp.stats().bytes_held;
        for _ in 0..5 {
            let read = all(run.drain()).await;
            run = write(&space, &read).await.unwrap();
        }
        assert_eq!(temp.stats().bytes_held, held);
        assert_eq!(all(run.drain()).await, rows);
    });
}

#[test]
fn what_a_file_may_take_is_exact() {
    let rows: Vec<Row> = (0..200).map(|i| text(i, 1000)).collect();
    let copy = rows.clone();
    let needs = in_room(1 << 30, |temp, memory| async move {
        let space = Space::open(&temp, &memory, "Sort").await.unwrap();
        write(&space, &copy).await.unwrap();
        temp.stats().bytes_held
    });
    for (quota, fits) in [(needs, true), (needs - 1, false)] {
        let rows = rows.clone();
        let outcome = in_room(quota, |temp, memory| async move {
            let space = Space::open(&temp, &memory, "Sort").await.unwrap();
            write(&space, &rows).await.map(|run| run.rows())
        });
        assert_eq!(outcome.is_ok(), fits);
        if let Err(e) = outcome {
            assert_eq!(e.code(), SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        }
    }
}

#[test]
fn equal_keys_are_in_one_part_and_levels_divide_differently() {
    in_room(1 << 30, |temp, memory| async move {
        let space = Space::open(&temp, &memory, "Hash Join").await.unwrap();
        let first = Parted::of(&space, 0, 16);
        let second = Parted::of(&space, 1, 16);
        let one = |v: Value| [v];
        assert_eq!(
            first.part(&one(Value::Float8(-0.0))),
            first.part(&one(Value::Float8(0.0)))
        );
        let keys = (0..4096).map(|i| one(Value::Int4(i)));
        let mut both = [[0usize; 16]; 16];
        for key in keys {
            both[first.part(&key)][second.part(&key)] += 1;
        }
        assert!(both.iter().flatten().all(|n| *n > 0), "{both:?}");
    });
}

#[test]
fn a_row_over_the_memory_is_refused_and_leaves_nothing() {
    in_room(1 << 30, |temp, memory| async move {
        let space = Space::open(&temp, &memory, "Sort").await.unwrap();
        let refused = write(&space, &[text(0, BUDGET)]).await;
        assert_eq!(refused.err().unwrap().code(), SqlState::OUT_OF_MEMORY);
    });
}

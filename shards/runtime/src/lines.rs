//! Lines for a slow reader, such as log lines for a terminal or a pipe, without ever waiting for it.
//!
//! Owns: a thread ("lines") and the bounded queue before it. Asked by: `telemetry`, from any thread.
//! Never: blocks the caller of `push`, reorders lines, writes half a line between two others.
//! Bounds: as many lines as the constructor is told; one more is dropped and counted.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

enum Item {
    Line(Vec<u8>),
    /// Answered when all before it is written.
    Flush(Sender<()>),
}

/// The sending end; `Send + Sync`. The thread ends with it.
pub struct Lines {
    sender: Sender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    /// To the process's standard error.
    pub fn to_stderr(lines_max: usize) -> io::Result<Lines> {
        Lines::to(lines_max, io::stderr())
    }

    /// To any writer, which only the new thread touches.
    pub fn to(lines_max: usize, writer: impl Write + Send + 'static) -> io::Result<Lines> {
        let (sender, receiver) = bounded(lines_max);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || drain(&receiver, BufWriter::new(writer), &lost))?;
        Ok(Lines { sender, dropped })
    }

    /// Hands a line over, with its newline. When the queue is full it is dropped and counted.
    pub fn push(&self, line: Vec<u8>) {
        if self.sender.try_send(Item::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was pushed before is written, but no longer than `wait`. Blocks: for the end of the process.
    pub fn flush(&self, wait: Duration) {
        let (tell, told) = bounded(1);
        if self.sender.send_timeout(Item::Flush(tell), wait).is_ok() {
            // Written, too late, or the thread is gone: there is nothing more to do about it.
            let _ = told.recv_timeout(wait);
        }
    }

    /// Lines that were not written: the queue was full, or the writer failed.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes until the sender is gone; gives the bytes away whenever the queue is empty.
fn drain(receiver: &Receiver<Item>, mut writer: BufWriter<impl Write>, dropped: &AtomicU64) {
    let lose = |result: io::Result<()>| {
        if result.is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    };
    loop {
        let item = match receiver.try_recv() {
            Ok(item) => item,
            Err(TryRecvError::Empty) => {
                lose(writer.flush());
                match receiver.recv() {
                    Ok(item) => item,
                    Err(_) => return,
                }
            }
            Err(TryRecvError::Disconnected) => return,
        };
        match item {
            Item::Line(line) => lose(writer.write_all(&line)),
            Item::Flush(tell) => {
                lose(writer.flush());
                // Who asked may have stopped waiting.
                let _ = tell.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes nothing while the lock is held.
    #[derive(Clone)]
    struct Gate(Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let gate = Gate(Arc::default());
        let lines = Lines::to(100_000, gate.clone()).unwrap();
        let mut expected = Vec::new();
        for n in 0..10_000 {
            let line = format!("line {n}\n").into_bytes();
            expected.extend_from_slice(&line);
            lines.push(line);
        }
        lines.flush(Duration::from_secs(10));
        assert_eq!(*gate.0.lock().unwrap(), expected);
        assert_eq!(lines.dropped(), 0);
    }

    #[test]
    fn a_reader_that_stopped_costs_lines_and_never_time() {
        let gate = Gate(Arc::default());
        let lines = Lines::to(16, gate.clone()).unwrap();
        let closed = gate.0.lock().unwrap();
        let line = vec![b'x'; 16 << 10];
        for _ in 0..1000 {
            lines.push(line.clone());
        }
        // The queue, one line in the thread's hand, and no more than that.
        assert!(lines.dropped() >= 1000 - 16 - 2);
        lines.flush(Duration::from_millis(10));
        drop(closed);
        lines.flush(Duration::from_secs(10));
        let written = gate.0.lock().unwrap().len() / line.len();
        assert_eq!(written as u64 + lines.dropped(), 1000);
    }
}

//! The task that keeps the network's ring going.
//!
//! Owns: when the ring is entered and when the pump sleeps. Asked by: the executor, which starts one a shard.
//! Never: keeps the executor from looking at its own rings: after `STREAK` turns in a row with something in them it waits
//! for the eventfd like one that is idle, and glommio comes to its disk, its timers and other shards.
//! Bounds: one read of the eventfd under way.

use super::Ring;
use crate::steady::Steady;
use glommio::io::BufferedFile;
use std::future::{Future, poll_fn};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Turns in a row without a look at glommio's rings.
const STREAK: usize = 4;

/// Runs as long as its executor. An error means that nobody would be woken any more.
pub(crate) async fn pump(ring: Rc<Ring>) -> std::io::Result<()> {
    let eventfd = ring.eventfd.borrow().as_ref().map(OwnedFd::try_clone);
    let Some(eventfd) = eventfd.transpose()? else {
        return Ok(());
    };
    // SAFETY: a descriptor of its own, given away here.
    let eventfd = Rc::new(unsafe { BufferedFile::from_raw_fd(eventfd.into_raw_fd()) });
    let mut pump = Pump {
        ring,
        eventfd,
        told: None,
        streak: 0,
    };
    poll_fn(|cx| pump.poll(cx)).await
}

type Told = Pin<Box<dyn Future<Output = std::io::Result<()>>>>;

struct Pump {
    ring: Rc<Ring>,
    eventfd: Rc<BufferedFile>,
    told: Option<Steady<Told>>,
    streak: usize,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.ring.listen(false);
        let happened = self.ring.turn();
        self.streak += 1;
        if happened > 0 && self.streak < STREAK {
            // Behind those who were told, and whatever they push meanwhile.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.streak = 0;
        self.ring.waker.replace(Some(cx.waker().clone()));
        loop {
            let eventfd = &self.eventfd;
            let told = self
                .told
                .get_or_insert_with(|| Steady::new(wait(eventfd.clone())));
            match told.poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => self.told = None,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        self.ring.listen(true);
        if self.ring.is_due() {
            // It came while nobody listened, or was pushed by those who were told just now.
            self.ring.tell_pump()?;
        }
        Poll::Pending
    }
}

fn wait(eventfd: Rc<BufferedFile>) -> Told {
    Box::pin(async move {
        let read = eventfd.read_at(0, 8).await;
        read.map(drop).map_err(std::io::Error::from)
    })
}

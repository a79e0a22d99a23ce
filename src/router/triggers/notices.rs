//! What RAISE says to the client.
//!
//! Owns: the notices of a running statement, until its session gives them out. Asked by: programs, and session. Bounds: `BYTES_MAX` of
//! them; how many more there were is said in one of their own.

use std::cell::{Cell, RefCell};
use types::{Error, SqlState};

const BYTES_MAX: usize = 1 << 20;
/// Of one notice beside its texts.
const OVERHEAD: usize = 256;

/// Of one session.
#[derive(Default)]
pub struct Notices {
    said: RefCell<Vec<Error>>,
    bytes: Cell<usize>,
    left_out: Cell<u64>,
}

impl Notices {
    pub fn say(&self, notice: Error) {
        let texts = [Some(notice.message()), notice.detail(), notice.hint()];
        let own: usize = texts.iter().flatten().map(|t| t.len()).sum();
        let bytes = self.bytes.get() + own + OVERHEAD;
        if bytes > BYTES_MAX {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        self.bytes.set(bytes);
        self.said.borrow_mut().push(notice);
    }

    /// In the order they were said.
    pub fn take(&self) -> Vec<Error> {
        self.bytes.set(0);
        let mut said = self.said.take();
        let more = self.left_out.replace(0);
        if more > 0 {
            let text = format!("{more} more notices of the statement were left out");
            said.push(Error::new(SqlState::WARNING, text));
        }
        said
    }

    pub fn is_empty(&self) -> bool {
        self.said.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notice_over_the_ceiling_is_counted() {
        let notices = Notices::default();
        let notice = || Error::new(SqlState::SUCCESSFUL_COMPLETION, "x".repeat(1024 - OVERHEAD));
        let fit = BYTES_MAX / 1024;
        (0..fit).for_each(|_| notices.say(notice()));
        assert_eq!(notices.take().len(), fit);
        (0..fit + 2).for_each(|_| notices.say(notice()));
        let said = notices.take();
        assert_eq!(said.len(), fit + 1);
        assert!(
            said.last()
                .is_some_and(|n| n.message().starts_with("2 more"))
        );
        assert!(notices.is_empty() && notices.take().is_empty());
    }
}

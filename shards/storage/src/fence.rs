//! The end of writing after a failed write, or after damage was found.
//!
//! Owns: the reason, once there is one. Asked by: every write path before it begins, and by the engine before anything.
//! Never: is lifted: after a failed write or fsync the kernel may have dropped the dirty pages, so a later success would
//! prove nothing; and where one page is damaged nobody knows what else is.
//! Source: Rebello et al. 2020, "Can Applications Recover from fsync Failures?".

use crate::error::StorageError;
use std::cell::RefCell;

pub(crate) struct Changing<'a>(&'a Fence);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if runtime::is_panicking() {
            self.0.set(&StorageError::Interrupted);
        }
    }
}

#[derive(Default)]
pub(crate) struct Fence(RefCell<Option<String>>);

impl Fence {
    pub fn check(&self) -> Result<(), StorageError> {
        match &*self.0.borrow() {
            None => Ok(()),
            Some(reason) => Err(StorageError::Fenced {
                reason: reason.clone(),
            }),
        }
    }

    /// The first reason stays.
    pub fn set(&self, error: &StorageError) {
        let mut reason = self.0.borrow_mut();
        if reason.is_none() {
            tracing::error!(%error, "storage fenced until the process restarts");
            *reason = Some(error.to_string());
        }
    }

    /// Until it is dropped pages are being changed: a panic then leaves them half done, and nothing of it may be
    /// written.
    pub fn while_changing(&self) -> Changing<'_> {
        Changing(self)
    }

    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_amid_a_change_fences_and_one_elsewhere_does_not() {
        let fence = Fence::default();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(fence.while_changing());
            panic!("after a change");
        }));
        assert!(unwound.is_err());
        assert!(fence.check().is_ok());
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _changing = fence.while_changing();
            panic!("amid a change");
        }));
        assert!(unwound.is_err());
        assert!(matches!(fence.check(), Err(StorageError::Fenced { .. })));
    }
}

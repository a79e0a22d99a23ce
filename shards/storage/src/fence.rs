//! The end of writing after a failed write.
//!
//! Owns: the reason, once there is one. Asked by: every write path before it begins. Never: is lifted: after a failed
//! write or fsync the kernel may have dropped the dirty pages, so a later success would prove nothing.
//! Source: Rebello et al. 2020, "Can Applications Recover from fsync Failures?".

use crate::error::StorageError;
use std::cell::RefCell;

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
            tracing::error!(%error, "storage fenced: no more writes until the process restarts");
            *reason = Some(error.to_string());
        }
    }

    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

//! The one chain every request passes.

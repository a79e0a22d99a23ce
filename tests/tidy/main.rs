//! The rules of the house that a compiler does not check, as a test.
//!
//! Owns: the import ranks of the front's rooms (`ranks`), who may name what touches the machine (`machine`), and the form of
//! files and words (`form`). Each rule prints every place that breaks it. Exceptions are lists in these files, by name and with
//! their reason; a new exception is a change to review, and one that is no longer needed fails as well.
//! Never: parses Rust. Sources are rustfmt's output, so lines and indentation say enough.

mod form;
mod machine;
mod ranks;
mod source;

/// Fails with every breach on a line of its own.
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(
        breaches.is_empty(),
        "{rule}: {} places break it\n{}",
        breaches.len(),
        breaches.join("\n")
    );
}

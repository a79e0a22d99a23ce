//! Configuration: defaults < file < environment < flags, each value with where it came from.

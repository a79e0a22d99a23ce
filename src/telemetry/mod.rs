//! Logs, counters and latencies, and their exposition.

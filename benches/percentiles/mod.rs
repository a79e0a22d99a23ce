//! p50, p99 and p99.9 of single operations, beside criterion's estimates of their mean.
//!
//! Owns: the histogram of one bench, over all that criterion has run of it, its warm-up too. Asked by: the benches whose
//! operations somebody waits for. A time has two readings of the clock in it, some tens of nanoseconds.

use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
pub struct Percentiles(Arc<Mutex<Histogram<u64>>>);

impl Percentiles {
    pub fn new() -> Percentiles {
        let took = Histogram::new(3).expect("three digits are allowed");
        Percentiles(Arc::new(Mutex::new(took)))
    }

    pub fn record(&self, took: Duration) {
        let mut all = self.0.lock().expect("nobody panics under it");
        all.record(took.as_nanos() as u64)
            .expect("less than a century");
    }

    /// Nothing when nothing was recorded: criterion was told to leave the bench out.
    pub fn print(&self, name: &str) {
        let all = self.0.lock().expect("nobody panics under it");
        if all.is_empty() {
            return;
        }
        let us = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "{name}: p50 {:.2} us, p99 {:.2} us, p99.9 {:.2} us, max {:.0} us of {}\n",
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0),
            all.len()
        );
    }
}

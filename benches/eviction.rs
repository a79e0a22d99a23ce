//! What the eviction policies keep: hit ratios over traces, next to what no policy can exceed.
//!
//! Prints a table and nothing about time. The traces are those of the papers: skewed references, a hot set beside
//! scans, a loop a little longer than the cache, and all of it in turns.

use storage::{Policy, trace};

const FRAMES: usize = 4096;
const REFERENCES: usize = 2_000_000;

fn row(name: &str, trace: &[u32]) {
    print!("{name:<26}");
    for policy in Policy::ALL {
        let ratio = trace::hit_ratio(policy, FRAMES, trace);
        print!(" {:>6.2}%", ratio * 100.0);
    }
    println!(" {:>6.2}%", trace::optimum(FRAMES, trace) * 100.0);
}

fn main() {
    let (frames, n) = (FRAMES as u32, REFERENCES);
    print!("{:<26}", format!("{FRAMES} frames"));
    for policy in Policy::ALL {
        print!(" {policy:>7}");
    }
    println!(" {:>7}", "optimum");
    for skew in [0.6, 0.8, 0.99, 1.2] {
        let trace = trace::zipf(frames * 16, skew, n, 1);
        row(&format!("zipf {skew}, 16 x cache"), &trace);
    }
    for (hot, scan) in [(frames / 2, frames), (frames / 10 * 8, frames * 2)] {
        let trace = trace::scans(hot, scan, n, 2);
        row(&format!("hot set {hot}, scans {scan}"), &trace);
    }
    for looped in [frames / 100 * 105, frames / 2 * 3] {
        row(&format!("loop of {looped}"), &trace::cycle(looped, n));
    }
    let trace = trace::mixed(frames * 8, frames / 4 * 5, n, 3);
    row("zipf 0.9, loop, scans", &trace);
}

//! A mix of transactions like TPC-C's against a server that speaks PostgreSQL's protocol.
//!
//!   tpcc load  --addr 127.0.0.1:5433 --warehouses 2 --items 10000 --customers 300
//!   tpcc run   … --connections 16 --seconds 6 --seed 1 --isolation "read committed" --pids PID
//!   tpcc check …                        consistency conditions 1 to 4; the exit code is 1 when one does not hold
//!
//! `run` prints a line for all transactions and one for each kind: name, count, a second, p50, p99, p99.9 and greatest in
//! ms, errors; the first also retries and the server's CPU in µs a transaction.

use compare::args::Args;
use compare::line::Seen;
use compare::tpcc::mix::{self, Mix};
use compare::tpcc::work::KINDS;
use compare::tpcc::{Scale, check, load};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("tpcc: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let mut args = Args::parse(std::env::args().skip(1))?;
    let what = args.word.clone().unwrap_or_default();
    let seconds = args.get("seconds", 6.0)?;
    let mix = Mix {
        addr: args.get("addr", ([127, 0, 0, 1], 5433).into())?,
        user: args.get("user", "rustydb".to_string())?,
        database: args.get("database", "rustydb".to_string())?,
        scale: Scale {
            warehouses: args.get("warehouses", 2)?,
            items: args.get("items", 10_000)?,
            customers: args.get("customers", 300)?,
        },
        connections: args.get("connections", 16)?,
        lasts: Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?,
        isolation: args.get("isolation", "read committed".to_string())?,
        seed: args.get("seed", 1)?,
        pids: args.list("pids")?,
    };
    let placed = args.get("placed", false)?;
    args.finish()?;
    let limits = [
        ("warehouses", mix.scale.warehouses, 1_000),
        ("items", mix.scale.items, 100_000),
        ("customers", mix.scale.customers, 3_000),
        ("connections", mix.connections as u64, 500),
    ];
    if let Some((name, _, max)) = limits.iter().find(|(_, n, max)| !(1..=*max).contains(n)) {
        return Err(format!("--{name} is 1 to {max}"));
    }
    let failed = |e: std::io::Error| e.to_string();
    match what.as_str() {
        "load" => {
            let mut connection = mix.connect().map_err(failed)?;
            load::load(&mut connection, mix.scale, placed).map_err(failed)?;
            Ok(true)
        }
        "run" => mix_and_print(&mix).map_err(failed),
        "check" => {
            let mut connection = mix.connect().map_err(failed)?;
            let broken = check::broken(&mut connection, mix.scale).map_err(failed)?;
            for line in &broken {
                println!("{line}");
            }
            Ok(broken.is_empty())
        }
        _ => Err("the first word is load, run or check".into()),
    }
}

fn mix_and_print(mix: &Mix) -> std::io::Result<bool> {
    let (outcome, usage) = mix::run(mix)?;
    let seconds = usage.wall.as_secs_f64();
    let line = |name: &str, seen: &Seen| {
        let ms = |q| seen.took.value_at_quantile(q) as f64 / 1e6;
        let count = seen.took.len();
        format!(
            "{name}\t{count}\t{:.1}\t{:.2}\t{:.2}\t{:.2}\t{:.2}\t{}",
            count as f64 / seconds,
            ms(0.5),
            ms(0.99),
            ms(0.999),
            ms(1.0),
            seen.errors
        )
    };
    let mut lines = Vec::new();
    let mut all = Seen::default();
    for ((_, name), seen) in KINDS.iter().zip(outcome.kinds) {
        lines.push(line(name, &seen));
        all.add(seen);
    }
    let cpu = match usage.server {
        Some(cpu) if !all.took.is_empty() => {
            format!("{:.0}", cpu.as_secs_f64() * 1e6 / all.took.len() as f64)
        }
        _ => "-".into(),
    };
    println!("{}\t{}\t{cpu}", line("all", &all), outcome.retries);
    for line in lines {
        println!("{line}");
    }
    if let Some(why) = &all.why {
        eprintln!("{} errors, the first: {why}", all.errors);
    }
    Ok(all.errors == 0)
}

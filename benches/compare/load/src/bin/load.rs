//! A load client for servers of three protocols, whose answers it checks. What it prints is one line (`load header` names its
//! fields); what went wrong is on standard error, and the exit code is 1 when anything did.
//!
//!   load closed  --addr 127.0.0.1:5433 --say prepared --connections 16 --depth 1 --seconds 5
//!   load open    … --rate 10000            latency is counted from when a request was due
//!   load connect … --rate 50               connect and first answer; without a rate one after another
//!   load idle    … --connections 1000      KiB a connection
//!   load watch   --pids 123 --seconds 5    processor time and memory of a server that nobody asks
//!
//! `--say` is echo (of `--bytes`), simple, prepared, get or ping; `--pids` are the server's processes, `--threads` the client's.

use compare::args::Args;
use compare::closed::{self, Load};
use compare::line::{HEADER, Seen, Used, print};
use compare::talk::{Talk, Way};
use compare::{CONNECTIONS_MAX, comings, open, process};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("load: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let mut args = Args::parse(std::env::args().skip(1))?;
    let what = args.word.clone().unwrap_or_default();
    let load = load(&mut args)?;
    args.finish()?;
    process::wake_on_time();
    Ok(match what.as_str() {
        "header" => {
            println!("{HEADER}");
            true
        }
        "closed" => {
            let (seen, usage) = closed::run(&load);
            print(&seen, usage, None)
        }
        "open" => {
            if load.rate <= 0.0 {
                return Err("an open loop needs a --rate".into());
            }
            let (seen, usage) = open::run(&load);
            print(&seen, usage, None)
        }
        "connect" => {
            let (seen, usage) = comings::run(&load);
            print(&seen, usage, None)
        }
        "idle" => {
            let (seen, usage, each) = comings::idle(&load);
            print(&seen, usage, Some(each))
        }
        "watch" => {
            let used = Used::since_now(&load.pids);
            std::thread::sleep(load.lasts);
            let kib = process::memory_kib(&load.pids) as f64;
            print(&Seen::default(), used.until_now(), Some(kib))
        }
        _ => return Err("the first word is header, closed, open, connect, idle or watch".into()),
    })
}

fn load(args: &mut Args) -> Result<Load, String> {
    let seconds = |text: f64| Duration::try_from_secs_f64(text).map_err(|e| e.to_string());
    let load = Load {
        talk: Talk {
            way: args.get("say", Way::Simple)?,
            bytes: args.get("bytes", 41)?,
            rows: args.get("rows", 100_000)?,
            user: args.get("user", "rustydb".to_string())?,
            database: args.get("database", "rustydb".to_string())?,
        },
        addr: args.get("addr", ([127, 0, 0, 1], 5433).into())?,
        connections: args.get("connections", 16)?,
        threads: args.get("threads", 1)?,
        depth: args.get("depth", 1)?,
        warm: seconds(args.get("warm", 0.5)?)?,
        lasts: seconds(args.get("seconds", 5.0)?)?,
        rate: args.get("rate", 0.0)?,
        pids: args.list("pids")?,
    };
    let limits = [
        ("bytes", load.talk.bytes, 8, 1 << 20),
        ("rows", load.talk.rows as usize, 1, 1 << 30),
        ("connections", load.connections, 1, CONNECTIONS_MAX),
        ("threads", load.threads, 1, 64),
        ("depth", load.depth, 1, 10_000),
    ];
    match limits.iter().find(|(_, n, min, max)| n < min || n > max) {
        Some((name, _, min, max)) => Err(format!("--{name} is {min} to {max}")),
        None => Ok(load),
    }
}

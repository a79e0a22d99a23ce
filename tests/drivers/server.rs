//! A server of its own for each test: the built binary on free ports and an empty directory.
//!
//! With `DRIVERS_PORT` the clients go to that port of this machine instead: to a PostgreSQL, whose answers
//! are what the checks expect.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    pub port: u16,
    /// `None` when the server is someone else's.
    process: Option<Child>,
    _data: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        let data = tempfile::tempdir().unwrap();
        if let Ok(port) = std::env::var("DRIVERS_PORT") {
            return Server {
                port: port.parse().unwrap(),
                process: None,
                _data: data,
            };
        }
        let (port, http_port) = (free_port(), free_port());
        let process = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .args(["--cores", "2"])
            .arg("--data-dir")
            .arg(data.path().join("data"))
            .args(["--sql-port", &port.to_string()])
            .args(["--http-port", &http_port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            port,
            process: Some(process),
            _data: data,
        };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "no server");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// A client program that connects here by libpq's environment variables.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "rustydb")
            .env("PGDATABASE", "rustydb")
            .env_remove("PGPASSWORD");
        command
    }

    /// Ends the server as an operator does, and holds it to a clean end.
    pub fn stop(mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        let pid = process.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let start = Instant::now();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "the server ended with {status}");
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed check; harmless after `stop`.
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

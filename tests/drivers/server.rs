//! Where a test's clients go: a server of its own, or with `DRIVERS_PORT` that port of this machine: a PostgreSQL, whose
//! answers are what the checks expect.

use crate::support;
use std::process::Command;

pub struct Server {
    pub port: u16,
    /// `None` when the server is someone else's.
    own: Option<(support::Server, tempfile::TempDir)>,
}

impl Server {
    pub fn start() -> Server {
        if let Ok(port) = std::env::var("DRIVERS_PORT") {
            return Server {
                port: port.parse().unwrap(),
                own: None,
            };
        }
        let data = tempfile::tempdir().unwrap();
        let server = support::Server::start(&data.path().join("data"), 2);
        Server {
            port: server.port,
            own: Some((server, data)),
        }
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
    pub fn stop(self) {
        if let Some((server, _data)) = self.own {
            server.stop();
        }
    }
}

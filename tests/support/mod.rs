//! What the integration tests share: a server of their own on free ports, and plain HTTP.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The built binary over a data directory.
pub struct Server {
    pub port: u16,
    pub http_port: u16,
    data: PathBuf,
    process: Child,
}

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    pub fn start(data: &Path, cores: usize) -> Server {
        Server::with_flags(data, cores, &[])
    }

    pub fn with_flags(data: &Path, cores: usize, flags: &[&str]) -> Server {
        let server = Server::unready(data, cores, flags);
        let start = Instant::now();
        while server.http("GET", "/health/ready", "").0 != 200 {
            assert!(start.elapsed() < PATIENCE, "no server");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// As soon as it answers, ready or not.
    pub fn unready(data: &Path, cores: usize, flags: &[&str]) -> Server {
        let (port, http_port) = (free_port(), free_port());
        let pool: &[&str] = match flags.contains(&"--pool-bytes") {
            true => &[],
            false => &["--pool-bytes", "32MiB"],
        };
        let process = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .args(["--cores", &cores.to_string()])
            .args(pool)
            .arg("--data-dir")
            .arg(data)
            .args(["--sql-port", &port.to_string()])
            .args(["--http-port", &http_port.to_string()])
            .args(flags)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            port,
            http_port,
            data: data.to_path_buf(),
            process,
        };
        let start = Instant::now();
        while server.http("GET", "/health/ready", "").0 == 0 {
            assert!(start.elapsed() < PATIENCE, "no server");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Status and body of one request on a connection of its own; status 0 when there is no answer.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.http_with(method, path, "", body)
    }

    /// With further header lines, each ended.
    pub fn http_with(&self, method: &str, path: &str, header: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{header}\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let exchange = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.http_port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = exchange().unwrap_or_default();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }

    pub fn query(&self, sql: &str) -> (u16, serde_json::Value) {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let (status, body) = self.http("POST", "/api/v1/query", &body);
        let json = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
        (status, json)
    }

    /// A connection of tokio-postgres; its task ends with the runtime.
    pub async fn connect(&self) -> tokio_postgres::Client {
        self.connect_as("rustydb").await
    }

    pub async fn connect_as(&self, user: &str) -> tokio_postgres::Client {
        self.open("127.0.0.1", user, "rustydb").await.unwrap()
    }

    /// Through a directory, or another address.
    pub async fn connect_at(&self, host: &str) -> tokio_postgres::Client {
        self.open(host, "rustydb", "rustydb").await.unwrap()
    }

    /// In another database.
    pub async fn connect_to(
        &self,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.open("127.0.0.1", "rustydb", database).await
    }

    async fn open(
        &self,
        host: &str,
        user: &str,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let port = self.port;
        let config = format!("host={host} port={port} user={user} dbname={database}");
        let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What a metric adds up to over all samples whose line starts like this.
    pub fn metric(&self, start: &str) -> f64 {
        let value = self.metric_if_any(start);
        value.unwrap_or_else(|| panic!("no metric {start}"))
    }

    pub fn metric_if_any(&self, start: &str) -> Option<f64> {
        let (_, text) = self.http("GET", "/metrics", "");
        let lines: Vec<_> = text.lines().filter(|l| l.starts_with(start)).collect();
        let values = lines.iter().filter_map(|l| l.rsplit(' ').next());
        let sum = values.map(|v| v.parse::<f64>().unwrap()).sum();
        (!lines.is_empty()).then_some(sum)
    }

    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// As a power cut would, but for the page cache.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "no end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to stop, and takes any outcome but waiting for ever.
    pub fn end(mut self) {
        self.signal("TERM");
        self.wait();
    }

    pub fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server on an empty directory and a client of it, until `work` has ended; then it must stop cleanly.
pub fn on_server(
    cores: usize,
    flags: &[&str],
    work: impl AsyncFnOnce(&Server, tokio_postgres::Client),
) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::with_flags(&data.path().join("data"), cores, flags);
    client_runtime().block_on(async {
        let client = server.connect().await;
        work(&server, client).await;
    });
    server.stop();
}

/// `before` with a client of a server of two cores, which is killed then; `after` with clients of servers of one and of four over
/// what it has left.
pub fn after_a_kill(
    before: impl AsyncFnOnce(&tokio_postgres::Client),
    after: impl AsyncFn(&tokio_postgres::Client),
) {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 2);
    let runtime = client_runtime();
    runtime.block_on(async {
        let client = server.connect().await;
        before(&client).await;
        server.kill();
    });
    for cores in [1, 4] {
        let server = Server::start(&dir, cores);
        runtime.block_on(async { after(&server.connect().await).await });
        server.stop();
    }
}

/// A script that must go well.
pub async fn run(client: &tokio_postgres::Client, sql: &str) {
    let done = client.batch_execute(sql).await;
    done.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
}

/// The SQLSTATE of a script that must not.
pub async fn refused(client: &tokio_postgres::Client, sql: &str) -> String {
    code(&client.batch_execute(sql).await.unwrap_err())
}

/// The SQLSTATE of an error; "lost" when the connection has gone.
pub fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or("lost".into(), |c| c.code().to_owned())
}

/// The one value of a query.
pub async fn value<T>(client: &tokio_postgres::Client, sql: &str) -> T
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A runtime for a client in a test.
pub fn client_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The public-domain conformance files, beside the project or where the variable says.
pub fn conformance_dir() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sqllogictest");
    let dir = std::env::var_os("SQLLOGICTEST_DIR").map_or(beside, PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// A port that nobody listens on, below those the system gives to outgoing connections: one of those could take it before
/// the server does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61);
    loop {
        let n = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + (n % 18_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

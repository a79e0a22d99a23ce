//! Bad input gets its error, the server stays, memory returns.

use crate::support::{Server, on_server};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A started connection: everything up to the first ReadyForQuery has been read.
fn started(server: &Server) -> TcpStream {
    let mut stream = server.raw();
    let mut body = 196_608u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0rustydb\0database\0rustydb\0\0");
    let length = (body.len() as u32 + 4).to_be_bytes();
    stream.write_all(&[&length[..], &body].concat()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(&[b'Z', 0, 0, 0, 5, b'I']) {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "closed at start");
        seen.extend_from_slice(&buffer[..n]);
    }
    stream
}

/// What the server says until it closes.
fn last_words(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

#[test]
fn garbage_closes_its_connection_only_and_memory_returns() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    assert_eq!(server.query("select 1").0, 200);
    let before = server.resident_bytes();

    for round in 0..50u8 {
        let mut stream = server.raw();
        stream
            .write_all(&[0, 0, 0, 12, round, 0xFF, 7, 7, 1, 2, 3, 4])
            .unwrap();
        let words = last_words(stream);
        assert!(words.is_empty() || words.contains("FATAL"), "{words}");
    }
    // A length no frame may have.
    let mut stream = started(&server);
    stream.write_all(&[b'Q', 0x7F, 0xFF, 0xFF, 0xFF]).unwrap();
    let words = last_words(stream);
    assert!(
        words.contains("54000") || words.contains("08P01"),
        "{words}"
    );
    // Half a frame, then nothing: it holds nobody up.
    let mut half = started(&server);
    half.write_all(&[b'Q', 0, 0, 1, 0, b's']).unwrap();
    assert_eq!(server.query("select 1").0, 200);
    drop(half);
    // Not UTF-8.
    let mut stream = started(&server);
    stream
        .write_all(&message(b'Q', b"select '\xFF\xFE'\0"))
        .unwrap();
    stream.write_all(&message(b'X', b"")).unwrap();
    assert!(last_words(stream).contains("22021"));

    assert_eq!(server.query("select 1").0, 200);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more than before");
    server.stop();
}

#[test]
fn statements_that_are_too_much_get_the_right_error() {
    on_server(2, &[], async |_, client| {
        let code = async |sql: &str| match client.simple_query(sql).await {
            Ok(_) => "00000".to_owned(),
            Err(e) => e.code().map_or("lost".into(), |c| c.code().to_owned()),
        };
        let megabyte = format!("select length('{}')", "x".repeat(1_000_000));
        assert_eq!(code(&megabyte).await, "00000");
        let chain = format!("select 1{}", "+1".repeat(20_000));
        assert_eq!(code(&chain).await, "54001");
        let nots = format!("select {} true", "not ".repeat(10_000));
        assert_eq!(code(&nots).await, "54001");
        assert_eq!(code("select $70000").await, "54023");
        let columns: Vec<String> = (0..1_601).map(|n| format!("c{n} int")).collect();
        let wide = format!("create table wide ({})", columns.join(","));
        assert_eq!(code(&wide).await, "54011");
        assert_eq!(code("select 1").await, "00000");
    });
}

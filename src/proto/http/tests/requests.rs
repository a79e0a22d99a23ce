//! What each endpoint answers.

use super::Server;
use serde_json::json;
use std::io::Read;
use std::sync::atomic::Ordering::SeqCst;

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

#[test]
fn a_query_answers_columns_rows_count_and_command() {
    let server = Server::start();
    let (status, body) = server.sql("rows 2");
    let x = "x".repeat(100);
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({
            "columns": [{"name": "id", "type": "integer"}, {"name": "text", "type": "text"}],
            "rows": [{"id": 0, "text": x}, {"id": 1, "text": x}],
            "row_count": 2,
            "command": "SELECT 2",
        })
    );
    let (_, body) = server.sql("insert");
    let expected = json!({"columns": [], "rows": [], "row_count": 5, "command": "INSERT 0 5"});
    assert_eq!(body, expected);
    let (_, body) = server.sql("empty");
    assert_eq!(
        body,
        json!({"columns": [], "rows": [], "row_count": 0, "command": ""})
    );
    let (_, body) = server.sql("rows 0");
    assert_eq!(body["rows"], json!([]));
}

#[test]
fn every_value_is_json_with_its_exact_digits() {
    let server = Server::start();
    let answer = server.raw(&Server::post("{\"sql\":\"values\"}"));
    let row = concat!(
        r#"{"n":null,"b":true,"i":-9223372036854775808,"f":1e+300,"f4":0.1,"nan":"NaN","inf":"-Infinity","#,
        r#""num":123456789012345678901234567890.10,"num_nan":"NaN","t":"a\"\\\n\u0001é","by":"\\x00ff","#,
        r#""j":{"a": [1.50, null]},"ts":"2000-01-01T00:00:01.5","tz":"2000-01-01T02:00:00+02:00","ti":"infinity","#,
        r#""d":"2000-01-02","a":[1,null],"t_3":"again","t_2":"taken"}"#
    );
    assert!(answer.contains(row), "{answer}");
    assert!(answer.contains(r#"{"name":"t_3","type":"text"}"#));
}

#[test]
fn parameters_reach_the_statement_as_text() {
    let server = Server::start();
    let params = r#"[null, "a", true, 12345678901234567890.10, {"k": [1]}, [1, 2]]"#;
    let (status, body) = server.ask(&format!(r#"{{"sql":"echo","params":{params}}}"#));
    assert_eq!(status, 200);
    assert_eq!(
        body["rows"][0],
        json!({"p": null, "p_2": "a", "p_3": "true", "p_4": "12345678901234567890.10", "p_5": "{\"k\":[1]}", "p_6": "[1,2]"})
    );
}

#[test]
fn a_timeout_is_milliseconds_or_text_with_a_unit() {
    let server = Server::start();
    for (text, millis) in [
        ("1500", 1500),
        ("\"5s\"", 5000),
        ("\"2 min\"", 120_000),
        ("\"7ms\"", 7),
    ] {
        let (status, _) = server.ask(&format!(r#"{{"sql":"empty","timeout":{text}}}"#));
        assert_eq!((status, server.seen.timeout_ms.load(SeqCst)), (200, millis));
    }
    for bad in [
        "0",
        "-1",
        "\"5\"",
        "\"s\"",
        "1.5",
        "\"-1s\"",
        "\"99999999999999999999s\"",
        "[]",
    ] {
        let (status, _) = server.ask(&format!(r#"{{"sql":"empty","timeout":{bad}}}"#));
        assert_eq!(status, 400, "{bad}");
    }
}

#[test]
fn a_bad_request_says_what_is_wrong() {
    let server = Server::start();
    for (body, code, part) in [
        ("", "08P01", "EOF"),
        ("{\"sql\":1}", "08P01", "expected a string"),
        ("{}", "08P01", "missing field `sql`"),
        (
            "{\"sql\":\"empty\",\"parms\":[]}",
            "08P01",
            "unknown field `parms`",
        ),
        (
            "{\"sql\":\"empty\",\"sql\":\"empty\"}",
            "08P01",
            "duplicate field",
        ),
        ("[1]", "08P01", "not a valid query"),
    ] {
        let (status, answer) = server.ask(body);
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["error"]["code"], code);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert!(answer["error"]["request_id"].is_string());
    }
    let deep = format!("{{\"sql\":\"echo\",\"params\":[{}1]}}", "[".repeat(100_000));
    assert_eq!(server.ask(&deep).0, 400);
    let mut bytes = Server::post("{\"sql\":\"xx\"}");
    let at = bytes.len() - 4;
    bytes[at] = 0xff;
    let answer = server.raw(&bytes);
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("22021"),
        "{answer}"
    );
}

#[test]
fn an_sql_error_has_its_status_code_and_position() {
    let server = Server::start();
    for (code, expected) in [
        ("42P01", 404),
        ("23505", 409),
        ("57014", 504),
        ("XX000", 500),
    ] {
        let (status, answer) = server.sql(&format!("fail {code}"));
        assert_eq!(status, expected);
        assert_eq!(answer["error"]["code"], code);
        assert_eq!(answer["error"]["position"], 3);
    }
    let answer = server.raw(&Server::post("{\"sql\":\"fail 40001\"}"));
    assert!(answer.starts_with("HTTP/1.1 409 ") && answer.contains("retry-after: 1\r\n"));
    let (status, answer) = server.sql("late failure");
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("22012")));
    let (status, answer) = server.sql("copy");
    assert_eq!((status, &answer["error"]["code"]), (501, &json!("0A000")));
}

#[test]
fn a_panic_is_an_answer_and_the_shard_lives() {
    let server = Server::start();
    for sql in ["panic", "late panic"] {
        let (status, answer) = server.sql(sql);
        assert_eq!((status, &answer["error"]["code"]), (500, &json!("XX000")));
    }
    assert_eq!(server.sql("rows 1").0, 200);
}

#[test]
fn paths_and_methods_that_do_not_exist_are_told_so() {
    let server = Server::start();
    let agent = agent();
    let mut answer = agent.get(server.url("/api/v2")).call().unwrap();
    assert_eq!(answer.status(), 404);
    let body: serde_json::Value = answer.body_mut().read_json().unwrap();
    assert_eq!(body["error"]["message"], "there is nothing at /api/v2");
    for path in [
        "/",
        "/api/v1/query/",
        "/health",
        "/metrics/x",
        "/api/v1/tables/a/b",
    ] {
        assert_eq!(
            agent.get(server.url(path)).call().unwrap().status(),
            404,
            "{path}"
        );
    }
    let answer = agent.get(server.url("/api/v1/query")).call().unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
    let answer = agent.delete(server.url("/metrics")).call().unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    let answer = agent.head(server.url("/health/live")).call().unwrap();
    assert_eq!(answer.status(), 200);
    let answer = agent
        .post(server.url("/api/v1/query"))
        .content_type("text/plain")
        .send("{\"sql\":\"empty\"}")
        .unwrap();
    assert_eq!(answer.status(), 415);
}

#[test]
fn tables_are_listed_and_found_by_name() {
    let server = Server::start();
    let agent = agent();
    let get = |path: &str| {
        let mut answer = agent.get(server.url(path)).call().unwrap();
        let status = answer.status().as_u16();
        (
            status,
            answer.body_mut().read_json::<serde_json::Value>().unwrap(),
        )
    };
    let (status, list) = get("/api/v1/tables");
    assert_eq!((status, &list["tables"][0]["name"]), (200, &json!("a b")));
    for name in ["a%20b", "public.a%20b"] {
        let (status, table) = get(&format!("/api/v1/tables/{name}"));
        assert_eq!((status, &table), (200, &list["tables"][0]));
    }
    let (status, answer) = get("/api/v1/tables/none");
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("42P01")));
    assert_eq!(
        answer["error"]["message"],
        "relation \"none\" does not exist"
    );
    assert_eq!(get("/api/v1/tables/%ff").0, 400);
    let other = agent.get(server.url("/api/v1/tables"));
    let mut answer = other.header("x-database", "d%C3%A9").call().unwrap();
    let body = answer.body_mut().read_json::<serde_json::Value>().unwrap();
    assert_eq!(
        (answer.status().as_u16(), &body["error"]["message"]),
        (404, &json!("database \"dé\" does not exist"))
    );
}

#[test]
fn health_and_metrics_answer_from_what_is() {
    let server = Server::start();
    let agent = agent();
    assert_eq!(server.ask("{}").0, 400);
    assert_eq!(
        agent
            .get(server.url("/health/live"))
            .call()
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        agent
            .get(server.url("/health/ready"))
            .call()
            .unwrap()
            .status(),
        200
    );
    let mut answer = agent.get(server.url("/metrics")).call().unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        crate::telemetry::CONTENT_TYPE
    );
    let text = answer.body_mut().read_to_string().unwrap();
    for line in [
        "rustydb_requests_total{protocol=\"http\",operation=\"query\",outcome=\"08\",shard=\"0\"} 1\n",
        "rustydb_connections_open{protocol=\"http\",shard=\"0\"} 1.0\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_request_id_is_echoed_or_made() {
    let server = Server::start();
    let agent = agent();
    let url = server.url("/health/live");
    let answer = agent
        .get(&url)
        .header("x-request-id", "my-id/7")
        .call()
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "my-id/7");
    let first = agent.get(&url).call().unwrap();
    let second = agent.get(&url).call().unwrap();
    assert_eq!(first.headers()["x-request-id"].len(), 16);
    assert_ne!(
        first.headers()["x-request-id"],
        second.headers()["x-request-id"]
    );
}

#[test]
fn rows_stream_as_one_object_a_line() {
    let server = Server::start();
    let agent = agent();
    let stream = |sql: &str| {
        agent
            .post(server.url("/api/v1/query"))
            .header("accept", "application/x-ndjson")
            .send_json(json!({ "sql": sql }))
            .unwrap()
    };
    let mut answer = stream("rows 3000");
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let text = answer.body_mut().read_to_string().unwrap();
    assert_eq!(text.lines().count(), 3000);
    for (i, line) in text.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["id"], i);
    }
    assert_eq!(stream("insert").body_mut().read_to_string().unwrap(), "");
    assert_eq!(stream("fail 42P01").status(), 404);
}

#[test]
fn a_stream_that_fails_midway_says_why_and_never_looks_whole() {
    let server = Server::start();
    for (sql, code) in [("late failure", "22012"), ("late panic", "XX000")] {
        let answer = agent()
            .post(server.url("/api/v1/query"))
            .header("accept", "application/x-ndjson")
            .send_json(json!({ "sql": sql }))
            .unwrap();
        assert_eq!(answer.status(), 200);
        let mut text = String::new();
        let read = answer.into_body().into_reader().read_to_string(&mut text);
        assert!(read.is_err(), "the end of the body must be missing");
        let mut raw = Server::post(&json!({ "sql": sql }).to_string());
        let at = raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        raw.splice(at..at, b"\r\naccept: application/x-ndjson".iter().copied());
        let text = server.raw(&raw);
        let last = text.lines().rfind(|l| l.starts_with('{')).unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["error"]["code"], code, "{text}");
        assert!(!text.ends_with("0\r\n\r\n"));
    }
}

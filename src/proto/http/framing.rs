//! What surrounds a request: which HTTP it is, what its headers ask, and its body within bounds.
//!
//! Owns: pure functions over bytes and headers, and `read_body`, which counts before it keeps.
//! Asked by: `conn`, `routes`, `query`. Never: trusts a length it was told more than the bytes that came.
//! Bounds: `Options::body_bytes_max`, `REQUEST_ID_BYTES_MAX`. Source: RFC 9110 sections 8.3, 12.5.1; RFC 9113 section 3.4.

use super::Http;
use super::body::Held;
use super::error::Problem;
use crate::net;
use bytes::{Buf, Bytes};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use types::{Error, RequestId, SqlState};

/// A client's own request id; a longer one is replaced by ours.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Names the database of a request.
pub const DATABASE: HeaderName = HeaderName::from_static("x-database");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The first bytes of a client that speaks HTTP/2 without asking first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

/// Which HTTP the first bytes of a connection begin; `None` while they could be either.
pub fn version(first: &[u8]) -> Option<Version> {
    let n = first.len().min(PREFACE.len());
    match first.get(..n) == PREFACE.get(..n) {
        false => Some(Version::Http1),
        true if n == PREFACE.len() => Some(Version::Http2),
        true => None,
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object, of known length.
    Json,
    /// A row a line, streamed.
    Ndjson,
}

/// What `Accept` asks for. NDJSON only when it is named and JSON is not preferred to it.
pub fn accepted(headers: &HeaderMap) -> Format {
    let (mut json, mut ndjson) = (0u32, 0u32);
    let values = headers.get_all(ACCEPT).iter();
    for item in values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
    {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .find_map(|p| p.strip_prefix("q="))
            .map_or(1000, quality_millis);
        match name.as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                ndjson = ndjson.max(quality);
            }
            "application/json" => json = json.max(quality),
            _ => {}
        }
    }
    match ndjson > 0 && ndjson >= json {
        true => Format::Ndjson,
        false => Format::Json,
    }
}

fn quality_millis(text: &str) -> u32 {
    match text.parse::<f32>() {
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0) as u32,
        _ => 0,
    }
}

/// Refuses a body that says it is not JSON in UTF-8. One that says nothing is taken at its bytes.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let is_utf8 = parts
        .filter_map(|p| p.strip_prefix("charset="))
        .all(|c| matches!(c.trim_matches('"'), "utf-8" | "utf8"));
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(Problem::http(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("the body must be application/json in UTF-8, not {text:?}"),
    )
    .with_hint("send the header \"content-type: application/json\"")
    .unread())
}

/// The client's request id if it is usable, else a new one; and its number for logs.
pub fn request_id(headers: &HeaderMap, fresh: impl FnOnce() -> RequestId) -> (String, RequestId) {
    let theirs = headers
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|t| (1..=REQUEST_ID_BYTES_MAX).contains(&t.len()))
        .filter(|t| t.bytes().all(|b| b.is_ascii_graphic()));
    match theirs {
        Some(text) => {
            let ours = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok());
            let number = ours
                .flatten()
                .unwrap_or_else(|| xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
            (text.to_owned(), RequestId(number))
        }
        None => {
            let id = fresh();
            (format!("{:016x}", id.0), id)
        }
    }
}

/// The database that a request is about: the one that its header names, percent-encoded where it is not ASCII, or the default.
pub fn database(headers: &HeaderMap, default: &str) -> Result<String, Problem> {
    match headers.get(DATABASE).map(|v| v.to_str()) {
        None => Ok(default.to_owned()),
        Some(Ok(name)) => decoded(name, "the header \"x-database\""),
        Some(Err(_)) => Err(Problem::http(
            StatusCode::BAD_REQUEST,
            "the header \"x-database\" is not percent-encoded",
        )),
    }
}

/// Decodes `%41` in a path's segment.
pub fn percent_decoded(segment: &str) -> Result<String, Problem> {
    decoded(segment, "the path")
}

fn decoded(segment: &str, what: &str) -> Result<String, Problem> {
    let bad = || {
        Problem::http(
            StatusCode::BAD_REQUEST,
            format!("{what} is not valid UTF-8"),
        )
    };
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = tail.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// Reads a whole body. Memory is taken from the shard's budget before the bytes are kept.
pub async fn read_body(
    http: &Http,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(Vec<u8>, Held), Problem> {
    let max = http.options.body_bytes_max;
    let told = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if told.is_some_and(|n| n > max as u64) {
        return Err(too_large(max).unread());
    }
    match net::timeout(http.options.body_timeout, collect(http, body, told, max)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::http(
            StatusCode::REQUEST_TIMEOUT,
            "the body of the request did not come in time",
        )
        .unread()),
    }
}

async fn collect(
    http: &Http,
    mut body: Incoming,
    told: Option<u64>,
    max: usize,
) -> Result<(Vec<u8>, Held), Problem> {
    let mut held = Held::nothing(&http.budget);
    let mut bytes = Vec::new();
    if let Some(told) = told {
        let told = told as usize;
        held.grow(told).map_err(|e| Problem::from(e).unread())?;
        bytes.reserve_exact(told);
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            let message = format!("the body of the request broke off: {e}");
            Problem::http(StatusCode::BAD_REQUEST, message).unread()
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue; // Trailers say nothing here.
        };
        if bytes.len() + data.len() > max {
            return Err(too_large(max).unread());
        }
        let missing = (bytes.len() + data.len()).saturating_sub(held.bytes());
        held.grow(missing).map_err(|e| Problem::from(e).unread())?;
        append(&mut bytes, &mut data);
    }
    Ok((bytes, held))
}

fn append(bytes: &mut Vec<u8>, data: &mut Bytes) {
    bytes.extend_from_slice(data);
    data.advance(data.len());
}

fn too_large(max: usize) -> Problem {
    Problem::from(
        Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the body of the request is larger than {max} bytes"),
        )
        .with_hint("http_body_bytes_max sets the limit; COPY on the SQL port has none"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn the_version_is_known_at_the_first_byte_that_differs() {
        for n in 0..PREFACE.len() {
            assert_eq!(version(&PREFACE[..n]), None);
            let mut other = PREFACE[..n].to_vec();
            other.push(b'x');
            assert_eq!(version(&other), Some(Version::Http1));
        }
        let mut more = PREFACE.to_vec();
        assert_eq!(version(&more), Some(Version::Http2));
        more.extend_from_slice(b"frames");
        assert_eq!(version(&more), Some(Version::Http2));
        assert_eq!(version(b"POST /"), Some(Version::Http1));
    }

    #[test]
    fn rows_are_streamed_only_when_asked() {
        for (accept, expected) in [
            ("application/x-ndjson", Format::Ndjson),
            ("Application/X-NDJSON; q=0.5, text/html", Format::Ndjson),
            ("application/json, application/x-ndjson;q=0.9", Format::Json),
            ("application/x-ndjson;q=0", Format::Json),
            ("application/x-ndjson;q=nonsense", Format::Json),
            ("*/*", Format::Json),
            ("", Format::Json),
        ] {
            assert_eq!(
                accepted(&headers(&[(ACCEPT, accept)])),
                expected,
                "{accept}"
            );
        }
        assert_eq!(accepted(&HeaderMap::new()), Format::Json);
    }

    #[test]
    fn only_json_in_utf8_is_taken() {
        let ok = |t: &str| require_json(&headers(&[(CONTENT_TYPE, t)])).is_ok();
        assert!(ok("application/json") && ok("Application/JSON; charset=\"UTF-8\""));
        assert!(!ok("application/x-www-form-urlencoded") && !ok("text/plain") && !ok(""));
        assert!(!ok("application/json; charset=latin1"));
        assert!(require_json(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_clients_request_id_is_kept_up_to_its_limit() {
        let of = |text: &str| request_id(&headers(&[(REQUEST_ID, text)]), || RequestId(7)).0;
        let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
        assert_eq!(of(&longest), longest);
        assert_eq!(of(&format!("{longest}x")), "0000000000000007");
        assert_eq!(of("has space"), "0000000000000007");
        assert_eq!(of(""), "0000000000000007");
        let ours = headers(&[(REQUEST_ID, "00000000000000ff")]);
        assert_eq!(request_id(&ours, || RequestId(7)).1, RequestId(255));
    }

    #[test]
    fn a_segment_is_decoded_or_refused_and_never_panics() {
        assert_eq!(percent_decoded("a%20b%C3%A9").unwrap(), "a bé");
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "a%é"] {
            assert!(percent_decoded(bad).is_err(), "{bad}");
        }
    }
}

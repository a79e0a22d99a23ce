//! What exists over HTTP: paths, their methods, and the answer to everything else.
//!
//! Owns: the table of routes and the frame of every answer (request id, errors, contained panics). Asked by: `conn`.
//! Never: an endpoint that neither reads nor changes real state.
//! Bounds: a path that is not in the table costs one lookup and answers 404. Source: RFC 9110 sections 9.1, 15.5.6.

use super::body::{Answer, Body};
use super::error::{self, Problem};
use super::{Http, framing, query, tables};
use crate::net;
use crate::service;
use crate::telemetry::{self, Metrics};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::cell::Cell;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use types::{Error, RequestId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Query,
    Tables,
    Table,
    Live,
    Ready,
    Metrics,
}

impl Endpoint {
    const ALL: [(Endpoint, &'static str); 6] = [
        (Endpoint::Query, "/api/v1/query"),
        (Endpoint::Tables, "/api/v1/tables"),
        (Endpoint::Table, "/api/v1/tables/{table}"),
        (Endpoint::Live, "/health/live"),
        (Endpoint::Ready, "/health/ready"),
        (Endpoint::Metrics, "/metrics"),
    ];

    /// As the `operation` of metrics.
    fn name(self) -> &'static str {
        match self {
            Endpoint::Query => "query",
            Endpoint::Tables => "tables",
            Endpoint::Table => "table",
            Endpoint::Live => "live",
            Endpoint::Ready => "ready",
            Endpoint::Metrics => "metrics",
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Endpoint::Query => "POST",
            Endpoint::Tables
            | Endpoint::Table
            | Endpoint::Live
            | Endpoint::Ready
            | Endpoint::Metrics => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|m| m == method.as_str())
    }
}

/// The table of routes.
pub struct Routes(matchit::Router<Endpoint>);

impl Routes {
    pub fn new() -> Routes {
        let mut router = matchit::Router::new();
        for (endpoint, path) in Endpoint::ALL {
            // The paths are constants that do not collide; a test asks for each of them.
            if let Err(problem) = router.insert(path, endpoint) {
                tracing::error!(path, %problem, "a route is missing");
            }
        }
        Routes(router)
    }

    fn find<'p>(&self, path: &'p str) -> Result<(Endpoint, Option<&'p str>), Problem> {
        match self.0.at(path) {
            Ok(found) => Ok((*found.value, found.params.get("table"))),
            Err(_) => Err(Problem::http(
                StatusCode::NOT_FOUND,
                format!("there is nothing at {path}"),
            )),
        }
    }
}

/// Who makes a request, and what it is called.
pub struct Caller {
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// As the client sees it.
    pub request_id: String,
    /// As logs see it.
    pub number: RequestId,
}

/// A connection's part of every request on it.
pub struct Client {
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// Set when a body was left unread, so that the connection lingers before it closes.
    pub unread: Cell<bool>,
    /// Why this connection has no slot: every request on it is told so.
    pub refusal: Option<Error>,
}

/// Answers one request. Never fails: an error is an answer.
pub async fn handle(http: Rc<Http>, client: Rc<Client>, request: Request<Incoming>) -> Answer {
    let (request_id, number) = framing::request_id(request.headers(), service::request_id);
    let caller = Caller {
        peer: client.peer,
        local: client.local,
        request_id,
        number,
    };
    let answered = AssertUnwindSafe(answer(&http, &client, &caller, request))
        .catch_unwind()
        .await;
    let outcome = answered.unwrap_or_else(|panic| {
        Metrics::current().panics.inc();
        let message = net::panic_message(panic.as_ref());
        tracing::error!(request_id = %caller.request_id, message, "an HTTP request panicked");
        Err(Error::internal("the request failed inside the server").into())
    });
    let mut response = outcome.unwrap_or_else(|problem| {
        client.unread.set(client.unread.get() || problem.unread);
        refuse(&problem, &caller.request_id)
    });
    if let Ok(value) = HeaderValue::from_str(&caller.request_id) {
        response.headers_mut().insert(framing::REQUEST_ID, value);
    }
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

async fn answer(
    http: &Rc<Http>,
    client: &Client,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    if let Some(error) = &client.refusal {
        return Err(Problem::from(error.clone()).unread());
    }
    let path = request.uri().path().to_owned();
    let (endpoint, parameter) = http.routes.find(&path)?;
    if !endpoint.allows(request.method()) {
        let message = format!("{} is not a method of {path}", request.method());
        return Err(Problem {
            allow: Some(endpoint.allow()),
            ..Problem::http(StatusCode::METHOD_NOT_ALLOWED, message)
        });
    }
    let answered = match endpoint {
        Endpoint::Query => query::query(http, caller, request).await,
        Endpoint::Tables => listed(http, request.headers()),
        Endpoint::Table => table(http, request.headers(), parameter.unwrap_or_default()),
        Endpoint::Live => Ok(json(StatusCode::OK, "{\"status\":\"live\"}")),
        Endpoint::Ready => Ok(ready(http).await),
        Endpoint::Metrics => metrics(http).await,
    };
    if endpoint != Endpoint::Query {
        let outcome = answered.as_ref().err().map(|problem| problem.error.code());
        Metrics::current().request("http", endpoint.name(), outcome);
    }
    answered
}

fn listed(http: &Http, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    let database = framing::database(headers, &http.options.database)?;
    let all = http.door.tables(&database)?;
    Ok(json(StatusCode::OK, tables::list(&all)))
}

fn table(http: &Http, headers: &HeaderMap, segment: &str) -> Result<Response<Body>, Problem> {
    let name = framing::percent_decoded(segment)?;
    let database = framing::database(headers, &http.options.database)?;
    tables::one(&http.door.tables(&database)?, &name).map(|body| json(StatusCode::OK, body))
}

async fn ready(http: &Http) -> Response<Body> {
    match http.door.ready().await {
        Ok(()) => json(StatusCode::OK, "{\"status\":\"ready\"}"),
        Err(reason) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({ "status": "not ready", "reason": reason }).to_string(),
        ),
    }
}

async fn metrics(http: &Http) -> Result<Response<Body>, Problem> {
    let text = http.door.metrics().await?;
    Ok(typed(
        StatusCode::OK,
        telemetry::CONTENT_TYPE,
        Body::text(text),
    ))
}

fn refuse(problem: &Problem, request_id: &str) -> Response<Body> {
    let mut response = json(problem.status, error::to_json(&problem.error, request_id));
    let headers = response.headers_mut();
    if let Some(allow) = problem.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if error::is_transient(problem.error.code()) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json(status: StatusCode, body: impl Into<String>) -> Response<Body> {
    let mut body = body.into();
    body.push('\n');
    typed(status, "application/json", Body::text(body))
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

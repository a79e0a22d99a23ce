//! From the first packet to the first ReadyForQuery.
//!
//! Owns: the negotiation before a session exists. Asked by: `conn`. Never: decides who may enter; `Door::open` does.
//! Bounds: one request for TLS and one for GSS a connection; the caller's authentication timeout covers all of it.
//! Source: PostgreSQL documentation, "Message Flow, Start-up"; its backend/tcop/backend_startup.c.

use super::codec::Startup;
use super::conn::End;
use super::error::ProtocolError;
use super::switches;
use super::wire::Wire;
use crate::service::{CancelKey, Door, Hello, Protocol, Session};
use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::net::SocketAddr;
use std::rc::Rc;
use types::{Error, Result};

/// 3.2, the newest version whose messages this server knows; 3.1 was never used.
const NEWEST_MINOR: u16 = 2;
const NEWEST: u32 = (3 << 16) | NEWEST_MINOR as u32;

/// Negotiates and opens the session. On success the replies up to ReadyForQuery are gathered but not flushed.
pub async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    door: &dyn Door,
    refusal: Option<Error>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
) -> Result<Rc<dyn Session>, End> {
    let (minor, settings) = negotiate(wire, door).await?;
    if let Some(error) = refusal {
        return Err(End::Fatal(error));
    }
    let (options, settings): (Vec<_>, Vec<_>) = settings
        .into_iter()
        .partition(|(name, _)| name.starts_with("_pq_."));
    let hello = hello(settings, peer, local).map_err(End::Fatal)?;
    if minor > NEWEST_MINOR || !options.is_empty() {
        let version = NEWEST.min((3 << 16) | u32::from(minor));
        wire.put(|out| out.negotiate_protocol_version(version, &options))
            .await?;
    }
    let session = wire.watch(door.open(hello)).await?.map_err(End::Fatal)?;
    let parameters = session.parameters();
    wire.put(|out| {
        out.authentication_ok();
        for (name, value) in &parameters {
            out.parameter_status(name, value);
        }
        out.backend_key_data(session.cancel_key());
        out.ready_for_query(session.status());
    })
    .await?;
    Ok(session)
}

async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    door: &dyn Door,
) -> Result<(u16, Vec<(String, String)>), End> {
    let (mut tls_asked, mut gss_asked) = (false, false);
    loop {
        let body = wire.startup().await?;
        let startup = Startup::decode(body).map_err(|e| End::Fatal(e.into()))?;
        match startup {
            Startup::Tls if !tls_asked => {
                tls_asked = true;
                wire.byte(b'N').await?;
            }
            Startup::Gss if !gss_asked => {
                gss_asked = true;
                wire.byte(b'N').await?;
            }
            Startup::Tls => return Err(version(1234, 5679)),
            Startup::Gss => return Err(version(1234, 5680)),
            Startup::Cancel { pid, secret } => {
                if let Some(key) = cancel_key(pid, &secret) {
                    door.cancel(key).await;
                }
                return Err(End::Closed);
            }
            Startup::Version { major, minor } => return Err(version(major, minor)),
            Startup::Session { minor, settings } => return Ok((minor, settings)),
        }
    }
}

fn version(major: u16, minor: u16) -> End {
    End::Fatal(ProtocolError::Version { major, minor }.into())
}

/// A secret of another length cannot be one of ours.
fn cancel_key(pid: i32, secret: &Bytes) -> Option<CancelKey> {
    let secret = i32::from_be_bytes(secret.as_ref().try_into().ok()?);
    Some(CancelKey { pid, secret })
}

fn hello(
    settings: Vec<(String, String)>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
) -> Result<Hello> {
    let (mut user, mut database) = (String::new(), String::new());
    // Those of the command line come first: what the packet names itself counts more.
    let mut switches = Vec::new();
    let mut rest = Vec::with_capacity(settings.len());
    for (name, value) in settings {
        match name.as_str() {
            "user" => user = value,
            "database" => database = value,
            "options" => switches = switches::settings(&value)?,
            "replication" if is_off(&value) => {}
            "replication" => return Err(ProtocolError::Replication.into()),
            _ => rest.push((name, value)),
        }
    }
    if user.is_empty() {
        return Err(ProtocolError::NoUser.into());
    }
    if database.is_empty() {
        database.clone_from(&user);
    }
    Ok(Hello {
        protocol: Protocol::Postgres,
        user,
        database,
        peer,
        local,
        settings: switches.into_iter().chain(rest).collect(),
    })
}

fn is_off(value: &str) -> bool {
    ["false", "off", "no", "0"]
        .iter()
        .any(|off| value.eq_ignore_ascii_case(off))
}

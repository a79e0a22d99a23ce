//! Cutting a byte stream into PostgreSQL's frames.
//!
//! Owns: `Framer` (tag, length, body) and the startup packet, which has no tag. Asked by: `wire`.
//! Never: does I/O, allocates by a length it has not checked, or looks into a body.
//! Bounds: a startup packet has at most `STARTUP_BYTES_MAX` bytes, a body at most the given maximum. CopyData may be
//! of any length because it is passed on in the pieces in which it arrives.
//! Source: PostgreSQL documentation, "Message Formats".

use crate::net::Input;
use bytes::Bytes;
use types::limits::STARTUP_BYTES_MAX;
use types::{Error, SqlState};

/// Tag and length.
pub const HEADER_BYTES: usize = 5;

/// The length field counts itself.
const LENGTH_BYTES: usize = 4;

const COPY_DATA: u8 = b'd';

/// Why a stream can no longer be cut into frames. The connection ends after each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("invalid frontend message type {0}")]
    Type(u8),
    #[error("invalid message length")]
    Length { tag: u8, length: u32 },
    #[error("message of {length} bytes exceeds the limit of {max} bytes")]
    TooLarge { length: usize, max: usize },
    #[error("invalid length of startup packet")]
    StartupLength(u32),
}

impl From<FrameError> for Error {
    fn from(e: FrameError) -> Error {
        let code = match e {
            FrameError::Type(_) | FrameError::Length { .. } | FrameError::StartupLength(_) => {
                SqlState::PROTOCOL_VIOLATION
            }
            FrameError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        };
        let error = Error::new(code, e.to_string());
        match e {
            FrameError::TooLarge { .. } => {
                error.with_hint("Use parameters, several statements or COPY for large data.")
            }
            FrameError::Type(_) | FrameError::Length { .. } | FrameError::StartupLength(_) => error,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Message {
        tag: u8,
        body: Bytes,
    },
    /// A piece of a CopyData message, never empty; where messages begin and end means nothing to COPY.
    CopyData(Bytes),
}

/// Cuts frames; keeps how much of a CopyData message is still to come, and the head of a message whose body is not here
/// yet: a body alone fits the buffer class of its length.
#[derive(Debug)]
pub struct Framer {
    body_bytes_max: usize,
    copy_left: usize,
    headed: Option<(u8, usize)>,
}

impl Framer {
    pub fn new(body_bytes_max: usize) -> Framer {
        Framer {
            body_bytes_max,
            copy_left: 0,
            headed: None,
        }
    }

    /// The next frame of `input`, `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut impl Input) -> Result<Option<Frame>, FrameError> {
        loop {
            if self.copy_left > 0 {
                let n = self.copy_left.min(input.front().len());
                self.copy_left -= n;
                return Ok((n > 0).then(|| Frame::CopyData(input.split(n))));
            }
            if let Some((tag, body)) = self.headed {
                if input.front().len() < body {
                    input.want(body);
                    return Ok(None);
                }
                self.headed = None;
                let body = input.split(body);
                return Ok(Some(Frame::Message { tag, body }));
            }
            let Some(&tag) = input.front().first() else {
                return Ok(None);
            };
            if !is_frontend_type(tag) {
                return Err(FrameError::Type(tag));
            }
            let Some(length) = length_at(input.front(), 1) else {
                input.want(HEADER_BYTES);
                return Ok(None);
            };
            let body = self.body_length(tag, length)?;
            input.skip(HEADER_BYTES);
            if tag == COPY_DATA {
                self.copy_left = body;
            } else {
                self.headed = Some((tag, body));
            }
        }
    }

    fn body_length(&self, tag: u8, length: u32) -> Result<usize, FrameError> {
        let Some(body) = (length as usize).checked_sub(LENGTH_BYTES) else {
            return Err(FrameError::Length { tag, length });
        };
        if i32::try_from(length).is_err() {
            return Err(FrameError::Length { tag, length });
        }
        if tag != COPY_DATA && body > self.body_bytes_max {
            return Err(FrameError::TooLarge {
                length: body,
                max: self.body_bytes_max,
            });
        }
        Ok(body)
    }
}

/// Describe of the unnamed portal, which may be missing, Execute of it to its end, and Sync.
const DESCRIBED: &[u8] = b"D\0\0\0\x06P\0";
const EXECUTED: &[u8] = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";

/// Takes from `input` what drivers send behind a Bind of the unnamed portal, if it is here: whether Describe is part of it.
pub fn rest_of_run(input: &mut impl Input) -> Option<bool> {
    let front = input.front();
    let (described, rest) = match front.strip_prefix(DESCRIBED) {
        Some(rest) => (true, rest),
        None => (false, front),
    };
    if !rest.starts_with(EXECUTED) {
        return None;
    }
    let mut n = EXECUTED.len();
    if described {
        n += DESCRIBED.len();
    }
    input.skip(n);
    Some(described)
}

/// The body of a startup packet (code first), `None` when more bytes are needed.
pub fn startup(input: &mut impl Input) -> Result<Option<Bytes>, FrameError> {
    let front = input.front();
    if front.iter().take(2).any(|b| *b != 0) {
        // Not a length that is allowed, whatever follows: no need to wait for four bytes.
        let mut first = [0; 4];
        for (to, from) in first.iter_mut().zip(front.iter()) {
            *to = *from;
        }
        return Err(FrameError::StartupLength(u32::from_be_bytes(first)));
    }
    let Some(length) = length_at(front, 0) else {
        return Ok(None);
    };
    let whole = length as usize;
    if !(2 * LENGTH_BYTES..=STARTUP_BYTES_MAX).contains(&whole) {
        return Err(FrameError::StartupLength(length));
    }
    if front.len() < whole {
        input.want(whole);
        return Ok(None);
    }
    input.skip(LENGTH_BYTES);
    Ok(Some(input.split(whole - LENGTH_BYTES)))
}

fn length_at(input: &[u8], at: usize) -> Option<u32> {
    let (length, _) = input.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
    Some(u32::from_be_bytes(*length))
}

fn is_frontend_type(tag: u8) -> bool {
    matches!(
        tag,
        b'B' | b'C' | b'D' | b'E' | b'F' | b'H' | b'P' | b'Q' | b'S' | b'X' | b'c' | b'd' | b'f'
    )
}

//! What a client says: message bodies to `Message`, startup packets to `Startup`.
//!
//! Owns: pure decoding. Asked by: `conn` with the bodies that `framing` cut. Never: does I/O, or panics on any bytes.
//! Bounds: everything decoded is at most as large as its body; parameter bytes are slices of it, not copies.
//! Own rather than a library's: text that is not UTF-8 must be answered with 22021, not replaced.
//! Source: PostgreSQL documentation, "Message Formats"; messages from its pqformat.c and postgres.c.

use super::error::ProtocolError;
use bytes::{Buf, Bytes};
use smallvec::SmallVec;
use types::{Error, SqlState};

/// A message after the startup. CopyData does not come here: `framing` passes it on in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Query {
        sql: String,
    },
    Parse {
        name: String,
        sql: String,
        /// Type oids; 0 leaves the type to the server.
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        /// 0 = all.
        rows_max: u32,
    },
    Close(Target),
    Sync,
    Flush,
    FunctionCall,
    Terminate,
    CopyDone,
    CopyFail(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    pub param_formats: Formats,
    /// `None` is NULL.
    pub params: Vec<Option<Bytes>>,
    pub result_formats: Formats,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Statement(String),
    Portal(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

/// Format codes as sent: none (all text), one for all, or one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(SmallVec<[Format; 8]>);

impl Formats {
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Formats {
        Formats(formats.into_iter().collect())
    }

    /// The format of the item at `index`.
    pub fn at(&self, index: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(Format::Text),
        }
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// None, one, or exactly one each.
    pub fn fits(&self, items: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == items
    }

    /// 08P01 when they do not fit a result of so many columns.
    pub fn check(&self, columns: usize) -> types::Result<()> {
        match self.fits(columns) {
            true => Ok(()),
            false => Err(ProtocolError::ResultFormats {
                formats: self.count(),
                columns,
            }
            .into()),
        }
    }
}

/// What the first packet of a connection asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup {
    Tls,
    Gss,
    Cancel {
        pid: i32,
        /// Of any length since protocol 3.2; ours are four bytes.
        secret: Bytes,
    },
    Session {
        minor: u16,
        settings: Vec<(String, String)>,
    },
    /// A version whose messages this server does not know.
    Version {
        major: u16,
        minor: u16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("insufficient data left in message")]
    Short,
    #[error("invalid string in message")]
    Unterminated,
    #[error("invalid message format")]
    Leftover,
    #[error("invalid {message} message subtype {subtype}")]
    Subtype { message: &'static str, subtype: u8 },
    #[error("unsupported format code: {0}")]
    Format(i16),
    #[error("bind message has {formats} parameter formats but {params} parameters")]
    ParamFormats { formats: usize, params: usize },
    #[error("invalid byte sequence for encoding \"UTF8\": {0}")]
    Utf8(String),
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    #[error("invalid frontend message type {0}")]
    Type(u8),
}

impl From<DecodeError> for Error {
    fn from(e: DecodeError) -> Error {
        let code = match e {
            DecodeError::Short
            | DecodeError::Unterminated
            | DecodeError::Leftover
            | DecodeError::Subtype { .. }
            | DecodeError::ParamFormats { .. }
            | DecodeError::StartupLayout
            | DecodeError::Type(_) => SqlState::PROTOCOL_VIOLATION,
            DecodeError::Format(_) => SqlState::INVALID_PARAMETER_VALUE,
            DecodeError::Utf8(_) => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        };
        Error::new(code, e.to_string())
    }
}

impl Message {
    pub fn decode(tag: u8, body: Bytes) -> Result<Message, DecodeError> {
        let mut r = Reader(body);
        let message = match tag {
            b'Q' => Message::Query { sql: r.string()? },
            b'P' => Message::Parse {
                name: r.string()?,
                sql: r.string()?,
                types: r.counted(|r| r.u32())?,
            },
            b'B' => Message::Bind(bind(&mut r)?),
            b'D' => Message::Describe(target(&mut r, "DESCRIBE")?),
            b'E' => Message::Execute {
                portal: r.string()?,
                // Negative means all, as in PostgreSQL.
                rows_max: u32::try_from(r.i32()?).unwrap_or(0),
            },
            b'C' => Message::Close(target(&mut r, "CLOSE")?),
            b'S' => Message::Sync,
            b'H' => Message::Flush,
            b'X' => Message::Terminate,
            b'c' => Message::CopyDone,
            b'f' => Message::CopyFail(r.string()?),
            b'F' => return Ok(Message::FunctionCall),
            other => return Err(DecodeError::Type(other)),
        };
        r.end()?;
        Ok(message)
    }
}

fn bind(r: &mut Reader) -> Result<Bind, DecodeError> {
    let portal = r.string()?;
    let statement = r.string()?;
    let param_formats = formats(r)?;
    let params = r.counted(|r| {
        let length = r.i32()?;
        match usize::try_from(length) {
            Ok(length) => r.take(length).map(Some),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(DecodeError::Short),
        }
    })?;
    if !param_formats.fits(params.len()) {
        return Err(DecodeError::ParamFormats {
            formats: param_formats.count(),
            params: params.len(),
        });
    }
    Ok(Bind {
        portal,
        statement,
        param_formats,
        params,
        result_formats: formats(r)?,
    })
}

fn formats(r: &mut Reader) -> Result<Formats, DecodeError> {
    let count = r.u16()?;
    let mut formats = SmallVec::new();
    for _ in 0..count {
        formats.push(match r.i16()? {
            0 => Format::Text,
            1 => Format::Binary,
            other => return Err(DecodeError::Format(other)),
        });
    }
    Ok(Formats(formats))
}

fn target(r: &mut Reader, message: &'static str) -> Result<Target, DecodeError> {
    match r.u8()? {
        b'S' => Ok(Target::Statement(r.string()?)),
        b'P' => Ok(Target::Portal(r.string()?)),
        subtype => Err(DecodeError::Subtype { message, subtype }),
    }
}

/// Packs of `major << 16 | minor`; requests use major 1234.
const REQUEST: u16 = 1234;

impl Startup {
    pub fn decode(body: Bytes) -> Result<Startup, DecodeError> {
        let mut r = Reader(body);
        let major = r.u16()?;
        let minor = r.u16()?;
        match (major, minor) {
            (REQUEST, 5678) => Ok(Startup::Cancel {
                pid: r.i32()?,
                secret: r.0,
            }),
            (REQUEST, 5679) => Ok(Startup::Tls),
            (REQUEST, 5680) => Ok(Startup::Gss),
            (3, minor) => Ok(Startup::Session {
                minor,
                settings: settings(&mut r)?,
            }),
            (major, minor) => Ok(Startup::Version { major, minor }),
        }
    }
}

fn settings(r: &mut Reader) -> Result<Vec<(String, String)>, DecodeError> {
    let mut settings = Vec::new();
    loop {
        let name = r.string().map_err(layout)?;
        if name.is_empty() {
            break;
        }
        settings.push((name, r.string().map_err(layout)?));
    }
    if r.0.is_empty() {
        Ok(settings)
    } else {
        Err(DecodeError::StartupLayout)
    }
}

fn layout(e: DecodeError) -> DecodeError {
    match e {
        DecodeError::Unterminated => DecodeError::StartupLayout,
        other => other,
    }
}

struct Reader(Bytes);

impl Reader {
    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_| DecodeError::Short)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.0.try_get_u16().map_err(|_| DecodeError::Short)
    }

    fn i16(&mut self) -> Result<i16, DecodeError> {
        self.0.try_get_i16().map_err(|_| DecodeError::Short)
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.0.try_get_i32().map_err(|_| DecodeError::Short)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.0.try_get_u32().map_err(|_| DecodeError::Short)
    }

    fn take(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        if n > self.0.len() {
            return Err(DecodeError::Short);
        }
        Ok(self.0.split_to(n))
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        let end = self
            .0
            .iter()
            .position(|b| *b == 0)
            .ok_or(DecodeError::Unterminated)?;
        let text = utf8(self.0.get(..end).unwrap_or_default())?.to_owned();
        self.0.advance(end + 1);
        Ok(text)
    }

    /// A 16-bit count, then that many items.
    fn counted<T>(
        &mut self,
        mut item: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u16()?;
        // Each item takes four bytes or more, so that a count cannot reserve more than its body justifies.
        let mut items = Vec::with_capacity(usize::from(count).min(self.0.len() / 4));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Leftover)
        }
    }
}

/// Text of a client; 22021 naming the first bytes that are not UTF-8, as PostgreSQL does.
pub fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) if text.as_bytes().contains(&0) => return Err(DecodeError::Utf8("0x00".into())),
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let bad = bytes.get(error.valid_up_to()..).unwrap_or_default();
    let length = match bad.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let shown: Vec<String> = bad
        .iter()
        .take(length)
        .map(|b| format!("0x{b:02x}"))
        .collect();
    Err(DecodeError::Utf8(shown.join(" ")))
}

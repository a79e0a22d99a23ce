//! What the server says: pure writers of backend messages.
//!
//! Owns: `Output`, where messages are composed before they are gathered, and a writer for each message; one `Output` a
//! thread, lent by `compose`. Asked by: `conn` and its parts, through `wire`. Never: does I/O, lives across an `.await`.
//! Bounds: what is composed at once is one reply, a row at most `ROW_BYTES_MAX` long; the thread keeps `KEEP_BYTES`.
//! A message is either whole in the buffer or open at its end; `abandon` takes an open one back.
//! Source: PostgreSQL documentation, "Message Formats".

use super::codec::{Format, Formats};
use super::error::{self, Severity};
use crate::service::{CancelKey, Notification, TxnStatus};
use std::cell::RefCell;
use types::{Column, DataType, Error};

/// A DataRow may take this much; one value is at most half of it (`limits::VALUE_BYTES_MAX`) in text.
pub const ROW_BYTES_MAX: usize = 256 << 20;

/// Room that a thread keeps for composing.
const KEEP_BYTES: usize = 128 << 10;

thread_local! {
    static COMPOSED: RefCell<Output> = RefCell::default();
}

/// Lends the thread's `Output`, empty. Not to be called within itself.
pub fn compose<T>(work: impl FnOnce(&mut Output) -> T) -> T {
    COMPOSED.with_borrow_mut(|out| {
        out.clear();
        let outcome = work(out);
        out.clear();
        out.bytes.shrink_to(KEEP_BYTES);
        out.text.shrink_to(KEEP_BYTES);
        outcome
    })
}

#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// Where the message that is being written starts.
    open: Option<usize>,
    /// A value's text on its way into a message.
    text: String,
}

impl Output {
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.text.clear();
        self.open = None;
    }

    /// What was composed.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes, and an empty text to make some of them in.
    pub(super) fn parts(&mut self) -> (&mut Vec<u8>, &mut String) {
        self.text.clear();
        (&mut self.bytes, &mut self.text)
    }

    /// Takes back a message that was begun and not ended.
    pub fn abandon(&mut self) {
        if let Some(start) = self.open.take() {
            self.bytes.truncate(start);
        }
    }

    /// The head of a message whose body, `length` bytes, is not composed here.
    pub fn head(&mut self, tag: u8, length: usize) {
        self.bytes.push(tag);
        // Lengths are limited far below 2^31 before they get here, and count themselves.
        self.u32(length as u32 + 4);
    }

    pub fn begin(&mut self, tag: u8) {
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[tag, 0, 0, 0, 0]);
    }

    /// Length of the open message's body so far.
    pub fn open_bytes(&self) -> usize {
        self.open
            .map_or(0, |start| self.bytes.len().saturating_sub(start))
    }

    pub fn end(&mut self) {
        let Some(start) = self.open.take() else {
            return;
        };
        // The tag is not counted. Rows are cut off at ROW_BYTES_MAX, so that this always fits.
        let length = (self.bytes.len() - start - 1) as u32;
        if let Some(field) = self.bytes.get_mut(start + 1..start + 5) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn empty(&mut self, tag: u8) {
        self.begin(tag);
        self.end();
    }

    fn i16(&mut self, v: i16) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    fn u16(&mut self, v: u16) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    fn i32(&mut self, v: i32) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    fn u32(&mut self, v: u32) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    /// A C string: what follows a NUL would be read as the next field, so the text ends there.
    fn string(&mut self, s: &str) {
        let text = s.split('\0').next().unwrap_or_default();
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    pub fn authentication_ok(&mut self) {
        self.begin(b'R');
        self.i32(0);
        self.end();
    }

    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.begin(b'S');
        self.string(name);
        self.string(value);
        self.end();
    }

    pub fn backend_key_data(&mut self, key: CancelKey) {
        self.begin(b'K');
        self.i32(key.pid);
        self.i32(key.secret);
        self.end();
    }

    /// `version` is the newest that this server speaks; `options` are those it does not know (with their values).
    pub fn negotiate_protocol_version(&mut self, version: u32, options: &[(String, String)]) {
        self.begin(b'v');
        self.u32(version);
        self.u32(u32::try_from(options.len()).unwrap_or(u32::MAX));
        for (option, _) in options {
            self.string(option);
        }
        self.end();
    }

    pub fn ready_for_query(&mut self, status: TxnStatus) {
        self.begin(b'Z');
        self.bytes.push(match status {
            TxnStatus::Idle => b'I',
            TxnStatus::InTransaction => b'T',
            TxnStatus::Failed => b'E',
        });
        self.end();
    }

    pub fn row_description(&mut self, columns: &[Column], formats: &Formats) {
        self.begin(b'T');
        self.u16(count(columns.len()));
        for (index, column) in columns.iter().enumerate() {
            self.string(&column.name);
            self.u32(column.table);
            self.i16(column.attnum);
            self.u32(column.ty.oid());
            self.i16(column.ty.len());
            self.i32(column.typmod);
            self.i16(code(formats.at(index)));
        }
        self.end();
    }

    pub fn parameter_description(&mut self, types: &[DataType]) {
        self.begin(b't');
        self.u16(count(types.len()));
        for ty in types {
            self.u32(ty.oid());
        }
        self.end();
    }

    pub fn command_complete(&mut self, tag: &str) {
        self.begin(b'C');
        self.string(tag);
        self.end();
    }

    pub fn parse_complete(&mut self) {
        self.empty(b'1');
    }

    pub fn bind_complete(&mut self) {
        self.empty(b'2');
    }

    pub fn close_complete(&mut self) {
        self.empty(b'3');
    }

    pub fn no_data(&mut self) {
        self.empty(b'n');
    }

    pub fn empty_query(&mut self) {
        self.empty(b'I');
    }

    pub fn portal_suspended(&mut self) {
        self.empty(b's');
    }

    pub fn copy_in(&mut self, columns: usize, binary: bool) {
        self.copy_start(b'G', columns, binary);
    }

    pub fn copy_out(&mut self, columns: usize, binary: bool) {
        self.copy_start(b'H', columns, binary);
    }

    fn copy_start(&mut self, tag: u8, columns: usize, binary: bool) {
        self.begin(tag);
        self.bytes.push(u8::from(binary));
        self.u16(count(columns));
        for _ in 0..count(columns) {
            self.i16(i16::from(binary));
        }
        self.end();
    }

    pub fn notification_response(&mut self, note: &Notification) {
        self.begin(b'A');
        self.i32(note.pid);
        self.string(&note.channel);
        self.string(&note.text);
        self.end();
    }

    /// CopyData, of which `length` bytes follow.
    pub fn copy_data(&mut self, length: usize) {
        self.head(b'd', length);
    }

    pub fn copy_done(&mut self) {
        self.empty(b'c');
    }

    pub fn error_response(&mut self, error: &Error, severity: Severity) {
        self.report(b'E', error, severity);
    }

    pub fn notice_response(&mut self, notice: &Error) {
        self.report(b'N', notice, error::notice_severity(notice.code()));
    }

    fn report(&mut self, tag: u8, error: &Error, severity: Severity) {
        self.begin(tag);
        // V is the severity that is never translated.
        self.field(b'S', severity.name());
        self.field(b'V', severity.name());
        self.field(b'C', error.code().as_str());
        self.field(b'M', error.message());
        let position = error.position().map(|p| p.to_string());
        let rest = [
            (b'D', error.detail()),
            (b'H', error.hint()),
            (b'P', position.as_deref()),
            (b'W', error.context()),
            (b's', error.schema()),
            (b't', error.table()),
            (b'c', error.column()),
            (b'n', error.constraint()),
            (b'R', error.routine()),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                self.field(name, value);
            }
        }
        self.bytes.push(0);
        self.end();
    }

    fn field(&mut self, name: u8, value: &str) {
        self.bytes.push(name);
        self.string(value);
    }
}

fn code(format: Format) -> i16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

/// A count on the wire; everything counted is limited far below 65,535 before it gets here.
fn count(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

//! Which protocol a connection on the SQL port speaks, from its first bytes.
//!
//! Owns: the decision, as a pure function over the bytes seen so far, and the reading of just those bytes.
//! Asked by: `net::sql_port`. Never: answers a client; what cannot be told is left to PostgreSQL's protocol, which
//! has an error message for it.
//! Bounds: `FIRST_BYTES_MAX` bytes and the caller's timeout.
//! Source: PostgreSQL documentation, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncReadExt};
use std::io;
use types::limits::STARTUP_BYTES_MAX;

/// A startup packet's length and code.
pub const FIRST_BYTES_MAX: usize = 8;

/// Code of the packets that are not a version: `1234` in the upper half.
const REQUEST_CODE: u32 = 1234;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// What has come could still become either.
    More,
    /// A startup, TLS, GSS or cancel request of PostgreSQL's protocol, of any version.
    Postgres,
    /// No protocol served here.
    Unknown,
}

/// Decides from the first bytes; only looks at `FIRST_BYTES_MAX` of them.
pub fn sniff(first: &[u8]) -> Sniffed {
    let Some((length, rest)) = first.split_first_chunk::<4>() else {
        // A startup packet is shorter than 64 KiB, so that its first two bytes are zero.
        let plausible = first.iter().take(2).all(|b| *b == 0);
        return if plausible {
            Sniffed::More
        } else {
            Sniffed::Unknown
        };
    };
    let length = u32::from_be_bytes(*length) as usize;
    if !(FIRST_BYTES_MAX..=STARTUP_BYTES_MAX).contains(&length) {
        return Sniffed::Unknown;
    }
    let Some((code, _)) = rest.split_first_chunk::<4>() else {
        return Sniffed::More;
    };
    match u32::from_be_bytes(*code) >> 16 {
        1..=9 | REQUEST_CODE => Sniffed::Postgres,
        _ => Sniffed::Unknown,
    }
}

/// Reads until `sniff` decides. A stream that ends first is `Unknown`, with what it said.
pub async fn read_first<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(Sniffed, Bytes)> {
    let mut first = [0; FIRST_BYTES_MAX];
    let mut len = 0;
    loop {
        let n = match first.get_mut(len..) {
            Some(room) if !room.is_empty() => stream.read(room).await?,
            _ => 0,
        };
        len += n;
        let seen = first.get(..len).unwrap_or_default();
        let sniffed = match sniff(seen) {
            Sniffed::More if n == 0 => Sniffed::Unknown,
            other => other,
        };
        if sniffed != Sniffed::More {
            return Ok((sniffed, Bytes::copy_from_slice(seen)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::io::Cursor;

    fn packet(length: u32, code: u32) -> Vec<u8> {
        [length.to_be_bytes(), code.to_be_bytes()].concat()
    }

    #[test]
    fn every_request_of_postgres_is_known_by_its_first_eight_bytes_and_not_before() {
        let codes = [
            196_608, 196_610, 131_072, 80_877_102, 80_877_103, 80_877_104,
        ];
        for code in codes {
            for length in [8, 16, STARTUP_BYTES_MAX as u32] {
                let bytes = packet(length, code);
                for n in 0..FIRST_BYTES_MAX {
                    assert_eq!(sniff(&bytes[..n]), Sniffed::More, "{code} {length} {n}");
                }
                assert_eq!(sniff(&bytes), Sniffed::Postgres, "{code} {length}");
            }
        }
    }

    #[test]
    fn other_protocols_are_unknown_at_their_first_byte() {
        for first in [
            b"GET / HTTP/1.1\r\n".as_slice(),
            b"\x16\x03\x01",
            b"SSH-2.0",
        ] {
            assert_eq!(sniff(&first[..1]), Sniffed::Unknown);
            assert_eq!(sniff(first), Sniffed::Unknown);
        }
    }

    #[test]
    fn lengths_outside_a_startup_packet_are_unknown() {
        assert_eq!(sniff(&packet(7, 196_608)), Sniffed::Unknown);
        assert_eq!(
            sniff(&packet(STARTUP_BYTES_MAX as u32 + 1, 196_608)),
            Sniffed::Unknown
        );
        assert_eq!(sniff(&packet(8, 0)), Sniffed::Unknown);
    }

    #[test]
    fn what_was_read_is_given_back_whole() {
        futures_lite::future::block_on(async {
            let bytes = packet(8, 80_877_103);
            let (sniffed, first) = read_first(&mut Cursor::new(&bytes)).await.unwrap();
            assert_eq!((sniffed, &first[..]), (Sniffed::Postgres, &bytes[..]));
            let (sniffed, first) = read_first(&mut Cursor::new(b"\0\0")).await.unwrap();
            assert_eq!((sniffed, &first[..]), (Sniffed::Unknown, &b"\0\0"[..]));
            let (sniffed, first) = read_first(&mut Cursor::new(b"")).await.unwrap();
            assert_eq!((sniffed, first.len()), (Sniffed::Unknown, 0));
        });
    }
}

//! The pure parts: frames, messages and replies, against every split, random bytes and an independent codec.

use super::client::{bind, close, cstr, describe, execute, message, parse, query, startup, sync};
use crate::net::Input;
use crate::proto::pg::codec::{Bind, DecodeError, Format, Formats, Message, Startup, Target, utf8};
use crate::proto::pg::encode::Output;
use crate::proto::pg::error::Severity;
use crate::proto::pg::framing::{self, Frame, FrameError, Framer};
use crate::service::{CancelKey, TxnStatus};
use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage};
use proptest::prelude::*;
use types::limits::{FRAME_BYTES_MAX, STARTUP_BYTES_MAX};
use types::{Column, DataType, Error, SqlState};

fn conversation() -> Vec<(Vec<u8>, Message)> {
    let text = |s: &str| s.to_owned();
    vec![
        (
            query("select 'é'"),
            Message::Query {
                sql: text("select 'é'"),
            },
        ),
        (
            parse("s1", "select $1", &[23, 0]),
            Message::Parse {
                name: text("s1"),
                sql: text("select $1"),
                types: vec![23, 0],
            },
        ),
        (
            bind("p", "s1", &[0, 1], &[Some(b"7"), None], &[1]),
            Message::Bind(Bind {
                portal: text("p"),
                statement: text("s1"),
                param_formats: Formats::new([Format::Text, Format::Binary]),
                params: vec![Some(Bytes::from_static(b"7")), None],
                result_formats: Formats::new([Format::Binary]),
            }),
        ),
        (
            bind("", "", &[], &[Some(b"")], &[]),
            Message::Bind(Bind {
                portal: text(""),
                statement: text(""),
                param_formats: Formats::default(),
                params: vec![Some(Bytes::new())],
                result_formats: Formats::default(),
            }),
        ),
        (
            describe('S', "s1"),
            Message::Describe(Target::Statement(text("s1"))),
        ),
        (
            describe('P', ""),
            Message::Describe(Target::Portal(text(""))),
        ),
        (
            execute("p", 5),
            Message::Execute {
                portal: text("p"),
                rows_max: 5,
            },
        ),
        (
            execute("", -1),
            Message::Execute {
                portal: text(""),
                rows_max: 0,
            },
        ),
        (
            close('S', "s1"),
            Message::Close(Target::Statement(text("s1"))),
        ),
        (close('P', "p"), Message::Close(Target::Portal(text("p")))),
        (message('H', b""), Message::Flush),
        (sync(), Message::Sync),
        (message('c', b""), Message::CopyDone),
        (message('f', b"why\0"), Message::CopyFail(text("why"))),
        (message('F', b"\0\0\0\x01"), Message::FunctionCall),
        (message('X', b""), Message::Terminate),
    ]
}

/// All of it is memory here.
impl Input for BytesMut {
    fn front(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, n: usize) {
        self.advance(n);
    }

    fn split(&mut self, n: usize) -> Bytes {
        self.split_to(n).freeze()
    }

    fn want(&mut self, n: usize) {
        assert!(n > self.len());
    }
}

/// Frames by tag and body, and the joined CopyData.
type Cut = (Vec<(u8, Bytes)>, Vec<u8>);

/// Feeds `bytes` in these pieces.
fn cut(bytes: &[u8], pieces: &[&[u8]]) -> Result<Cut, FrameError> {
    assert_eq!(pieces.concat(), bytes);
    let mut framer = Framer::new(FRAME_BYTES_MAX);
    let (mut input, mut frames, mut copied) = (BytesMut::new(), Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(frame) = framer.next(&mut input)? {
            match frame {
                Frame::Message { tag, body } => frames.push((tag, body)),
                Frame::CopyData(data) => {
                    assert!(!data.is_empty());
                    copied.extend_from_slice(&data);
                }
            }
        }
    }
    Ok((frames, copied))
}

#[test]
fn every_message_is_the_same_wherever_it_is_split() {
    for (bytes, expected) in conversation() {
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (frames, _) = cut(&bytes, &[head, tail]).unwrap();
            let [(tag, body)] = &frames[..] else {
                panic!("{frames:?}")
            };
            assert_eq!(Message::decode(*tag, body.clone()).unwrap(), expected);
        }
    }
}

#[test]
fn copy_data_of_any_length_passes_through_in_pieces() {
    let data = vec![7; FRAME_BYTES_MAX + 10];
    let bytes = [message('d', &data), message('d', b""), message('c', b"")].concat();
    let pieces: Vec<&[u8]> = bytes.chunks(65_537).collect();
    let (frames, copied) = cut(&bytes, &pieces).unwrap();
    assert_eq!(copied, data);
    assert_eq!(frames, vec![(b'c', Bytes::new())]);
}

#[test]
fn a_body_may_have_the_maximum_and_not_one_byte_more() {
    let mut framer = Framer::new(FRAME_BYTES_MAX);
    let mut input = BytesMut::from(&message('Q', &vec![b'x'; FRAME_BYTES_MAX])[..]);
    assert!(framer.next(&mut input).unwrap().is_some());
    // Only the header has come, and that is enough to refuse.
    let mut input = BytesMut::from(&b"Q"[..]);
    input.extend_from_slice(&(FRAME_BYTES_MAX as u32 + 5).to_be_bytes());
    let error = framer.next(&mut input).unwrap_err();
    assert_eq!(
        error,
        FrameError::TooLarge {
            length: FRAME_BYTES_MAX + 1,
            max: FRAME_BYTES_MAX
        }
    );
    assert_eq!(Error::from(error).code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
}

#[test]
fn impossible_lengths_and_types_are_refused_at_once() {
    for length in [0u32, 3, 0x8000_0000, u32::MAX] {
        for tag in [b'Q', b'd'] {
            let mut input = BytesMut::from(&[tag][..]);
            input.extend_from_slice(&length.to_be_bytes());
            let error = Framer::new(10).next(&mut input).unwrap_err();
            assert_eq!(error, FrameError::Length { tag, length });
            assert_eq!(Error::from(error).code(), SqlState::PROTOCOL_VIOLATION);
        }
    }
    let mut input = BytesMut::from(&b"Z"[..]);
    assert_eq!(
        Framer::new(10).next(&mut input),
        Err(FrameError::Type(b'Z'))
    );
}

#[test]
fn a_startup_packet_may_have_the_maximum_and_not_one_byte_more() {
    let largest = |extra: usize| {
        let mut packet = startup(196_608, &[("user", "u")]);
        packet.resize(STARTUP_BYTES_MAX + extra, 0);
        let length = packet.len() as u32;
        packet[..4].copy_from_slice(&length.to_be_bytes());
        packet
    };
    let whole = framing::startup(&mut BytesMut::from(&largest(0)[..]));
    assert_eq!(whole.unwrap().unwrap().len(), STARTUP_BYTES_MAX - 4);
    let error = framing::startup(&mut BytesMut::from(&largest(1)[..])).unwrap_err();
    assert_eq!(error.to_string(), "invalid length of startup packet");
    assert!(framing::startup(&mut BytesMut::from(&b"\0\0\0\x07"[..])).is_err());
    assert!(framing::startup(&mut BytesMut::from(&b"G"[..])).is_err());
    assert_eq!(framing::startup(&mut BytesMut::new()), Ok(None));
}

#[test]
fn startup_settings_need_their_terminators() {
    let decode = |settings: &[u8]| {
        let body = [&196_610u32.to_be_bytes()[..], settings].concat();
        Startup::decode(body.into())
    };
    assert_eq!(
        decode(b"user\0u\0\0"),
        Ok(Startup::Session {
            minor: 2,
            settings: vec![("user".into(), "u".into())]
        })
    );
    for bad in [&b"user\0u\0"[..], b"user", b"", b"user\0u\0\0x"] {
        assert_eq!(decode(bad), Err(DecodeError::StartupLayout), "{bad:?}");
    }
    assert!(matches!(
        decode(b"user\0\xff\0\0"),
        Err(DecodeError::Utf8(_))
    ));
}

#[test]
fn text_that_is_not_utf8_names_its_first_bad_bytes() {
    let said = |bytes: &[u8]| utf8(bytes).unwrap_err().to_string();
    let wanted = |hex: &str| format!("invalid byte sequence for encoding \"UTF8\": {hex}");
    assert_eq!(said(b"a\xff"), wanted("0xff"));
    assert_eq!(said(b"\xc3("), wanted("0xc3 0x28"));
    assert_eq!(said(b"\xe2\x82"), wanted("0xe2 0x82"));
    assert_eq!(said(b"\xf0\x9f\x98z9"), wanted("0xf0 0x9f 0x98 0x7a"));
    assert_eq!(said(b"a\0"), wanted("0x00"));
    assert_eq!(utf8("é\u{1f600}".as_bytes()), Ok("é\u{1f600}"));
}

#[test]
fn malformed_bodies_are_told_apart() {
    let decode = |tag: u8, body: &[u8]| Message::decode(tag, Bytes::copy_from_slice(body));
    assert_eq!(decode(b'Q', b"abc"), Err(DecodeError::Unterminated));
    assert_eq!(decode(b'Q', b"a\0b\0"), Err(DecodeError::Leftover));
    assert_eq!(decode(b'E', b"\0\0"), Err(DecodeError::Short));
    assert_eq!(decode(b'P', b"\0\0\xff\xff"), Err(DecodeError::Short));
    assert_eq!(
        decode(b'D', b"x\0"),
        Err(DecodeError::Subtype {
            message: "DESCRIBE",
            subtype: b'x'
        })
    );
    let strip = |m: Vec<u8>| m[5..].to_vec();
    assert_eq!(
        decode(b'B', &strip(bind("", "", &[2], &[], &[]))),
        Err(DecodeError::Format(2))
    );
    assert_eq!(
        decode(b'B', &strip(bind("", "", &[0, 0], &[None], &[]))),
        Err(DecodeError::ParamFormats {
            formats: 2,
            params: 1
        })
    );
    let negative = [&b"\0\0\0\0\0\x01"[..], &(-2i32).to_be_bytes(), b"\0\0"].concat();
    assert_eq!(decode(b'B', &negative), Err(DecodeError::Short));
}

#[test]
fn an_independent_codec_reads_our_clients_messages() {
    for (bytes, message) in conversation() {
        if message == Message::FunctionCall {
            continue; // It does not know this one.
        }
        let mut context = DecodeContext::default();
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        let mut input = BytesMut::from(&bytes[..]);
        let read = PgWireFrontendMessage::decode(&mut input, &context)
            .unwrap()
            .unwrap();
        assert!(input.is_empty());
        let mut written = BytesMut::new();
        read.encode(&mut written).unwrap();
        if message
            != (Message::Execute {
                portal: String::new(),
                rows_max: 0,
            })
        {
            assert_eq!(&written[..], &bytes[..], "{message:?}");
        }
    }
}

#[test]
fn an_independent_codec_reads_every_reply_and_writes_the_same_bytes() {
    let mut column = Column::new("id", DataType::Varchar);
    (column.typmod, column.table, column.attnum) = (14, 16384, 3);
    let columns = [column, Column::new("n", DataType::Numeric)];
    let error = Error::new(SqlState::SYNTAX_ERROR, "m")
        .with_detail("d")
        .with_hint("h")
        .at(7)
        .with_table("public", "t")
        .with_column("c")
        .with_constraint("n");
    let formats = Formats::new([Format::Text, Format::Binary]);
    type Writer = Box<dyn Fn(&mut Output)>;
    let writers: Vec<Writer> = vec![
        Box::new(|o| o.authentication_ok()),
        Box::new(|o| o.parameter_status("TimeZone", "UTC")),
        Box::new(|o| o.backend_key_data(CancelKey { pid: 3, secret: -1 })),
        Box::new(|o| o.negotiate_protocol_version(196_610, &[("_pq_.x".into(), "1".into())])),
        Box::new(|o| o.ready_for_query(TxnStatus::Idle)),
        Box::new(|o| o.ready_for_query(TxnStatus::InTransaction)),
        Box::new(|o| o.ready_for_query(TxnStatus::Failed)),
        Box::new(move |o| o.row_description(&columns, &formats)),
        Box::new(|o| o.parameter_description(&[DataType::Int8, DataType::JsonbArray])),
        Box::new(|o| o.command_complete("INSERT 0 5")),
        Box::new(|o| o.parse_complete()),
        Box::new(|o| o.bind_complete()),
        Box::new(|o| o.close_complete()),
        Box::new(|o| o.no_data()),
        Box::new(|o| o.empty_query()),
        Box::new(|o| o.portal_suspended()),
        Box::new(|o| o.copy_in(3, false)),
        Box::new(|o| o.copy_out(2, true)),
        Box::new(|o| {
            o.copy_data(4);
            o.bytes().extend_from_slice(b"1\t2\n");
        }),
        Box::new(|o| o.copy_done()),
        Box::new(move |o| o.error_response(&error, Severity::Fatal)),
        Box::new(|o| o.notice_response(&Error::new(SqlState::WARNING, "w"))),
    ];
    for (index, write) in writers.iter().enumerate() {
        let mut out = Output::default();
        write(&mut out);
        let mut input = BytesMut::from(out.as_slice());
        let context = DecodeContext::default();
        let read = PgWireBackendMessage::decode(&mut input, &context)
            .unwrap()
            .unwrap();
        assert!(input.is_empty(), "reply {index}");
        let mut written = BytesMut::new();
        read.encode(&mut written).unwrap();
        assert_eq!(&written[..], out.as_slice(), "reply {index}: {read:?}");
    }
}

#[test]
fn a_nul_in_a_name_cannot_forge_a_field() {
    let mut out = Output::default();
    out.command_complete("SELECT 1\0evil");
    assert_eq!(out.as_slice(), message('C', &cstr("SELECT 1")));
}

#[test]
fn an_abandoned_message_leaves_no_trace() {
    let mut out = Output::default();
    out.parse_complete();
    out.begin(b'D');
    out.abandon();
    out.bind_complete();
    assert_eq!(
        out.as_slice(),
        [message('1', b""), message('2', b"")].concat()
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic_the_framer_or_the_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..300,
    ) {
        let (head, tail) = bytes.split_at(at.min(bytes.len()));
        if let Ok((frames, _)) = cut(&bytes, &[head, tail]) {
            for (tag, body) in frames {
                let _ = Message::decode(tag, body);
            }
        }
        if let Ok(Some(body)) = framing::startup(&mut BytesMut::from(&bytes[..])) {
            let _ = Startup::decode(body);
        }
    }

    #[test]
    fn random_bodies_never_panic_the_decoder(
        tag in prop::sample::select(b"BCDEFHPQSXcf".to_vec()),
        body in prop::collection::vec(prop_oneof![3 => 0u8..3, 1 => any::<u8>()], 0..64),
    ) {
        let _ = Message::decode(tag, body.clone().into());
        let _ = Startup::decode([&196_608u32.to_be_bytes()[..], &body].concat().into());
    }

    #[test]
    fn binds_survive_the_round_trip(
        params in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..12),
        binary in any::<bool>(),
    ) {
        let borrowed: Vec<Option<&[u8]>> = params.iter().map(Option::as_deref).collect();
        let bytes = bind("p", "s", &[i16::from(binary)], &borrowed, &[0]);
        let (frames, _) = cut(&bytes, &[&bytes]).unwrap();
        let Message::Bind(read) = Message::decode(b'B', frames[0].1.clone()).unwrap() else {
            panic!("not a bind")
        };
        let read: Vec<Option<Vec<u8>>> = read.params.iter().map(|p| p.as_ref().map(|b| b.to_vec())).collect();
        prop_assert_eq!(read, params);
    }
}

//! The bytes of docs/format.md, held still: what this program writes is what `tests/format` at the root says, and it
//! reads that.
//!
//! When this fails, either a format changed by accident, or `FORMAT` has to be raised, docs/format.md extended and the
//! old bytes kept readable. Run with `GOLDEN_WRITE=path` to write the new text.

use crate::directory::{self, Entry};
use crate::page::node::{self, Stored};
use crate::page::overflow::{self, Identity, OverflowRef, ValueId};
use crate::page::{self, Kind, PAGE_BYTES, Page, PageId};
use crate::space::Space;
use crate::superblock::{Slot, Superblock};
use crate::tree::Tree;
use crate::wal::record;
use std::fmt::Write;
use types::{Lsn, TreeId};

const STORE: u64 = 0x1122_3344_5566_7788;
const GOLDEN: &str = include_str!("../../../tests/format/storage1.txt");
const VALUE: ValueId = ValueId {
    epoch: 5,
    sequence: 6,
};

fn superblock() -> Superblock {
    Superblock {
        store: STORE,
        generation: 9,
        epoch: 8,
        redo: Lsn(0x1000),
        wal_end: Lsn(0x2345),
        pages: 0x1234,
        map: PageId(7),
        directory: PageId(6),
        meta: b"engine".to_vec(),
    }
}

fn sealed(mut page: Page) -> Page {
    page::seal(&mut page, STORE);
    page
}

fn node_page(level: u8, fill: impl FnOnce(&mut Page)) -> Page {
    let mut page = [0; PAGE_BYTES];
    let kind = match level {
        0 => Kind::Leaf,
        _ => Kind::Inner,
    };
    page::identify(&mut page, kind, PageId(0x21), 0x4001, 8);
    node::init(&mut page, level);
    fill(&mut page);
    sealed(page)
}

fn long_value() -> OverflowRef {
    OverflowRef {
        bytes: 5000,
        value: VALUE,
        pages: [PageId(0x31), PageId(0x32)].into_iter().collect(),
    }
}

fn identity(ordinal: u32) -> Identity {
    Identity {
        id: PageId(0x31),
        owner: 0x4001,
        epoch: 8,
        value: VALUE,
        ordinal,
    }
}

const LINK: Option<record::Link> = Some(record::Link {
    start: Lsn(0x1000),
    checksum: 0x0102_0304,
});

/// Everything there is in the format, by name.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let leaf = node_page(0, |page| {
        assert!(node::insert_leaf(page, 0, b"key", Stored::Inline(b"value")));
        let long = long_value().encode();
        assert!(node::insert_leaf(page, 1, b"long", Stored::Overflow(&long)));
        assert!(node::insert_leaf(page, 1, b"lo", Stored::Inline(b"gone")));
        node::remove(page, 0);
    });
    let inner = node_page(1, |page| {
        node::set_child(page, 0, PageId(0x41));
        assert!(node::insert_inner(page, 0, b"m", PageId(0x42)));
        assert!(node::insert_inner(page, 1, b"t", PageId(0x43)));
    });
    let mut overflow = [0; PAGE_BYTES];
    overflow::fill(&mut overflow, &identity(1), b"the end of a value");
    let mut index = [0; PAGE_BYTES];
    let next = Some(PageId(0x99));
    overflow::fill_index(
        &mut index,
        &identity(0),
        &[PageId(0x51), PageId(0x52)],
        next,
    );
    let info = Tree {
        root: PageId(0x21),
        level: 2,
        cells: 77,
        overflows: 3,
    };
    let entries = [false, true].map(|doomed| Entry {
        tree: TreeId(0x4001),
        info,
        doomed,
    });
    let mut directory = [0; PAGE_BYTES];
    directory::encode(&entries, &[PageId(6)], 8, |_, page| directory = page);
    let mut space = Space::new();
    while space.pages() < 70 {
        assert!(space.allocate().is_ok());
    }
    space.release(PageId(66));
    let mut map = [0; PAGE_BYTES];
    space.encode(&[PageId(7)], 8, |_, page| map = page);
    let mut log_record = Vec::new();
    record::encode(STORE, 0x1234, 0x1200, b"payload", &mut log_record);
    vec![
        ("superblock", superblock().encode().to_vec()),
        ("leaf", leaf.to_vec()),
        ("inner", inner.to_vec()),
        ("overflow", sealed(overflow).to_vec()),
        ("overflow index", sealed(index).to_vec()),
        ("directory", sealed(directory).to_vec()),
        ("map", sealed(map).to_vec()),
        ("segment", record::segment_header(STORE, Lsn(0x1000), None)),
        (
            "next segment",
            record::segment_header(STORE, Lsn(0x9000), LINK),
        ),
        ("record", log_record),
    ]
}

/// Rows of 16 bytes; those of zeros are left out.
fn text(samples: &[(&str, Vec<u8>)]) -> String {
    let mut out = String::new();
    for (name, bytes) in samples {
        let _ = writeln!(out, "{name}, {} bytes", bytes.len());
        for (i, row) in bytes.chunks(16).enumerate() {
            if row.iter().any(|b| *b != 0) {
                let hex: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
                let _ = writeln!(out, "  {:04x}  {}", i * 16, hex.join(" "));
            }
        }
    }
    out
}

/// The bytes of `name` in the golden text.
fn golden(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut found = false;
    for line in GOLDEN.lines() {
        if let Some(row) = line.strip_prefix("  ") {
            if found {
                let at = usize::from_str_radix(&row[..4], 16).unwrap();
                for (i, hex) in row[6..].split(' ').enumerate() {
                    bytes[at + i] = u8::from_str_radix(hex, 16).unwrap();
                }
            }
        } else {
            let (title, length) = line.split_once(", ").unwrap();
            found = title == name;
            if found {
                let n: usize = length.strip_suffix(" bytes").unwrap().parse().unwrap();
                bytes = vec![0; n];
            }
        }
    }
    bytes
}

fn golden_page(name: &str) -> Page {
    golden(name).try_into().unwrap()
}

#[test]
fn what_is_written_is_what_the_golden_bytes_say() {
    let now = text(&samples());
    if let Some(path) = std::env::var_os("GOLDEN_WRITE") {
        std::fs::write(path, &now).unwrap();
    }
    assert!(now == GOLDEN, "the format changed; now it is\n{now}");
}

#[test]
fn the_golden_bytes_are_read() {
    match Superblock::decode(&golden_page("superblock")) {
        Slot::Valid(found) => assert_eq!(found, superblock()),
        _ => panic!("the superblock is not read"),
    }
    for (name, id, kind) in [
        ("leaf", 0x21, Kind::Leaf),
        ("inner", 0x21, Kind::Inner),
        ("overflow", 0x31, Kind::Overflow),
        ("overflow index", 0x31, Kind::OverflowIndex),
        ("directory", 6, Kind::Directory),
        ("map", 7, Kind::Map),
    ] {
        let page = golden_page(name);
        assert_eq!(
            page::verify(&page, PageId(id), STORE).unwrap(),
            kind,
            "{name}"
        );
    }
    let leaf = golden_page("leaf");
    assert_eq!(node::count(&leaf), 2);
    assert_eq!(node::stored(&leaf, 0), Stored::Inline(b"gone"));
    assert_eq!(node::search(&leaf, b"long"), Ok(1));
    match node::stored(&leaf, 1) {
        Stored::Overflow(bytes) => assert_eq!(OverflowRef::decode(bytes), Some(long_value())),
        Stored::Inline(_) => panic!("not a reference"),
    }
    let inner = golden_page("inner");
    assert_eq!(
        node::child(&inner, node::child_for(&inner, b"a")),
        PageId(0x41)
    );
    assert_eq!(
        node::child(&inner, node::child_for(&inner, b"m")),
        PageId(0x42)
    );
    assert_eq!(
        node::child(&inner, node::child_for(&inner, b"z")),
        PageId(0x43)
    );
    let bytes = golden("record");
    let frame = record::frame(&bytes, 0x1234).unwrap();
    assert_eq!((frame.payload, frame.durable), (7, 0x1200));
    assert!(frame.check(STORE, b"payload"));
    let segment = record::parse_segment_header(&golden("segment"));
    assert_eq!(segment, Some((STORE, Lsn(0x1000), None)));
    let segment = record::parse_segment_header(&golden("next segment"));
    assert_eq!(segment, Some((STORE, Lsn(0x9000), LINK)));
}

//! A cursor over stored bytes whose every step is checked, and variable-length integers.

use super::CodecError;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

const SHORT: CodecError = CodecError::Corrupt {
    what: "it ends too early",
};

impl<'a> Reader<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(head)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(SHORT)?;
        self.bytes = rest;
        Ok(*head)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    /// LEB128, at most five bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<usize, CodecError> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value as usize);
            }
        }
        Err(CodecError::Corrupt {
            what: "a length is too long",
        })
    }

    /// A length and so many bytes.
    #[inline]
    pub fn prefixed(&mut self) -> Result<&'a [u8], CodecError> {
        let n = self.varint()?;
        self.take(n)
    }
}

/// `v` < 2^35.
pub(super) fn put_varint(v: usize, out: &mut Vec<u8>) {
    let mut v = v as u64;
    while v >= 0x80 {
        out.push((v as u8) | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

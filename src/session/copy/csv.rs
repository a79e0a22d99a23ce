//! COPY's CSV format.
//!
//! Source: PostgreSQL 15 manual, COPY, "CSV Format".

use super::text::{check_header, extra, missing, utf8};
use super::{Decoder, Reader, Record, of_line};
use sql::CopyOptions;
use types::{Error, Result, SqlState, Value};

pub struct Csv {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: String,
    header: bool,
    header_match: bool,
}

struct RawField {
    bytes: Vec<u8>,
    quoted: bool,
}

impl Csv {
    pub fn new(options: &CopyOptions) -> Csv {
        Csv {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            null: options.null.clone(),
            header: options.header,
            header_match: options.header_match,
        }
    }

    /// The fields of the first record and its length. `None`: its end is not there yet.
    fn split(&self, input: &[u8], last: bool) -> Result<Option<(Vec<RawField>, usize)>> {
        let mut fields = vec![RawField {
            bytes: Vec::new(),
            quoted: false,
        }];
        let mut inside = false;
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            let Some(field) = fields.last_mut() else {
                break;
            };
            if inside {
                let next = input.get(at + 1).copied();
                if byte == self.escape && (next == Some(self.quote) || next == Some(self.escape)) {
                    field.bytes.extend(next);
                    at += 2;
                    continue;
                }
                // An escape at the very end of what has arrived may yet turn out to escape something.
                if byte == self.escape && next.is_none() && !last {
                    return Ok(None);
                }
                if byte == self.quote {
                    inside = false;
                } else {
                    field.bytes.push(byte);
                }
            } else if byte == self.quote {
                inside = true;
                field.quoted = true;
            } else if byte == self.delimiter {
                fields.push(RawField {
                    bytes: Vec::new(),
                    quoted: false,
                });
            } else if byte == b'\n' {
                return Ok(Some((fields, at + 1)));
            } else if byte == b'\r' && matches!(input.get(at + 1), Some(b'\n') | None) {
                if input.len() == at + 1 && !last {
                    return Ok(None);
                }
            } else {
                field.bytes.push(byte);
            }
            at += 1;
        }
        match (last, inside) {
            (true, true) => Err(Error::new(
                SqlState::BAD_COPY_FILE_FORMAT,
                "unterminated CSV quoted field",
            )),
            (true, false) if !input.is_empty() => Ok(Some((fields, input.len()))),
            _ => Ok(None),
        }
    }
}

impl Decoder for Csv {
    fn record(
        &mut self,
        input: &[u8],
        last: bool,
        reader: &Reader,
    ) -> Result<Option<(usize, Record)>> {
        let Some((raw, taken)) = self.split(input, last)? else {
            return Ok(None);
        };
        if let [only] = raw.as_slice()
            && !only.quoted
            && only.bytes == b"\\."
        {
            return Ok(Some((taken, Record::End)));
        }
        if std::mem::replace(&mut self.header, false) {
            if self.header_match {
                let names = raw
                    .iter()
                    .map(|f| utf8(&f.bytes))
                    .collect::<Result<Vec<_>>>()?;
                check_header(names.into_iter(), &reader.fields)
                    .map_err(|e| of_line(e, &input[..taken]))?;
            }
            return Ok(Some((taken, Record::Skip)));
        }
        let mut raw = raw.into_iter();
        let mut values = Vec::with_capacity(reader.fields.len());
        for field in &reader.fields {
            let Some(found) = raw.next() else {
                return Err(of_line(missing(field), &input[..taken]));
            };
            let text = utf8(&found.bytes)?;
            let null =
                text == self.null && !field.never_null && (!found.quoted || field.null_when_quoted);
            values.push(if null {
                Value::Null
            } else {
                reader.value(field, text)?
            });
        }
        if raw.next().is_some() {
            return Err(of_line(extra(), &input[..taken]));
        }
        Ok(Some((taken, Record::Row(values))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::CopyFormat;

    fn split(input: &[u8], last: bool) -> Option<(Vec<(String, bool)>, usize)> {
        let csv = Csv::new(&CopyOptions::of(CopyFormat::Csv));
        let found = csv.split(input, last).unwrap()?;
        let field = |f: RawField| (String::from_utf8(f.bytes).unwrap(), f.quoted);
        Some((found.0.into_iter().map(field).collect(), found.1))
    }

    #[test]
    fn quotes_keep_delimiters_and_line_ends() {
        let (fields, n) = split(b"a,\"b,\"\"c\"\"\nd\",\r\nrest", false).unwrap();
        assert_eq!(
            fields,
            vec![
                ("a".into(), false),
                ("b,\"c\"\nd".into(), true),
                (String::new(), false)
            ]
        );
        assert_eq!(n, 16);
    }

    #[test]
    fn a_record_cut_at_any_byte_waits_for_the_rest() {
        let whole = b"a,\"b\"\"c\",d\n";
        for cut in 0..whole.len() {
            assert!(split(&whole[..cut], false).is_none(), "cut at {cut}");
        }
        assert!(split(whole, false).is_some());
    }
}

//! Rows as COPY TO's text, CSV or binary.

use super::binary::SIGNATURE;
use sql::{CopyFormat, CopyOptions, ForceColumns};
use std::sync::Arc;
use types::{Column, Result, Row, Value};

pub struct Encoder {
    options: CopyOptions,
    columns: Arc<Vec<Column>>,
    forms: types::text::Forms,
    text: String,
}

impl Encoder {
    pub fn new(
        options: &CopyOptions,
        columns: Arc<Vec<Column>>,
        forms: types::text::Forms,
    ) -> Encoder {
        Encoder {
            options: options.clone(),
            columns,
            forms,
            text: String::new(),
        }
    }

    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    pub fn is_binary(&self) -> bool {
        self.options.format == CopyFormat::Binary
    }

    pub fn header(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0; 8]);
        } else if self.options.header {
            for (n, column) in self.columns.iter().enumerate() {
                if n > 0 {
                    out.push(self.options.delimiter);
                }
                match self.options.format {
                    CopyFormat::Csv => self.csv(&column.name, false, out),
                    CopyFormat::Text | CopyFormat::Binary => self.escaped(&column.name, out),
                }
            }
            out.push(b'\n');
        }
    }

    pub fn row(&mut self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        if self.is_binary() {
            return self.binary(row, out);
        }
        let mut text = std::mem::take(&mut self.text);
        for (n, value) in row.iter().enumerate() {
            if n > 0 {
                out.push(self.options.delimiter);
            }
            if value.is_null() {
                out.extend_from_slice(self.options.null.as_bytes());
                continue;
            }
            text.clear();
            types::text::format(value, self.columns[n].ty, &self.forms, &mut text);
            match self.options.format {
                CopyFormat::Csv => self.csv(&text, self.forces_quote(n), out),
                CopyFormat::Text | CopyFormat::Binary => self.escaped(&text, out),
            }
        }
        self.text = text;
        out.push(b'\n');
        Ok(())
    }

    pub fn trailer(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            out.extend_from_slice(&(-1i16).to_be_bytes());
        }
    }

    fn forces_quote(&self, n: usize) -> bool {
        match &self.options.force_quote {
            ForceColumns::None => false,
            ForceColumns::All => true,
            ForceColumns::Columns(names) => names.contains(&self.columns[n].name),
        }
    }

    fn binary(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&(row.len() as i16).to_be_bytes());
        for (value, column) in row.iter().zip(self.columns.iter()) {
            if let Value::Null = value {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            types::binary::encode(value, column.ty, out);
            let len = (out.len() - at - 4) as i32;
            out[at..at + 4].copy_from_slice(&len.to_be_bytes());
        }
        Ok(())
    }

    fn escaped(&self, text: &str, out: &mut Vec<u8>) {
        for byte in text.bytes() {
            let escape = match byte {
                b'\\' => b'\\',
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                b if b == self.options.delimiter => b,
                b => {
                    out.push(b);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', escape]);
        }
    }

    fn csv(&self, text: &str, force: bool, out: &mut Vec<u8>) {
        let o = &self.options;
        let special = |b: u8| b == o.delimiter || b == o.quote || b == b'\n' || b == b'\r';
        let alone = self.columns.len() == 1 && text == "\\.";
        if !(force || text == o.null || alone || text.bytes().any(special)) {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        out.push(o.quote);
        for byte in text.bytes() {
            if byte == o.quote || byte == o.escape {
                out.push(o.escape);
            }
            out.push(byte);
        }
        out.push(o.quote);
    }
}

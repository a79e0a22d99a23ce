//! string_agg, array_agg, json_agg, json_object_agg and those of jsonb: states that grow with their input.
//!
//! Those of json hold how the session writes what they show.

use super::Accumulator;
use super::numbers::{items, state};
use super::simple::bad_state;
use crate::exec::cast;
use crate::exec::functions::natural_type;
use crate::exec::functions::{check_size, json_text_of, to_json};
use std::sync::Arc;
use types::json::write_string;
use types::text::Forms;
use types::{Array, DataType, Error, Json, Result, SqlState, Value};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str, forms: &Forms) -> Option<Box<dyn Accumulator>> {
    Some(match func {
        "string_agg" => Box::new(Join::new(true)),
        "string_agg_bytea" => Box::new(Join::new(false)),
        "json_agg" => Box::new(JsonText::new(Form::Array, forms)),
        "json_object_agg" => Box::new(JsonText::new(Form::Object, forms)),
        "jsonb_agg" => Box::new(JsonArray::new(forms)),
        "jsonb_object_agg" => Box::new(JsonObject::new(forms)),
        _ => return None,
    })
}

/// Values with delimiters between them; the delimiter of the first is used only where another state comes before.
struct Join {
    bytes: Option<Vec<u8>>,
    first: Vec<u8>,
    text: bool,
}

impl Join {
    fn new(text: bool) -> Join {
        Join {
            bytes: None,
            first: Vec::new(),
            text,
        }
    }

    fn append(&mut self, delimiter: &[u8], value: &[u8]) -> Result<()> {
        match &mut self.bytes {
            None => {
                self.bytes = Some(value.to_vec());
                self.first = delimiter.to_vec();
            }
            Some(all) => {
                check_size(all.len() + delimiter.len() + value.len())?;
                all.extend_from_slice(delimiter);
                all.extend_from_slice(value);
            }
        }
        Ok(())
    }

    fn bytes_of(v: &Value) -> Result<&[u8]> {
        match v {
            Value::Null => Ok(&[]),
            Value::Text(s) => Ok(s.as_bytes()),
            Value::Bytea(b) => Ok(b),
            other => Err(bad_state(other)),
        }
    }

    fn value(&self) -> Result<Value> {
        let Some(bytes) = &self.bytes else {
            return Ok(Value::Null);
        };
        if !self.text {
            return Ok(Value::Bytea(bytes.as_slice().into()));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| Error::internal("string_agg of non-UTF-8"))?;
        Ok(text.into())
    }
}

impl Accumulator for Join {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let [value, delimiter] = args else {
            return Err(Error::internal("string_agg takes two arguments"));
        };
        if value.is_null() {
            return Ok(());
        }
        self.append(Join::bytes_of(delimiter)?, Join::bytes_of(value)?)
    }

    fn partial(&self) -> Value {
        match &self.bytes {
            None => Value::Null,
            Some(bytes) => state(vec![
                Value::Bytea(self.first.as_slice().into()),
                Value::Bytea(bytes.as_slice().into()),
            ]),
        }
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let [Value::Bytea(delimiter), Value::Bytea(bytes)] = items(partial)? else {
            return Err(bad_state(partial));
        };
        self.append(delimiter, bytes)
    }

    fn finish(&self) -> Result<Value> {
        self.value()
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.first.capacity() + self.bytes.as_ref().map_or(0, Vec::capacity)
    }
}

/// NULLs included; NULL over no rows.
pub struct ArrayAgg {
    element: DataType,
    items: Vec<Value>,
    bytes: usize,
}

impl ArrayAgg {
    pub fn new(element: DataType) -> ArrayAgg {
        ArrayAgg {
            element,
            items: Vec::new(),
            bytes: 0,
        }
    }
}

impl Accumulator for ArrayAgg {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let v = args.first().cloned().unwrap_or_default();
        self.bytes += v.memory();
        check_size(self.bytes)?;
        self.items.push(v);
        Ok(())
    }

    fn partial(&self) -> Value {
        state(self.items.clone())
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        items(partial)?
            .iter()
            .try_for_each(|v| self.update(std::slice::from_ref(v)))
    }

    fn finish(&self) -> Result<Value> {
        if self.items.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Array(Arc::new(Array {
            element: self.element,
            items: self.items.clone(),
        })))
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

struct JsonArray {
    forms: Forms,
    items: Vec<Json>,
    bytes: usize,
}

impl JsonArray {
    fn new(forms: &Forms) -> JsonArray {
        JsonArray {
            forms: forms.clone(),
            items: Vec::new(),
            bytes: 0,
        }
    }
}

impl Accumulator for JsonArray {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let item = to_json(args.first().unwrap_or(&Value::Null), &self.forms)?;
        self.bytes += item.memory();
        check_size(self.bytes)?;
        self.items.push(item);
        Ok(())
    }

    fn partial(&self) -> Value {
        self.finish().unwrap_or_default()
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let Value::Jsonb(json) = partial else {
            return Err(bad_state(partial));
        };
        let Json::Array(items) = &**json else {
            return Err(bad_state(partial));
        };
        self.bytes += items.iter().map(Json::memory).sum::<usize>();
        check_size(self.bytes)?;
        self.items.extend(items.iter().cloned());
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        if self.items.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Jsonb(Arc::new(Json::Array(self.items.clone()))))
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

struct JsonObject {
    forms: Forms,
    fields: Vec<(String, Json)>,
    bytes: usize,
}

impl JsonObject {
    fn new(forms: &Forms) -> JsonObject {
        JsonObject {
            forms: forms.clone(),
            fields: Vec::new(),
            bytes: 0,
        }
    }
}

impl Accumulator for JsonObject {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let [key, value] = args else {
            return Err(Error::internal("jsonb_object_agg takes two arguments"));
        };
        if key.is_null() {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "field name must not be null",
            ));
        }
        let key = key_text(key, &self.forms);
        let value = to_json(value, &self.forms)?;
        self.bytes += key.len() + value.memory();
        check_size(self.bytes)?;
        self.fields.push((key, value));
        Ok(())
    }

    fn partial(&self) -> Value {
        self.finish().unwrap_or_default()
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let Value::Jsonb(json) = partial else {
            return Err(bad_state(partial));
        };
        let Json::Object(fields) = &**json else {
            return Err(bad_state(partial));
        };
        let bytes = fields.iter().map(|(key, value)| key.len() + value.memory());
        self.bytes += bytes.sum::<usize>();
        check_size(self.bytes)?;
        self.fields.extend(fields.iter().cloned());
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        if self.fields.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Jsonb(Arc::new(Json::object(self.fields.clone()))))
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

/// json_agg and json_object_agg: the text so far, without its last bracket.
struct JsonText {
    forms: Forms,
    form: Form,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Object,
}

impl JsonText {
    fn new(form: Form, forms: &Forms) -> JsonText {
        JsonText {
            forms: forms.clone(),
            form,
            text: String::new(),
        }
    }

    fn open(&self) -> &'static str {
        match self.form {
            Form::Object => "{ ",
            Form::Array => "[",
        }
    }

    fn key(&mut self, key: &Value) -> Result<()> {
        match key {
            Value::Null => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "field name must not be null",
            )),
            Value::Json(_) | Value::Jsonb(_) | Value::Array(_) => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "key value must be scalar, not array, composite, or json",
            )),
            key => {
                write_string(&key_text(key, &self.forms), &mut self.text);
                self.text.push_str(" : ");
                Ok(())
            }
        }
    }
}

impl Accumulator for JsonText {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let first = self.text.is_empty();
        self.text.push_str(if first { self.open() } else { ", " });
        let value = match args {
            [key, value] if self.form == Form::Object => {
                self.key(key)?;
                value
            }
            [value] => value,
            _ => return Err(Error::internal("arguments of json_agg")),
        };
        // Rows and arrays have a line of their own.
        let apart = match self.form {
            Form::Array => matches!(value, Value::Array(_) | Value::Record(_)),
            Form::Object => false,
        };
        if !first && apart {
            self.text.push_str("\n ");
        }
        json_text_of(value, &self.forms, &mut self.text);
        check_size(self.text.len())
    }

    fn partial(&self) -> Value {
        match self.text.strip_prefix(self.open()) {
            Some(members) => members.into(),
            None => Value::Null,
        }
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let members = partial.as_str().ok_or_else(|| bad_state(partial))?;
        let before = if self.text.is_empty() {
            self.open()
        } else {
            ", "
        };
        check_size(self.text.len() + members.len())?;
        self.text.push_str(before);
        self.text.push_str(members);
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        let end = match self.form {
            Form::Object => " }",
            Form::Array => "]",
        };
        Ok(Value::Json(format!("{}{end}", self.text).into()))
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.text.capacity()
    }
}

fn key_text(key: &Value, forms: &Forms) -> String {
    match key {
        Value::Text(s) => s.to_string(),
        other => cast::print_in(other, natural_type(other), forms),
    }
}

//! jsonb: parsed JSON with PostgreSQL's normal form (keys sorted by length then bytes, the last duplicate wins).

use crate::Numeric;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    Array(Vec<Json>),
    /// Sorted by (length, bytes) of the key, keys unique.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Approximate memory in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Json>()
            + match self {
                Json::Null | Json::Bool(_) => 0,
                Json::Number(n) => n.memory(),
                Json::String(s) => s.len(),
                Json::Array(a) => a.iter().map(Json::memory).sum(),
                Json::Object(o) => o.iter().map(|(k, v)| k.len() + 24 + v.memory()).sum(),
            }
    }
}

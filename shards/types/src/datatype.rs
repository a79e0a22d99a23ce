//! SQL types with PostgreSQL's oids, names and lengths.
//!
//! Source: PostgreSQL 15 `pg_type.dat`.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! data_types {
    (
        { $($variant:ident, $oid:literal, $array:ident, $array_oid:literal, $name:literal, $sql:literal, $len:literal, $cat:literal;)* }
        // Behind those of users: variants are on disk by their number.
        later { $($later:ident, $later_oid:literal, $later_array:ident, $later_array_oid:literal, $later_name:literal, $later_sql:literal, $later_len:literal, $later_cat:literal;)* }
    ) => {
        /// A type without its modifier; `varchar(10)` is `Varchar` with a typmod of 14 beside it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub enum DataType {
            $($variant, $array,)*
            /// A user's enum, by the oid of its type.
            Enum(u32),
            /// The array of the enum of this oid, its own being the next.
            EnumArray(u32),
            /// Rows of the relation or type of this oid.
            Composite(u32),
            CompositeArray(u32),
            $($later, $later_array,)*
        }

        #[allow(clippy::len_without_is_empty)]
        impl DataType {
            /// Every type of the system, base type then its array.
            pub const ALL: &'static [DataType] = &[
                $(DataType::$variant, DataType::$array,)*
                $(DataType::$later, DataType::$later_array,)*
            ];

            pub fn oid(self) -> u32 {
                match self {
                    $(DataType::$variant => $oid, DataType::$array => $array_oid,)*
                    DataType::Enum(oid) => oid,
                    DataType::EnumArray(of) => of + 1,
                    DataType::Composite(oid) => oid,
                    DataType::CompositeArray(of) => of | COMPOSITE_ARRAY,
                    $(DataType::$later => $later_oid, DataType::$later_array => $later_array_oid,)*
                }
            }

            /// A type of the system.
            pub fn from_oid(oid: u32) -> Option<DataType> {
                match oid {
                    $($oid => Some(DataType::$variant), $array_oid => Some(DataType::$array),)*
                    $($later_oid => Some(DataType::$later), $later_array_oid => Some(DataType::$later_array),)*
                    _ => None,
                }
            }

            /// `pg_type.typname`; for a user's type only what kind of type it is: its name is in the catalog.
            pub fn name(self) -> &'static str {
                match self {
                    $(DataType::$variant => $name, DataType::$array => concat!("_", $name),)*
                    DataType::Enum(_) => "enum",
                    DataType::EnumArray(_) => "_enum",
                    DataType::Composite(_) => "composite",
                    DataType::CompositeArray(_) => "_composite",
                    $(DataType::$later => $later_name, DataType::$later_array => concat!("_", $later_name),)*
                }
            }

            /// What `format_type` prints of a type of the system. Messages use `Display`, which marks users' types (`marks`).
            pub fn sql_name(self) -> &'static str {
                match self {
                    $(DataType::$variant => $sql, DataType::$array => concat!($sql, "[]"),)*
                    DataType::Enum(_) => "enum",
                    DataType::EnumArray(_) => "enum[]",
                    DataType::Composite(_) => "composite",
                    DataType::CompositeArray(_) => "composite[]",
                    $(DataType::$later => $later_sql, DataType::$later_array => concat!($later_sql, "[]"),)*
                }
            }

            /// `pg_type.typlen`: bytes, -1 for variable.
            pub fn len(self) -> i16 {
                match self {
                    $(DataType::$variant => $len, DataType::$array => -1,)*
                    DataType::Enum(_) => 4,
                    DataType::EnumArray(_) => -1,
                    DataType::Composite(_) | DataType::CompositeArray(_) => -1,
                    $(DataType::$later => $later_len, DataType::$later_array => -1,)*
                }
            }

            /// `pg_type.typcategory`.
            pub fn category(self) -> char {
                match self {
                    $(DataType::$variant => $cat, DataType::$array => 'A',)*
                    DataType::Enum(_) => 'E',
                    DataType::EnumArray(_) => 'A',
                    DataType::Composite(_) => 'C',
                    DataType::CompositeArray(_) => 'A',
                    $(DataType::$later => $later_cat, DataType::$later_array => 'A',)*
                }
            }

            /// The type that the array type is of; see `element`.
            fn listed_element(self) -> Option<DataType> {
                match self {
                    $(DataType::$variant => None, DataType::$array => Some(DataType::$variant),)*
                    DataType::Enum(_) => None,
                    DataType::EnumArray(of) => Some(DataType::Enum(of)),
                    DataType::Composite(_) => None,
                    DataType::CompositeArray(of) => Some(DataType::Composite(of)),
                    $(DataType::$later => None, DataType::$later_array => Some(DataType::$later),)*
                }
            }

            /// The array over this type; `None` for an array.
            pub fn array(self) -> Option<DataType> {
                match self {
                    $(DataType::$variant => Some(DataType::$array), DataType::$array => None,)*
                    DataType::Enum(oid) => Some(DataType::EnumArray(oid)),
                    DataType::EnumArray(_) => None,
                    DataType::Composite(oid) => Some(DataType::CompositeArray(oid)),
                    DataType::CompositeArray(_) => None,
                    $(DataType::$later => Some(DataType::$later_array), DataType::$later_array => None,)*
                }
            }
        }
    };
}

data_types! {
    {
        Bool, 16, BoolArray, 1000, "bool", "boolean", 1, 'B';
        Int2, 21, Int2Array, 1005, "int2", "smallint", 2, 'N';
        Int4, 23, Int4Array, 1007, "int4", "integer", 4, 'N';
        Int8, 20, Int8Array, 1016, "int8", "bigint", 8, 'N';
        Float4, 700, Float4Array, 1021, "float4", "real", 4, 'N';
        Float8, 701, Float8Array, 1022, "float8", "double precision", 8, 'N';
        Numeric, 1700, NumericArray, 1231, "numeric", "numeric", -1, 'N';
        Text, 25, TextArray, 1009, "text", "text", -1, 'S';
        Varchar, 1043, VarcharArray, 1015, "varchar", "character varying", -1, 'S';
        Bpchar, 1042, BpcharArray, 1014, "bpchar", "character", -1, 'S';
        Name, 19, NameArray, 1003, "name", "name", 64, 'S';
        InternalChar, 18, InternalCharArray, 1002, "char", "\"char\"", 1, 'Z';
        Bytea, 17, ByteaArray, 1001, "bytea", "bytea", -1, 'U';
        Date, 1082, DateArray, 1182, "date", "date", 4, 'D';
        Time, 1083, TimeArray, 1183, "time", "time without time zone", 8, 'D';
        Timestamp, 1114, TimestampArray, 1115, "timestamp", "timestamp without time zone", 8, 'D';
        Timestamptz, 1184, TimestamptzArray, 1185, "timestamptz", "timestamp with time zone", 8, 'D';
        Interval, 1186, IntervalArray, 1187, "interval", "interval", 16, 'T';
        Uuid, 2950, UuidArray, 2951, "uuid", "uuid", 16, 'U';
        Jsonb, 3802, JsonbArray, 3807, "jsonb", "jsonb", -1, 'U';
        Oid, 26, OidArray, 1028, "oid", "oid", 4, 'N';
        Regclass, 2205, RegclassArray, 2210, "regclass", "regclass", 4, 'N';
        Regtype, 2206, RegtypeArray, 2211, "regtype", "regtype", 4, 'N';
        Regproc, 24, RegprocArray, 1008, "regproc", "regproc", 4, 'N';
        Regnamespace, 4089, RegnamespaceArray, 4090, "regnamespace", "regnamespace", 4, 'N';
        Unknown, 705, UnknownArray, 4294967295, "unknown", "unknown", -2, 'X';
        Void, 2278, VoidArray, 4294967294, "void", "void", 4, 'P';
        Json, 114, JsonArray, 199, "json", "json", -1, 'U';
        Int2vector, 22, Int2vectorArray, 1006, "int2vector", "int2vector", -1, 'A';
        Oidvector, 30, OidvectorArray, 1013, "oidvector", "oidvector", -1, 'A';
    }
    later {
        Record, 2249, RecordArray, 2287, "record", "record", -1, 'P';
        Regprocedure, 2202, RegprocedureArray, 2207, "regprocedure", "regprocedure", 4, 'N';
        Jsonpath, 4072, JsonpathArray, 4073, "jsonpath", "jsonpath", -1, 'U';
        Inet, 869, InetArray, 1041, "inet", "inet", -1, 'I';
        Cidr, 650, CidrArray, 651, "cidr", "cidr", -1, 'I';
        Macaddr, 829, MacaddrArray, 1040, "macaddr", "macaddr", 6, 'U';
        Macaddr8, 774, Macaddr8Array, 775, "macaddr8", "macaddr8", 8, 'U';
    }
}

/// An array of rows has the oid of their type with this bit.
pub const COMPOSITE_ARRAY: u32 = 1 << 30;

/// Other spellings that SQL or `format_type` use.
const SPELLINGS: &[(&str, DataType)] = &[
    ("int", DataType::Int4),
    ("float", DataType::Float8),
    ("decimal", DataType::Numeric),
    ("dec", DataType::Numeric),
    ("char", DataType::Bpchar),
    ("time", DataType::Time),
    ("timestamp", DataType::Timestamp),
];

impl DataType {
    /// By `typname` or SQL name, `[]` for arrays; in lower case. `"char"` in quotes is the internal type.
    pub fn by_name(name: &str) -> Option<DataType> {
        if let Some(element) = name.strip_suffix("[]") {
            return DataType::by_name(element.trim_end())?.array();
        }
        let spelling = SPELLINGS.iter().find(|(s, _)| *s == name).map(|s| s.1);
        spelling.or_else(|| {
            let mut all = DataType::ALL.iter();
            all.find(|t| t.sql_name() == name || t.name() == name)
                .copied()
        })
    }

    /// The element type of an array, of the vectors in system tables too.
    pub fn element(self) -> Option<DataType> {
        match self {
            DataType::Int2vector => Some(DataType::Int2),
            DataType::Oidvector => Some(DataType::Oid),
            other => other.listed_element(),
        }
    }

    /// The oid of the user's type that it is, or is an array of.
    pub fn user_oid(self) -> Option<u32> {
        match self {
            DataType::Enum(oid)
            | DataType::EnumArray(oid)
            | DataType::Composite(oid)
            | DataType::CompositeArray(oid) => Some(oid),
            _ => None,
        }
    }

    /// Its values are names of something in the catalog, so only who has that can read them.
    pub fn is_named(self) -> bool {
        self.is_reg() || self.user_oid().is_some()
    }

    /// Its values are rows.
    pub fn is_record(self) -> bool {
        matches!(self, DataType::Record | DataType::Composite(_))
    }

    /// Its values are rows, or arrays of them.
    pub fn has_records(self) -> bool {
        self.listed_element().unwrap_or(self).is_record()
    }

    /// An array that is written as its items with blanks between them.
    pub fn is_vector(self) -> bool {
        matches!(self, DataType::Int2vector | DataType::Oidvector)
    }

    pub fn is_integer(self) -> bool {
        matches!(self, DataType::Int2 | DataType::Int4 | DataType::Int8)
    }

    pub fn is_number(self) -> bool {
        self.is_integer()
            || matches!(
                self,
                DataType::Float4 | DataType::Float8 | DataType::Numeric
            )
    }

    pub fn is_string(self) -> bool {
        matches!(
            self,
            DataType::Text | DataType::Varchar | DataType::Bpchar | DataType::Name
        )
    }

    pub fn is_array(self) -> bool {
        self.element().is_some()
    }

    /// Whether its values have an order, and so an equality.
    pub fn is_ordered(self) -> bool {
        !matches!(
            self,
            DataType::Void
                | DataType::Json
                | DataType::JsonArray
                | DataType::Jsonpath
                | DataType::JsonpathArray
        )
    }

    /// An oid alias: stored as an oid, shown as a name.
    pub fn is_reg(self) -> bool {
        matches!(
            self,
            DataType::Regclass
                | DataType::Regtype
                | DataType::Regproc
                | DataType::Regnamespace
                | DataType::Regprocedure
        )
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Enum(oid) | DataType::Composite(oid) => crate::marks::of_type(*oid, f),
            DataType::EnumArray(oid) | DataType::CompositeArray(oid) => {
                crate::marks::of_type(*oid, f)?;
                f.write_str("[]")
            }
            known => f.write_str(known.sql_name()),
        }
    }
}

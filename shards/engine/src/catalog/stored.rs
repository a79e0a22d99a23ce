//! The catalog on disk: one tree of partition 0.
//!
//! Owns: that tree's keys and values (docs/format.md). `[0]` holds the header; a kind's number and an oid big-endian hold one
//! object of the first database, and the same after 11 and a database's oid one of another. Each value begins with the number of its form and goes on with the object, postcard-encoded. Values of the first
//! form (`first`) had no number; they are told apart by their first byte, and written anew when their object changes.
//! Versions and recovery are those of any other tree, so a change of the catalog commits together with the rows of its
//! transaction.

mod first;
mod older;

use super::databases;
use super::objects::{CommentKey, Language};
use super::{
    Catalog, Catalogs, Database, Databases, Extension, Function, Table, TableKind, Trigger,
    UserType, View, kept,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId, TreeId};

/// The catalog's tree.
pub const TREE: TreeId = TreeId(1);
/// The tree of sequences' states, in the partition of each.
pub const SEQUENCES: TreeId = TreeId(2);
/// What its locks are taken under; no table has this number.
pub const TABLE: TableId = TableId(0);
/// First tree a table or index may have; below it are the system's.
pub const FIRST_USER_TREE: TreeId = TreeId(super::model::FIRST_USER_OID);

/// The header's key.
pub const HEADER: &[u8] = &[0];

/// The form that is written. The first form of a table begins with its oid, which as a varint has its top bit set; the first
/// form of a header begins with a version, which is never 0.
const FORM: u8 = 2;

/// That of functions: versions that know none read the other forms alone. In the third form all were in SQL, in the fourth all were bound
/// when they were made (`older`).
const FUNCTION_FORM: u8 = 5;
/// The same of a function that is SECURITY DEFINER.
const FUNCTION_FORM_DEFINER: u8 = 6;
/// The same of what versions before it cannot call: functions in PL/pgSQL that no trigger calls, procedures, and VARIADIC.
const FUNCTION_FORM_PROGRAM: u8 = 7;
const FUNCTION_FORM_PROGRAM_DEFINER: u8 = 8;
const FUNCTION_FORM_BOUND: u8 = 4;
const FUNCTION_FORM_OF_SQL: u8 = 3;

/// That of triggers: in the fourth form all were of rows, before it there were none.
const TRIGGER_FORM: u8 = 5;
const TRIGGER_FORM_OF_ROWS: u8 = 4;

/// That of views, whose text has marks (`kept`) and whose columns may be updatable, and of materialized views whose text has marks.
const VIEW_FORM: u8 = 9;

/// That of databases: versions before it know one.
const DATABASE_FORM: u8 = 5;

/// That of composite types: columns of them have a type that versions before it do not know.
const COMPOSITE_FORM: u8 = 6;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u64,
    next_oid: u32,
}

/// What has a cell of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// With its statistics.
    Table(TableId),
    Schema(u32),
    View(TableId),
    Sequence(TableId),
    Type(u32),
    Function(u32),
    Trigger(u32),
    Comment(CommentKey),
    /// With its functions, which have none.
    Extension(u32),
    /// That an index of this oid is not valid.
    InvalidIndex(TableId),
    /// That foreign keys are not looked at for this table.
    KeysOff(TableId),
    /// Of the node, as are all of them once one has changed.
    Database(u32),
}

/// A key, and its value unless it is to go.
pub type Cell = (Vec<u8>, Option<Vec<u8>>);

const TABLES: u8 = 1;
const STATISTICS: u8 = 2;
const SCHEMAS: u8 = 3;
const VIEWS: u8 = 4;
const SEQUENCE_DEFINITIONS: u8 = 5;
const TYPES: u8 = 6;
const FUNCTIONS: u8 = 7;
const COMMENTS: u8 = 8;
const TRIGGERS: u8 = 9;
const DATABASES: u8 = 10;
/// Before the oid of a database and the key of an object in it.
const IN_DATABASE: u8 = 11;
const INVALID_INDEXES: u8 = 12;
const KEYS_OFF: u8 = 13;
/// Versions before them do not read a catalog that has one.
const EXTENSIONS: u8 = 14;

/// The cells a change writes: the header, each changed object (one that the catalog has not is gone), and those of a database
/// that goes.
pub fn encode(catalog: &Catalog, changed: &[Object]) -> Result<Vec<Cell>> {
    let header = Header {
        version: catalog.version,
        next_oid: catalog.next_oid,
    };
    let mut value = vec![0];
    value.extend(to_form(&header)?);
    let mut cells = vec![(HEADER.to_vec(), Some(value))];
    cells.extend(cells_of(catalog, changed)?);
    Ok(cells)
}

/// What takes away everything that a database has.
pub fn erase(catalog: &Catalog) -> Result<Vec<Cell>> {
    let cells = cells_of(catalog, &catalog.objects())?;
    Ok(cells.into_iter().map(|(key, _)| (key, None)).collect())
}

fn cells_of(catalog: &Catalog, changed: &[Object]) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for object in changed {
        match object {
            Object::Table(id) => {
                let table = catalog.tables.get(id);
                let value = table.map(|t| of_number(table_form(t), &**t));
                cells.push((key(TABLES, id.0), value.transpose()?));
                let statistics = catalog.statistics.get(id);
                if statistics.is_some() || table.is_none() {
                    let value = statistics.map(|s| to_bytes(&**s)).transpose()?;
                    cells.push((key(STATISTICS, id.0), value));
                }
                if table.is_none() {
                    cells.push((key(KEYS_OFF, id.0), None));
                }
            }
            Object::Schema(oid) => cells.push(cell(SCHEMAS, *oid, catalog.schemas.get(oid))?),
            Object::View(id) => cells.push(view_cell(catalog, *id)?),
            Object::Sequence(id) => {
                let sequence = catalog.sequences.get(id);
                cells.push(cell(SEQUENCE_DEFINITIONS, id.0, sequence)?);
            }
            Object::Type(oid) => {
                let ty = catalog.types.get(oid).map(type_cell).transpose()?;
                cells.push((key(TYPES, *oid), ty));
            }
            Object::Function(oid) => {
                let function = catalog.functions.get(oid).filter(|f| !f.is_built_in());
                let value = function
                    .map(|f| of_number(function_form(f), &**f))
                    .transpose()?;
                cells.push((key(FUNCTIONS, *oid), value));
            }
            Object::Trigger(oid) => {
                let trigger = catalog.trigger(*oid);
                let value = trigger.map(|t| of_number(TRIGGER_FORM, &**t)).transpose()?;
                cells.push((key(TRIGGERS, *oid), value));
            }
            Object::Comment(of) => {
                let text = catalog.comments.get(of);
                let value = text.map(|t| to_form(&**t)).transpose()?;
                cells.push((comment_key(of), value));
            }
            Object::Extension(oid) => {
                cells.push(cell(EXTENSIONS, *oid, catalog.extensions.get(oid))?);
            }
            Object::InvalidIndex(id) => cells.push(invalid_cell(catalog, *id)?),
            Object::KeysOff(id) => {
                let off = catalog.tables.get(id).filter(|t| t.keys_off);
                let value = off.map(|t| to_form(&t.id.0)).transpose()?;
                cells.push((key(KEYS_OFF, id.0), value));
            }
            Object::Database(oid) => {
                let database = catalog.databases.get(*oid);
                let value = database.map(|d| of_number(DATABASE_FORM, &**d));
                cells.push((key(DATABASES, *oid), value.transpose()?));
            }
        }
    }
    if catalog.database != databases::FIRST_OID {
        let within = key(IN_DATABASE, catalog.database);
        let of_object = |(key, _): &&mut Cell| key.first() != Some(&DATABASES);
        for (key, _) in cells.iter_mut().filter(of_object) {
            *key = [&within[..], key].concat();
        }
    }
    Ok(cells)
}

fn view_cell(catalog: &Catalog, id: TableId) -> Result<Cell> {
    let view = catalog.views.get(&id);
    let value = view.map(|v| of_number(VIEW_FORM, &**v));
    Ok((key(VIEWS, id.0), value.transpose()?))
}

fn invalid_cell(catalog: &Catalog, id: TableId) -> Result<Cell> {
    let of = |t: &&Arc<Table>| t.indexes.iter().any(|i| i.id == id && i.invalid);
    let table = catalog.tables.values().find(of);
    let value = table.map(|t| to_form(&t.id.0)).transpose()?;
    Ok((key(INVALID_INDEXES, id.0), value))
}

fn type_cell(ty: &Arc<UserType>) -> Result<Vec<u8>> {
    match ty.data_type().is_record() {
        true => of_number(COMPOSITE_FORM, &**ty),
        false => to_form(&**ty),
    }
}

fn cell<T: Serialize>(kind: u8, oid: u32, object: Option<&Arc<T>>) -> Result<Cell> {
    Ok((key(kind, oid), object.map(|o| to_form(&**o)).transpose()?))
}

/// Reads the databases' catalogs back from their live cells.
pub fn decode(
    partitions: u16,
    cells: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
) -> Result<Catalogs> {
    let blank = Catalog::empty(partitions);
    let mut head = Header {
        version: blank.version,
        next_oid: blank.next_oid,
    };
    let mut known = Databases::default();
    let mut all: BTreeMap<u32, Catalog> = BTreeMap::new();
    for (key, value) in cells {
        let (kind, rest) = split(&key)?;
        match kind {
            0 => head = header(&value)?,
            DATABASES => known.put(form::<Database>(&value, DATABASE_FORM)?),
            IN_DATABASE => {
                let (database, inner) = rest
                    .split_at_checked(4)
                    .ok_or_else(|| corrupt("unknown key"))?;
                let catalog = all.entry(oid(database)?);
                let (kind, rest) = split(inner)?;
                read(catalog.or_insert_with(|| blank.clone()), kind, rest, &value)?;
            }
            _ => {
                let catalog = all.entry(databases::FIRST_OID);
                read(catalog.or_insert_with(|| blank.clone()), kind, rest, &value)?;
            }
        }
    }
    // Where databases were never stored, the first one's comment is among those in it.
    let said = CommentKey {
        class: super::system::class_oid("pg_database"),
        object: databases::FIRST_OID,
        column: 0,
    };
    let first = all.get_mut(&databases::FIRST_OID);
    let said = first.and_then(|c| c.comments.remove(&said));
    if known.is_empty() {
        known = Databases::first();
        let first = Database::new(databases::FIRST_OID, databases::FIRST);
        let comment = said.map(|text| text.to_string());
        known.put(Database { comment, ..first });
    }
    for database in known.iter() {
        all.entry(database.oid).or_insert_with(|| blank.clone());
    }
    if all.keys().any(|oid| known.get(*oid).is_none()) {
        return Err(corrupt("it has objects of a database that there is not"));
    }
    Ok(Catalogs::read(head.version, head.next_oid, known, all))
}

fn split(key: &[u8]) -> Result<(u8, &[u8])> {
    let (kind, rest) = key.split_first().ok_or_else(|| corrupt("unknown key"))?;
    Ok((*kind, rest))
}

/// One object of a database.
fn read(catalog: &mut Catalog, kind: u8, rest: &[u8], value: &[u8]) -> Result<()> {
    match kind {
        TABLES => {
            let table = table(value)?;
            catalog.tables.insert(table.id, Arc::new(table));
        }
        STATISTICS => {
            let id = TableId(oid(rest)?);
            catalog.statistics.insert(id, Arc::new(from_bytes(value)?));
        }
        SCHEMAS => {
            catalog.schemas.insert(oid(rest)?, object(value)?);
        }
        VIEWS => {
            let view: View = match value.first() {
                Some(&FORM) => of_form::<older::SecondView>(value)?.into(),
                _ => form(value, VIEW_FORM)?,
            };
            catalog.views.insert(TableId(oid(rest)?), Arc::new(view));
        }
        SEQUENCE_DEFINITIONS => {
            let id = TableId(oid(rest)?);
            catalog.sequences.insert(id, object(value)?);
        }
        TYPES => {
            let ty: UserType = match value.first() {
                Some(&COMPOSITE_FORM) => form(value, COMPOSITE_FORM)?,
                _ => of_form(value)?,
            };
            catalog.types.insert(oid(rest)?, Arc::new(ty));
        }
        FUNCTIONS => {
            let function = function(value)?;
            catalog.functions.insert(oid(rest)?, Arc::new(function));
        }
        TRIGGERS => {
            let trigger = trigger(value)?;
            let key = (trigger.table, trigger.name.clone());
            catalog.triggers.insert(key, Arc::new(trigger));
        }
        EXTENSIONS => catalog.put_extension(extension(value)?),
        INVALID_INDEXES => {
            // Tables come before.
            let table = TableId(of_form(value)?);
            let index = TableId(oid(rest)?);
            let table = catalog.tables.get_mut(&table).map(Arc::make_mut);
            let mut indexes = table.into_iter().flat_map(|t| &mut t.indexes);
            let index = indexes.find(|i| i.id == index);
            let index = index.ok_or_else(|| corrupt("an index that there is not is not valid"))?;
            Arc::make_mut(index).invalid = true;
        }
        KEYS_OFF => {
            // Tables come before.
            let table = TableId(of_form(value)?);
            let table = catalog.tables.get_mut(&table).map(Arc::make_mut);
            let table = table.ok_or_else(|| corrupt("a table that there is not has no keys"))?;
            table.keys_off = true;
        }
        COMMENTS => {
            let text: Arc<String> = object(value)?;
            catalog
                .comments
                .insert(comment_of(rest)?, text.as_str().into());
        }
        _ => return Err(corrupt("unknown key")),
    }
    Ok(())
}

/// The version in a header.
pub fn version(value: &[u8]) -> Result<u64> {
    header(value).map(|h| h.version)
}

fn header(value: &[u8]) -> Result<Header> {
    match value {
        [0, rest @ ..] => of_form(rest),
        first => from_bytes(first),
    }
}

fn table(value: &[u8]) -> Result<Table> {
    match value.first() {
        Some(first) if first & 0x80 != 0 => Ok(from_bytes::<first::Table>(value)?.into()),
        Some(&VIEW_FORM) => form(value, VIEW_FORM),
        _ => of_form(value),
    }
}

fn table_form(t: &Table) -> u8 {
    match &t.kind {
        TableKind::Materialized { query, .. } if !kept::can_be_marked(&query.sql) => VIEW_FORM,
        _ => FORM,
    }
}

fn function(value: &[u8]) -> Result<Function> {
    match value.first() {
        Some(&FUNCTION_FORM_OF_SQL) => {
            let old: older::ThirdFunction = form(value, FUNCTION_FORM_OF_SQL)?;
            Ok(older::FourthFunction::from(old).into())
        }
        Some(&FUNCTION_FORM_BOUND) => {
            let old: older::FourthFunction = form(value, FUNCTION_FORM_BOUND)?;
            Ok(old.into())
        }
        Some(&FUNCTION_FORM) => form(value, FUNCTION_FORM),
        Some(&FUNCTION_FORM_PROGRAM) => form(value, FUNCTION_FORM_PROGRAM),
        Some(&FUNCTION_FORM_PROGRAM_DEFINER) => Ok(Function {
            definer: true,
            ..form(value, FUNCTION_FORM_PROGRAM_DEFINER)?
        }),
        _ => Ok(Function {
            definer: true,
            ..form(value, FUNCTION_FORM_DEFINER)?
        }),
    }
}

fn function_form(f: &Function) -> u8 {
    let program = !matches!(f.language, Language::Sql | Language::OfTriggers);
    let variadic = f.written.iter().any(|w| w.mode == 'v');
    match (program || variadic, f.definer) {
        (false, false) => FUNCTION_FORM,
        (false, true) => FUNCTION_FORM_DEFINER,
        (true, false) => FUNCTION_FORM_PROGRAM,
        (true, true) => FUNCTION_FORM_PROGRAM_DEFINER,
    }
}

fn extension(value: &[u8]) -> Result<Extension> {
    let extension: Extension = of_form(value)?;
    match super::extensions::known(&extension.name) {
        Some(_) => Ok(extension),
        None => Err(corrupt(&format!(
            "it has the extension \"{}\", which this version does not know",
            extension.name
        ))),
    }
}

fn trigger(value: &[u8]) -> Result<Trigger> {
    match value.first() {
        Some(&TRIGGER_FORM_OF_ROWS) => {
            let old: older::FourthTrigger = form(value, TRIGGER_FORM_OF_ROWS)?;
            Ok(old.into())
        }
        _ => form(value, TRIGGER_FORM),
    }
}

fn object<T: for<'a> Deserialize<'a>>(value: &[u8]) -> Result<Arc<T>> {
    of_form(value).map(Arc::new)
}

fn key(kind: u8, oid: u32) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&oid.to_be_bytes());
    key
}

fn oid(rest: &[u8]) -> Result<u32> {
    let bytes = rest.try_into().map_err(|_| corrupt("unknown key"))?;
    Ok(u32::from_be_bytes(bytes))
}

fn comment_key(of: &CommentKey) -> Vec<u8> {
    let mut key = key(COMMENTS, of.class);
    key.extend_from_slice(&of.object.to_be_bytes());
    key.extend_from_slice(&of.column.to_be_bytes());
    key
}

fn comment_of(rest: &[u8]) -> Result<CommentKey> {
    let word = |n: usize| {
        rest.get(4 * n..4 * n + 4)
            .ok_or_else(|| corrupt("unknown key"))
    };
    Ok(CommentKey {
        class: oid(word(0)?)?,
        object: oid(word(1)?)?,
        column: oid(word(2)?)? as i32,
    })
}

fn to_form<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    of_number(FORM, value)
}

fn of_number<T: Serialize + ?Sized>(form: u8, value: &T) -> Result<Vec<u8>> {
    let mut out = vec![form];
    out.extend(to_bytes(value)?);
    Ok(out)
}

fn of_form<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T> {
    form(value, FORM)
}

/// A value of the form that its kind is written in.
fn form<'a, T: Deserialize<'a>>(value: &'a [u8], own: u8) -> Result<T> {
    match value.split_first() {
        Some((form, rest)) if *form == own => from_bytes(rest),
        Some((form, _)) if *form > own => Err(Error::new(
            SqlState::DATA_CORRUPTED,
            format!(
                "the catalog has an entry of form {form}, which a later version wrote; this one reads forms up to {own}"
            ),
        )),
        _ => Err(corrupt("an entry of no form")),
    }
}

fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|e| Error::internal(format!("catalog entry not encoded: {e}")))
}

fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| corrupt(&e.to_string()))
}

fn corrupt(what: &str) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("the catalog cannot be read: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `tests/it/format.rs` wrote it when there was no other form.
    const FIRST: &str = include_str!("../../../../tests/format/catalog1.txt");

    fn golden(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = |hex: &str| -> Vec<u8> {
            let byte = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        let mut cells: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("  ") {
                Some(run) => cells.last_mut().unwrap().1.extend(bytes(run)),
                None => cells.push((bytes(line), Vec::new())),
            }
        }
        // The store's own byte before each payload: 1, it is not a deletion.
        let payload = |(key, value): (Vec<u8>, Vec<u8>)| {
            assert_eq!(value.first(), Some(&1));
            (key, value[1..].to_vec())
        };
        cells.into_iter().map(payload).collect()
    }

    /// The first database of what these cells say.
    fn first(cells: Vec<(Vec<u8>, Vec<u8>)>) -> Catalog {
        let all = decode(1, cells.into_iter()).unwrap();
        assert_eq!(**all.databases(), Databases::first());
        Catalog::clone(all.of(databases::FIRST_OID).unwrap())
    }

    #[test]
    fn a_catalog_of_the_first_form_is_read_and_written_in_the_form_of_today() {
        let catalog = first(golden(FIRST));
        let one = catalog.table_by_name(None, "one").unwrap().clone();
        let names: Vec<&str> = one.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            ["id", "name", "price", "kind", "made", "tags", "data", "n"]
        );
        let numbers: Vec<i16> = one.columns.iter().map(|c| c.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(one.primary_key, [0]);
        assert_eq!(
            (one.indexes[0].columns(), one.indexes[0].unique),
            (Some(vec![1, 7]), true)
        );
        assert_eq!(one.checks.len(), 3);
        assert_eq!(catalog.statistics.len(), 1);
        let changed: Vec<Object> = catalog.tables.keys().map(|t| Object::Table(*t)).collect();
        let cells = encode(&catalog, &changed).unwrap();
        let again = first(cells.into_iter().map(|(k, v)| (k, v.unwrap())).collect());
        assert_eq!(format!("{catalog:?}"), format!("{again:?}"));
    }

    /// As `tests/it/format.rs` wrote it when all functions were in SQL.
    const THIRD: &str = include_str!("../../../../tests/format/catalog3.txt");

    #[test]
    fn functions_of_the_third_form_are_in_sql_and_are_written_in_the_form_of_today() {
        let catalog = first(golden(THIRD));
        let mut names: Vec<&str> = catalog
            .functions
            .values()
            .map(|f| f.name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["all_t", "one", "rows_of"]);
        assert!(catalog.functions.values().all(|f| !f.is_of_triggers()));
        let changed: Vec<Object> = catalog
            .functions
            .keys()
            .map(|f| Object::Function(*f))
            .collect();
        let cells = encode(&catalog, &changed).unwrap();
        assert!(
            cells
                .iter()
                .skip(1)
                .all(|(_, v)| v.as_ref().unwrap()[0] == FUNCTION_FORM)
        );
        let again = first(cells.into_iter().map(|(k, v)| (k, v.unwrap())).collect());
        assert_eq!(
            format!("{:?}", catalog.functions),
            format!("{:?}", again.functions)
        );
    }

    /// As `tests/it/format.rs` wrote it when functions had no settings, and triggers were of rows.
    const FOURTH: &str = include_str!("../../../../tests/format/catalog4.txt");

    #[test]
    fn functions_and_triggers_of_the_fourth_form_are_text_and_of_rows() {
        let catalog = first(golden(FOURTH));
        let named = |name: &str| catalog.functions.values().find(|f| f.name == name).unwrap();
        assert!(named("stamp").is_of_triggers());
        let all = named("all_t");
        assert_eq!(all.body.sql, "select * from t");
        assert!(!all.fixed && all.body.path.is_empty());
        assert_eq!(all.body.reads.len(), 1, "its row type");
        assert_eq!(all.body.uses, [all.body.reads[0].relation.0]);
        assert!(catalog.triggers.values().all(|t| !t.statement));
        assert_eq!(catalog.triggers.len(), 2);
    }

    /// As `tests/it/format.rs` wrote it when it was not known which columns of views can be assigned to.
    const FIFTH: &str = include_str!("../../../../tests/format/catalog5.txt");

    #[test]
    fn views_of_the_second_form_are_read_and_are_written_in_the_form_of_today() {
        let all = decode(1, golden(FIFTH).into_iter()).unwrap();
        let inside = all.databases().named("d").unwrap().oid;
        let catalog = all.of(inside).unwrap();
        let view = catalog.views.values().next().unwrap();
        assert_eq!((view.name.as_str(), view.columns.len()), ("v", 1));
        assert!(!view.is_updatable() && view.check.is_none());
        assert_eq!(view.query.sql, "select id from app.t");
        let cells = encode(catalog, &[Object::View(view.id)]).unwrap();
        let (_, value) = &cells[1];
        let value = value.as_ref().unwrap();
        assert_eq!(value[0], VIEW_FORM);
        assert_eq!(form::<View>(value, VIEW_FORM).unwrap(), **view);
    }

    #[test]
    fn a_table_without_keys_is_so_when_the_catalog_is_read_again() {
        let mut off = first(golden(FOURTH));
        let (id, table) = off.tables.iter_mut().next().unwrap();
        Arc::make_mut(table).keys_off = true;
        let id = *id;
        let all = |catalog: &Catalog| encode(catalog, &catalog.objects()).unwrap();
        let live = |cells: Vec<Cell>| cells.into_iter().filter_map(|(k, v)| Some((k, v?)));
        let again = first(live(all(&off)).collect());
        assert!(again.tables[&id].keys_off);
        assert_eq!(again.tables.values().filter(|t| t.keys_off).count(), 1);
        let mut gone = Catalog::clone(&again);
        gone.tables.remove(&id);
        let cells = encode(&gone, &[Object::Table(id)]).unwrap();
        assert!(cells.contains(&(key(KEYS_OFF, id.0), None)));
    }

    #[test]
    fn databases_come_back_each_with_its_own_and_the_comment_of_an_older_form() {
        let said = CommentKey {
            class: super::super::system::class_oid("pg_database"),
            object: databases::FIRST_OID,
            column: 0,
        };
        let mut older = Catalog::empty(1);
        older.comments.insert(said, "said".into());
        let cells = encode(&older, &[Object::Comment(said)]).unwrap();
        let live = |cells: Vec<Cell>| cells.into_iter().filter_map(|(k, v)| Some((k, v?)));
        let all = decode(1, live(cells)).unwrap();
        let first = all.of(databases::FIRST_OID).unwrap();
        assert!(first.comments.is_empty());
        let comment = |all: &Catalogs| all.databases().named("rustydb").unwrap().comment.clone();
        assert_eq!(comment(&all).as_deref(), Some("said"));
        let mut own = Catalog::clone(first);
        let mut known = Databases::clone(&own.databases);
        known.put(Database::new(20_000, "d"));
        own.databases = Arc::new(known);
        let changed: Vec<Object> = own
            .databases
            .iter()
            .map(|d| Object::Database(d.oid))
            .collect();
        let mut cells = encode(&own, &changed).unwrap();
        let all = all.with(Arc::new(own));
        let mut inside = Catalog::clone(&all.base(20_000).unwrap());
        let schema = super::super::Schema {
            oid: 20_001,
            name: "app".into(),
            temporary: false,
        };
        inside.schemas.insert(20_001, Arc::new(schema));
        cells.extend(encode(&inside, &[Object::Schema(20_001)]).unwrap());
        let again = decode(1, live(cells.clone())).unwrap();
        assert_eq!(again.databases().len(), 5);
        assert_eq!(comment(&again).as_deref(), Some("said"));
        assert!(again.of(20_000).unwrap().schema_oid("app").is_some());
        assert!(again.of(databases::FIRST_OID).unwrap().has_nothing());
        let gone = erase(&inside).unwrap();
        cells.retain(|(key, _)| gone.iter().all(|(gone, _)| gone != key));
        let again = decode(1, live(cells)).unwrap();
        assert!(again.of(20_000).unwrap().has_nothing());
    }

    #[test]
    fn a_form_of_the_future_is_refused() {
        let e = decode(1, [(HEADER.to_vec(), vec![0, FORM + 1, 1, 1])].into_iter());
        assert!(e.unwrap_err().message().contains("later version"));
    }
}

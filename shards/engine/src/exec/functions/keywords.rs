//! PostgreSQL's keywords, and what each may be used as.
//!
//! Owns: the words of version 15 by their category, and whether one may be a column's label without AS. Asked by: `quote_identifier`, and
//! `pg_get_keywords`, by which drivers and tools know what they have to quote. Never: decides what is parsed here.
//! Source: PostgreSQL 15, appendix C.

use hashbrown::HashMap;
use std::sync::LazyLock;
use types::{Row, Value};

/// `pg_get_keywords.catcode`, and what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Category {
    Unreserved,
    /// Not the name of a function or type.
    ColumnName,
    /// May be the name of a function or type.
    TypeName,
    Reserved,
}

impl Category {
    fn code(self) -> &'static str {
        match self {
            Category::Unreserved => "U",
            Category::ColumnName => "C",
            Category::TypeName => "T",
            Category::Reserved => "R",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Category::Unreserved => "unreserved",
            Category::ColumnName => "unreserved (cannot be function or type name)",
            Category::TypeName => "reserved (can be function or type name)",
            Category::Reserved => "reserved",
        }
    }
}

/// None for what is no keyword.
pub(super) fn category(word: &str) -> Option<Category> {
    static ALL: LazyLock<HashMap<&str, Category>> = LazyLock::new(|| {
        let each = WORDS.iter().flat_map(|(category, _, words)| {
            words.split_whitespace().map(|word| (word, *category))
        });
        each.collect()
    });
    ALL.get(word).copied()
}

/// Rows of `pg_get_keywords`, by word.
pub(super) fn rows() -> Vec<Row> {
    let mut out: Vec<(&str, Row)> = Vec::new();
    for (category, bare, words) in WORDS {
        let label = match bare {
            true => "can be bare label",
            false => "requires AS",
        };
        for word in words.split_whitespace() {
            let row = vec![
                Value::from(word),
                category.code().into(),
                Value::Bool(*bare),
                category.description().into(),
                label.into(),
            ];
            out.push((word, row));
        }
    }
    out.sort_unstable_by_key(|(word, _)| *word);
    out.into_iter().map(|(_, row)| row).collect()
}

/// With each category, whether a column's label may be one of the words without AS.
static WORDS: &[(Category, bool, &str)] = &[
    (
        Category::Unreserved,
        true,
        "abort absolute access action add admin after aggregate also alter always asensitive assertion assignment at \
         atomic attach attribute backward before begin breadth by cache call called cascade cascaded catalog chain \
         characteristics checkpoint class close cluster columns comment comments commit committed compression \
         configuration conflict connection constraints content continue conversion copy cost csv cube current cursor \
         cycle data database deallocate declare defaults deferred definer delete delimiter delimiters depends depth \
         detach dictionary disable discard document domain double drop each enable encoding encrypted enum escape event \
         exclude excluding exclusive execute explain expression extension external family finalize first following \
         force forward function functions generated global granted groups handler header hold identity if immediate \
         immutable implicit import include including increment index indexes inherit inherits inline input insensitive \
         insert instead invoker isolation key label language large last leakproof level listen load local location lock \
         locked logged mapping match matched materialized maxvalue merge method minvalue mode move name names new next \
         nfc nfd nfkc nfkd no normalized nothing notify nowait nulls object of off oids old operator option options \
         ordinality others overriding owned owner parallel parameter parser partial partition passing password plans \
         policy preceding prepare prepared preserve prior privileges procedural procedure procedures program \
         publication quote range read reassign recheck recursive ref referencing refresh reindex relative release \
         rename repeatable replace replica reset restart restrict return returns revoke role rollback rollup routine \
         routines rows rule savepoint schema schemas scroll search security sequence sequences serializable server \
         session set sets share show simple skip snapshot sql stable standalone start statement statistics stdin stdout \
         storage stored strict strip subscription support sysid system tables tablespace temp template temporary text \
         ties transaction transform trigger truncate trusted type types uescape unbounded uncommitted unencrypted \
         unknown unlisten unlogged until update vacuum valid validate validator value version view views volatile \
         whitespace work wrapper write xml yes zone",
    ),
    (
        Category::Unreserved,
        false,
        "day filter hour minute month over second varying within without year",
    ),
    (
        Category::ColumnName,
        true,
        "between bigint bit boolean coalesce dec decimal exists extract float greatest grouping inout int integer \
         interval least national nchar none normalize nullif numeric out overlay position real row setof smallint \
         substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest \
         xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable",
    ),
    (Category::ColumnName, false, "char character precision"),
    (
        Category::TypeName,
        true,
        "authorization binary collation concurrently cross current_schema freeze full ilike inner is join left like \
         natural outer right similar tablesample verbose",
    ),
    (Category::TypeName, false, "isnull notnull overlaps"),
    (
        Category::Reserved,
        true,
        "all analyse analyze and any asc asymmetric both case cast check collate column constraint current_catalog \
         current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else \
         end false foreign in initially lateral leading localtime localtimestamp not null only or placing primary \
         references select session_user some symmetric table then trailing true unique user using variadic when",
    ),
    (
        Category::Reserved,
        false,
        "array as create except fetch for from grant group having intersect into limit offset on order returning to \
         union where window with",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_one_category() {
        assert_eq!(rows().len(), 460);
        let words: Vec<Value> = rows().into_iter().map(|mut r| r.swap_remove(0)).collect();
        assert!(
            words
                .windows(2)
                .all(|pair| types::order::compare(&pair[0], &pair[1]).is_lt())
        );
        assert_eq!(category("select"), Some(Category::Reserved));
        assert_eq!(category("year"), Some(Category::Unreserved));
        assert_eq!(category("email"), None);
    }
}

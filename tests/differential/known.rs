//! Differences that stay: each has its heading in docs/sql-differences.md, with the reason.

use super::compare::Answer;

struct Known {
    heading: &'static str,
    is: fn(&str, &Answer, &Answer) -> bool,
}

const KNOWN: &[Known] = &[
    CONFLICTS,
    Known {
        heading: "Which of several errors is reported",
        is: |sql, ours, theirs| {
            let refused = |answer: &Answer| match answer {
                Answer::Failed(code, _) => code.starts_with("22") || code.starts_with("23"),
                Answer::Rows(..) => false,
            };
            (sql.starts_with("insert") || sql.starts_with("update"))
                && refused(ours)
                && refused(theirs)
        },
    },
];

pub fn is_known(sql: &str, ours: &Answer, theirs: &Answer) -> bool {
    KNOWN.iter().any(|k| (k.is)(sql, ours, theirs))
}

const CONFLICTS: Known = Known {
    heading: "NOT NULL and rows that conflict",
    is: |sql, ours, theirs| {
        let refused = matches!(theirs, Answer::Failed(code, _) if code == "23502");
        sql.contains("on conflict do nothing") && refused && matches!(ours, Answer::Rows(..))
    },
};

#[test]
fn every_known_difference_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql-differences.md");
    let text = std::fs::read_to_string(path).unwrap();
    for known in KNOWN {
        let heading = format!("## {}", known.heading);
        assert!(text.contains(&heading), "{heading}");
    }
}

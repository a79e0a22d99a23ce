//! Differences that stay: each has its heading in docs/sql-differences.md, with the reason.

use super::compare::Answer;

struct Known {
    heading: &'static str,
    is: fn(&str, &Answer, &Answer) -> bool,
}

const KNOWN: &[Known] = &[
    CONFLICTS,
    Known {
        heading: "Sums of floating-point numbers",
        is: |sql, ours, theirs| {
            let sums = ["sum(", "avg(", "stddev", "var", "corr", "covar", "regr"];
            // Far fewer digits than a wrong sum would have right.
            let rounded = |text: &str| text.parse::<f64>().map(|n| format!("{n:.11e}")).ok();
            sums.iter().any(|f| sql.contains(f)) && same_when(ours, theirs, rounded)
        },
    },
    Known {
        heading: "Which of several equal numbers",
        is: |_, ours, theirs| {
            let plain = |text: &str| {
                text.parse::<f64>().ok()?;
                let (whole, digits) = text.split_once('.')?;
                let digits = digits.trim_end_matches('0');
                Some(format!("{whole}.{digits}").trim_end_matches('.').to_owned())
            };
            same_when(ours, theirs, plain)
        },
    },
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

/// The same rows in any order, once some of their values are shown in another way.
fn same_when(ours: &Answer, theirs: &Answer, shown: impl Fn(&str) -> Option<String>) -> bool {
    let all = |answer: &Answer| match answer {
        Answer::Failed(..) => None,
        Answer::Rows(rows, count) => {
            let value = |text: &String| shown(text).unwrap_or_else(|| text.clone());
            let row = |row: &Vec<Option<String>>| -> Vec<Option<String>> {
                row.iter().map(|v| v.as_ref().map(value)).collect()
            };
            let mut rows: Vec<_> = rows.iter().map(row).collect();
            rows.sort();
            Some((rows, *count))
        }
    };
    all(ours).is_some_and(|ours| all(theirs) == Some(ours))
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

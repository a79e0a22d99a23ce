//! The settings in a startup packet's `options`, as a server's command line has them.
//!
//! Owns: `-c name=value` and `--name=value`, with a backslash before what would end a word. Asked by: `startup`. Never: knows a setting.
//! Source: PostgreSQL 15, `pg_split_opts`, `ParseLongOption` and `process_postgres_switches`.

use super::error::ProtocolError;

/// Names with their values, in their order.
pub fn settings(options: &str) -> Result<Vec<(String, String)>, ProtocolError> {
    let mut out = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => long.to_owned(),
            (None, Some("")) => words.next().unwrap_or_default(),
            (None, Some(joined)) => joined.to_owned(),
            (None, None) => return Err(ProtocolError::Switch(word)),
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(ProtocolError::NoValue(setting));
        };
        out.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(out)
}

/// Between blanks.
fn words(options: &str) -> Vec<String> {
    let (mut out, mut word) = (Vec::new(), None::<String>);
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => out.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Vec<(String, String)> {
        settings(options).expect("good options")
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn every_spelling_of_a_setting_is_read() {
        let timeout = [pair("statement_timeout", "5s")];
        for options in [
            "-c statement_timeout=5s",
            "-cstatement_timeout=5s",
            "--statement_timeout=5s",
            "  --statement-timeout=5s ",
        ] {
            assert_eq!(read(options), timeout, "{options}");
        }
        let two = [pair("search_path", "a, b"), pair("x.y", "=\\")];
        assert_eq!(read(r"-c search_path=a,\ b --x.y==\\"), two);
        assert!(read(" ").is_empty());
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        assert_eq!(settings("-z"), Err(ProtocolError::Switch("-z".into())));
        for options in ["-c", "-c a", "--a"] {
            assert!(
                matches!(settings(options), Err(ProtocolError::NoValue(_))),
                "{options}"
            );
        }
    }
}

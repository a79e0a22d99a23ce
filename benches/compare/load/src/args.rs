//! The command line of the programs here: `--name value` pairs after one or no word.
//!
//! Bounds: a name that nobody has asked for is an error, found by `finish`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

pub struct Args {
    pub word: Option<String>,
    given: BTreeMap<String, String>,
}

impl Args {
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Args, String> {
        let mut words = words.into_iter().peekable();
        let word = words.next_if(|word| !word.starts_with("--"));
        let mut given = BTreeMap::new();
        while let Some(name) = words.next() {
            let Some(bare) = name.strip_prefix("--") else {
                return Err(format!("\"{name}\" is not a --name"));
            };
            let Some(value) = words.next() else {
                return Err(format!("--{bare} needs a value"));
            };
            given.insert(bare.to_string(), value);
        }
        Ok(Args { word, given })
    }

    pub fn get<T: FromStr>(&mut self, name: &str, otherwise: T) -> Result<T, String>
    where
        T::Err: Display,
    {
        match self.given.remove(name) {
            None => Ok(otherwise),
            Some(text) => text.parse().map_err(|e| format!("--{name} {text}: {e}")),
        }
    }

    /// Numbers with commas between them.
    pub fn list(&mut self, name: &str) -> Result<Vec<u32>, String> {
        let text: String = self.get(name, String::new())?;
        let items = text.split(',').filter(|item| !item.is_empty());
        items
            .map(|item| item.parse().map_err(|e| format!("--{name} {item}: {e}")))
            .collect()
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), String> {
        match self.given.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("there is no --{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Args {
        Args::parse(line.split_whitespace().map(String::from)).expect("a command line")
    }

    #[test]
    fn a_misspelt_name_is_an_error() {
        let mut args = parse("closed --connections 3 --pids 1,2 --conections 4");
        assert_eq!(args.word.as_deref(), Some("closed"));
        assert_eq!(args.get("connections", 1), Ok(3));
        assert_eq!(args.list("pids"), Ok(vec![1, 2]));
        assert_eq!(args.finish(), Err("there is no --conections".into()));
    }
}

//! Settings of a piece that the program itself does not know.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A piece's own settings by name, as text: `[prior.options]` and the like of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// It is not what the piece expects.
    #[error("option `{name}` of `{kind}` is {value}: expected {expected}")]
    Value {
        /// The piece.
        kind: String,
        /// The setting.
        name: String,
        /// As given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// The piece has no such setting.
    #[error("`{kind}` has no option `{name}`; {}", if known.is_empty() { "it has none".into() } else { format!("it has {known}") })]
    Unknown {
        /// The piece.
        kind: String,
        /// The setting.
        name: String,
        /// Those it has.
        known: String,
    },
}

impl Options {
    /// The value of `name`, or `default` where it is not given. `kind` names the piece and
    /// `expected` what its value is, both for the error.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn get<T: FromStr>(
        &self,
        kind: &str,
        name: &str,
        default: T,
        expected: &'static str,
    ) -> Result<T, OptionError> {
        let Some(value) = self.0.get(name) else { return Ok(default) };
        value.parse().map_err(|_| OptionError::Value {
            kind: kind.into(),
            name: name.into(),
            value: value.clone(),
            expected,
        })
    }

    /// Refuses every option of `kind` that is not in `known`.
    ///
    /// # Errors
    /// There is one.
    pub fn only(&self, kind: &str, known: &[&str]) -> Result<(), OptionError> {
        match self.0.keys().find(|k| !known.contains(&k.as_str())) {
            None => Ok(()),
            Some(name) => Err(OptionError::Unknown {
                kind: kind.into(),
                name: name.clone(),
                known: known.join(", "),
            }),
        }
    }
}

impl FromIterator<(String, String)> for Options {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_parse_default_and_are_refused_by_name() {
        let options: Options = [("freedom".to_string(), "3.5".to_string())].into_iter().collect();
        assert_eq!(options.get("t", "freedom", 1.0, "a number"), Ok(3.5));
        assert_eq!(options.get("t", "scale", 2.0, "a number"), Ok(2.0));
        let wrong = options.get::<usize>("t", "freedom", 1, "a whole number").unwrap_err();
        assert!(wrong.to_string().contains("3.5") && wrong.to_string().contains("whole"));
        assert_eq!(options.only("t", &["freedom"]), Ok(()));
        let unknown = options.only("t", &["scale"]).unwrap_err().to_string();
        assert!(unknown.contains("freedom") && unknown.contains("scale"), "{unknown}");
    }
}

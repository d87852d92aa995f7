//! Pieces by name: those that come with a crate, and those that another crate brings.
//!
//! Every kind of piece (backbones, flows, priors, loss terms, score rules) has one [`Registry`]
//! of constructors, so that a configuration names any of them, wherever it is from.
//!
//! Invariant: this crate knows names, and no piece.

mod options;

pub use options::{OptionError, Options};

use std::sync::{PoisonError, RwLock};

/// Constructors of type `C` by name.
pub struct Registry<C: 'static> {
    own: &'static [(&'static str, C)],
    added: RwLock<Vec<(String, C)>>,
}

/// A name that is there already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is registered already; give the piece another name")]
pub struct Taken(pub String);

impl<C: Clone> Registry<C> {
    /// With the pieces that come with a crate, one line each.
    pub const fn new(own: &'static [(&'static str, C)]) -> Self {
        Self { own, added: RwLock::new(Vec::new()) }
    }

    /// Adds a piece of another crate, found from then on in this process.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register(&self, name: &str, constructor: C) -> Result<(), Taken> {
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        let taken = self.own.iter().any(|(n, _)| *n == name);
        if taken || added.iter().any(|(n, _)| n == name) {
            return Err(Taken(name.into()));
        }
        added.push((name.into(), constructor));
        Ok(())
    }

    /// The constructor of that name.
    pub fn get(&self, name: &str) -> Option<C> {
        self.all().into_iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }

    /// All names, those of the crate first.
    pub fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|(n, _)| n).collect()
    }

    /// All names and constructors, those of the crate first.
    pub fn all(&self) -> Vec<(String, C)> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        let own = self.own.iter().map(|(n, c)| (n.to_string(), c.clone()));
        own.chain(added.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Constructor = fn() -> i32;

    #[test]
    fn own_and_added_pieces_are_found_and_names_are_taken_once() {
        static PIECES: Registry<Constructor> = Registry::new(&[("one", || 1), ("two", || 2)]);
        assert!(PIECES.get("three").is_none());
        PIECES.register("three", || 3).unwrap();
        assert_eq!(PIECES.get("three").map(|c| c()), Some(3));
        assert_eq!(PIECES.get("two").map(|c| c()), Some(2));
        assert_eq!(PIECES.names(), ["one", "two", "three"]);
        for taken in ["one", "three"] {
            assert_eq!(PIECES.register(taken, || 4), Err(Taken(taken.into())));
        }
    }
}

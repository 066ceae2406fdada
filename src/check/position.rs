//! Where each part of an object stands in its file: JSON Pointer to line and column.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A place in a file, both counted from 1; columns count characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The places of one value and of all values in it. Parts that an alias repeats are shared, not copied.
#[derive(Debug, Clone)]
pub struct Spot {
    /// Where the value begins.
    pub place: Place,
    /// The places of its parts.
    pub parts: Parts,
}

/// The places of the parts of a value.
#[derive(Debug, Clone)]
pub enum Parts {
    /// A scalar has none.
    None,
    /// Elements of a list.
    List(Vec<Arc<Spot>>),
    /// Values of an object, with the places of their keys.
    Map(HashMap<String, (Place, Arc<Spot>)>),
}

impl Spot {
    /// The spot of a scalar.
    #[must_use]
    pub const fn scalar(place: Place) -> Self {
        Self { place, parts: Parts::None }
    }

    /// The place of a field: that of its key, of a list's element that of the element. Where the field does not exist,
    /// that of the nearest parent which does.
    #[must_use]
    pub fn find<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> Place {
        let mut place = self.place;
        let mut spot = self;
        for token in tokens {
            let next = match &spot.parts {
                Parts::None => None,
                Parts::List(list) => {
                    token.parse::<usize>().ok().and_then(|i| list.get(i)).map(|item| (item.place, item))
                }
                Parts::Map(map) => map.get(token).map(|(key, value)| (*key, value)),
            };
            let Some((next_place, next_spot)) = next else { break };
            place = next_place;
            spot = next_spot;
        }
        place
    }

    /// The spot of a part, if there is one.
    #[must_use]
    pub fn part(&self, token: &str) -> Option<&Arc<Self>> {
        match &self.parts {
            Parts::None => None,
            Parts::List(list) => list.get(token.parse::<usize>().ok()?),
            Parts::Map(map) => map.get(token).map(|(_, spot)| spot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_at_its_nearest_parent() {
        let at = |line, column| Place { line, column };
        let leaf = Arc::new(Spot::scalar(at(2, 5)));
        let list = Arc::new(Spot { place: at(2, 3), parts: Parts::List(vec![leaf]) });
        let root = Spot { place: at(1, 1), parts: Parts::Map([("a".to_owned(), (at(1, 1), list))].into()) };
        assert_eq!(root.find(["a", "0"]), at(2, 5));
        assert_eq!(root.find(["a", "1"]), at(1, 1));
        assert_eq!(root.find(["a", "0", "x"]), at(2, 5));
        assert_eq!(root.find(["b"]), at(1, 1));
    }
}

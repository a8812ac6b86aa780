//! JSON read within bounds: nothing is allocated for what is too long, unknown or not needed.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// That model.pr is broken, and where.
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    let mut reason: String = reason.into();
    if reason.len() > 300 {
        // An error quotes what it does not understand, which may be long.
        reason = reason.chars().take(300).collect();
    }
    Error::Corrupt {
        what: "model.pr",
        reason,
    }
}

/// An object whose values are read one by one, so that errors name the field. Of names that are not asked for nothing
/// is kept; a name that comes twice has its last value, as in Python.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    place: &'static str,
    values: BTreeMap<&'static str, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The fields `known` of the object that `text` is; `place` stands before their names in errors.
    pub(super) fn read(
        text: &'a str,
        place: &'static str,
        known: &'static [&'static str],
    ) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let values = reader
            .deserialize_map(Known(known))
            .and_then(|values| reader.end().map(|()| values))
            .map_err(|error| corrupt(format!("{place}{error}")))?;
        Ok(Self { place, values })
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values
            .get(name)
            .is_some_and(|value| value.get() != "null")
    }

    /// The JSON of the field.
    pub(super) fn raw(&self, name: &str) -> Result<&'a str> {
        match self.values.get(name) {
            Some(value) => Ok(value.get()),
            None => Err(corrupt(format!("{}{name} is missing", self.place))),
        }
    }

    /// The field's value.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_str(self.raw(name)?)
            .map_err(|error| corrupt(format!("{}{name}: {error}", self.place)))
    }

    /// As [`Fields::parse`]; the default where the field is missing or null.
    pub(super) fn parse_or_default<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        if self.has(name) {
            self.parse(name)
        } else {
            Ok(T::default())
        }
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Result<f64> {
        let number: f64 = self.parse(name)?;
        if number.is_finite() {
            return Ok(number);
        }
        Err(corrupt(format!(
            "{}{name} is not a finite number",
            self.place
        )))
    }
}

struct Known(&'static [&'static str]);

impl<'de> Visitor<'de> for Known {
    type Value = BTreeMap<&'static str, &'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the object that Prophet writes")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match self.0.iter().find(|known| **known == name) {
                Some(known) => {
                    values.insert(*known, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(values)
    }
}

/// A list of at most `MAX` elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a list of at most {MAX}")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() == MAX {
                        return Err(A::Error::custom(format!("more than {MAX} elements")));
                    }
                    elements.push(element);
                }
                Ok(List(elements))
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// The first and the last element of a list, and how many it has. What is between is read and dropped.
#[derive(Debug)]
pub(super) struct EndsOf<T> {
    pub(super) first: Option<T>,
    pub(super) last: Option<T>,
    pub(super) count: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for EndsOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = EndsOf<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let first = seq.next_element()?;
                let mut count = usize::from(first.is_some());
                let mut last = None;
                while let Some(element) = seq.next_element()? {
                    count += 1;
                    last = Some(element);
                }
                Ok(EndsOf { first, last, count })
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// What pandas writes as a series ("split") or a frame ("table"), of which only the rows matter.
#[derive(Debug, Deserialize)]
pub(super) struct Pandas<T> {
    pub(super) data: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stops_at_its_bound() {
        let three: std::result::Result<List<u8, 3>, _> = serde_json::from_str("[1,2,3]");
        assert_eq!(three.unwrap().0, [1, 2, 3]);
        let four: std::result::Result<List<u8, 3>, _> = serde_json::from_str("[1,2,3,4]");
        assert!(four.unwrap_err().to_string().starts_with("more than 3"));
    }

    #[test]
    fn errors_name_the_field_and_unknown_names_are_dropped() {
        let text = r#"{"a": 1, "b": "x", "big": [[[0]]], "a": 2}"#;
        let fields = Fields::read(text, "params.", &["a", "b", "c"]).unwrap();
        assert_eq!(fields.number("a").unwrap(), 2.0);
        let error = |name| fields.number(name).unwrap_err().to_string();
        assert!(
            error("b").contains("params.b: invalid type"),
            "{}",
            error("b")
        );
        assert!(error("c").contains("params.c is missing"));
        assert_eq!(fields.values.len(), 2);
    }

    #[test]
    fn of_a_long_list_the_ends_are_kept() {
        let ends: EndsOf<u32> = serde_json::from_str("[5,6,7]").unwrap();
        assert_eq!((ends.first, ends.last, ends.count), (Some(5), Some(7), 3));
    }
}

//! A trigger as it was asked about: read once, and known by what it asks.

use std::{collections::BTreeMap, fmt};

use loadcast_model::{error::Result, trigger::Trigger};
use sha2::{Digest as _, Sha256};

/// Tells triggers apart by what they ask, whosever they are: equal settings have equal ids, on every replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerId([u8; 16]);

/// A trigger and its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What it asks.
    pub trigger: Trigger,
    /// Of `trigger`.
    pub id: TriggerId,
}

impl Asked {
    /// Reads the metadata of a ScaledObject's trigger.
    ///
    /// # Errors
    /// Those of [`Trigger::read`].
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Self> {
        Trigger::read(metadata).map(Self::from)
    }
}

impl TriggerId {
    /// All of it as text.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From [`to_hex`](Self::to_hex).
    pub fn of_hex(text: &str) -> Option<Self> {
        (text.len() == 32).then_some(())?;
        u128::from_str_radix(text, 16)
            .ok()
            .map(|id| Self(id.to_be_bytes()))
    }
}

impl From<Trigger> for Asked {
    fn from(trigger: Trigger) -> Self {
        // Every setting is in it, floats by the shortest text that round-trips.
        let digest = Sha256::digest(format!("{trigger:?}"));
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self {
            trigger,
            id: TriggerId(id),
        }
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TriggerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        let own = [("series", "web.cpu"), ("target", "2")];
        let pairs = own.iter().chain(pairs);
        Asked::read(
            &pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn an_id_is_of_what_is_asked_and_not_of_how_it_is_written() {
        let plain = asked(&[]);
        assert_eq!(plain.id, asked(&[("leadTime", "300s")]).id);
        assert_eq!(plain.id, asked(&[("scalerAddress", "x:1")]).id);
        for other in [
            ("leadTime", "301s"),
            ("quantile", "point"),
            ("minSkill", "0"),
        ] {
            assert_ne!(plain.id, asked(&[other]).id, "{other:?}");
        }
        assert_eq!(plain.id.to_string().len(), 16);
        assert_eq!(TriggerId::of_hex(&plain.id.to_hex()), Some(plain.id));
    }
}

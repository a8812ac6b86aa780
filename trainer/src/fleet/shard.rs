//! A part of a fleet, for runs beside each other: an indexed Job of Kubernetes runs one in each pod.

use std::str::FromStr;

use loadcast_model::artifact::sha256_hex;
use loadcast_model::series::SeriesName;

/// Every series whose name falls to `index` of `count`. The same name falls to the same index everywhere and always, so a
/// series that is new moves no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    /// Part `index`, counted from 0, of `count`.
    ///
    /// # Errors
    /// In words, for a part that there is not.
    pub fn new(index: u32, count: u32) -> Result<Self, String> {
        if index < count {
            return Ok(Self { index, count });
        }
        Err(format!(
            "there is no part {index} of {count}: parts are counted from 0"
        ))
    }

    /// A folder of its own beside those of the other parts; `None` where there are none.
    #[must_use]
    pub fn folder(self) -> Option<String> {
        (self.count > 1).then(|| format!("shard-{}-of-{}", self.index, self.count))
    }

    /// Whether `series` is in it.
    #[must_use]
    pub fn has(self, series: &SeriesName) -> bool {
        let digest = sha256_hex(series.as_ref().as_bytes());
        let number = digest
            .get(..8)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        number.unwrap_or_default() % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts =
            parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) =
            parts.ok_or_else(|| format!("`{text}` is no shard: write I/N, such as 0/4"))?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_in_exactly_one_shard_and_they_are_even() {
        let shards: Vec<Shard> = (0..4).map(|i| Shard::new(i, 4).unwrap()).collect();
        let mut sizes = [0; 4];
        for i in 0..4_000 {
            let name: SeriesName = format!("ns.app-{i}.cpu").parse().unwrap();
            let within: Vec<usize> = (0..4).filter(|at| shards[*at].has(&name)).collect();
            assert_eq!(within.len(), 1, "{name}");
            sizes[within[0]] += 1;
        }
        assert!(
            sizes.iter().all(|size| (900..1_100).contains(size)),
            "{sizes:?}"
        );
        assert!(Shard::default().has(&"a".parse().unwrap()));
    }

    #[test]
    fn a_shard_that_is_none_is_refused_with_the_form() {
        assert_eq!("1/4".parse(), Shard::new(1, 4));
        for (text, says) in [
            ("4/4", "no part 4 of 4"),
            ("0/0", "no part"),
            ("1", "I/N"),
            ("a/b", "I/N"),
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}

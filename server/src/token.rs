//! Resume tokens: opaque to clients, (epoch, revision, instant, filter) to us.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::error::{Error, Gap, Result};

/// The first byte of a token to continue from, and of one from inside a snapshot, which can only begin again. Other
/// values are free for other forms. Form 1 had no instant.
const CONTINUE: u8 = 3;
const SNAPSHOT: u8 = 2;

/// A position in a server's history, as seen through a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The history.
    pub epoch: Uuid,
    /// Everything up to here was sent.
    pub revision: u64,
    /// As of this epoch second, where time matters to the stream; else 0.
    pub second: i64,
    /// [`Selector::fingerprint`](crate::selector::Selector::fingerprint) of the stream, and what else it asked.
    pub filter: u32,
    /// False inside a snapshot: what was sent is no base to continue from.
    pub complete: bool,
}

impl Token {
    /// The token as clients carry it.
    pub fn encode(&self) -> String {
        let mut bytes = vec![if self.complete { CONTINUE } else { SNAPSHOT }];
        bytes.extend_from_slice(self.epoch.as_bytes());
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes.extend_from_slice(&self.second.to_be_bytes());
        bytes.extend_from_slice(&self.filter.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that a client sent back.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `token` when it is none of ours.
    pub fn decode(text: &str) -> Result<Self> {
        let parse = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (&form, rest) = bytes.split_first()?;
            let (epoch, rest) = rest.split_first_chunk()?;
            let (revision, rest) = rest.split_first_chunk()?;
            let (second, rest) = rest.split_first_chunk()?;
            let filter = rest.try_into().ok()?;
            matches!(form, CONTINUE | SNAPSHOT).then(|| Self {
                epoch: Uuid::from_bytes(*epoch),
                revision: u64::from_be_bytes(*revision),
                second: i64::from_be_bytes(*second),
                filter: u32::from_be_bytes(filter),
                complete: form == CONTINUE,
            })
        };
        parse().ok_or_else(|| {
            Error::invalid(
                "token",
                "not a token of this service; send back the token of the last message, or none",
            )
        })
    }

    /// Checks that a stream with this filter at (`epoch`, `current`) can go on from here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another filter, [`Error::Gap`] for another epoch or a revision of the future.
    pub fn check(&self, epoch: Uuid, current: u64, filter: u32) -> Result<()> {
        if self.filter != filter {
            return Err(Error::invalid(
                "token",
                "it is of a stream that asked for something else; resume with the same selector and question, or without a token",
            ));
        }
        let gap = if self.epoch != epoch {
            Gap::EpochChanged {
                theirs: self.epoch.to_string(),
                ours: epoch.to_string(),
            }
        } else if self.revision > current {
            Gap::Future {
                revision: self.revision,
                current,
            }
        } else {
            return Ok(());
        };
        Err(Error::Gap { gap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_strangers_are_refused() {
        let token = Token {
            epoch: Uuid::from_u128(7),
            revision: 12,
            second: 1_800_000_000,
            filter: 99,
            complete: true,
        };
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        let inside = Token {
            complete: false,
            ..token
        };
        assert_eq!(Token::decode(&inside.encode()).unwrap(), inside);
        for text in ["x", "AAAA", "", "🦀", &token.encode()[1..]] {
            assert!(
                matches!(Token::decode(text), Err(Error::Invalid { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn foreign_future_and_misfiltered_tokens_are_told_apart() {
        let epoch = Uuid::from_u128(7);
        let token = Token {
            epoch,
            revision: 12,
            second: 1_800_000_000,
            filter: 99,
            complete: true,
        };
        assert!(token.check(epoch, 12, 99).is_ok());
        assert!(matches!(
            token.check(epoch, 12, 1),
            Err(Error::Invalid { .. })
        ));
        assert!(matches!(
            token.check(epoch, 11, 99),
            Err(Error::Gap {
                gap: Gap::Future { .. }
            })
        ));
        assert!(matches!(
            token.check(Uuid::from_u128(8), 12, 99),
            Err(Error::Gap {
                gap: Gap::EpochChanged { .. }
            })
        ));
    }
}

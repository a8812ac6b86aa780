//! A field that is encoded once and sent to many.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};

/// A message, or the bytes it encodes to. Decoding always gives the message; the bytes are a sender's, who has many
/// receivers for the same. The wire is the same for both.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoded<M> {
    /// The message.
    Message(M),
    /// What the message encodes to.
    Bytes(Bytes),
}

impl<M: Message + Default> Encoded<M> {
    /// The bytes of `message`, to be cloned for free.
    pub fn once(message: &M) -> Self {
        Self::Bytes(message.encode_to_vec().into())
    }

    /// The message.
    ///
    /// # Errors
    /// When the bytes are none of a message `M`; never for a value that was decoded.
    pub fn into_message(self) -> Result<M, DecodeError> {
        match self {
            Self::Message(message) => Ok(message),
            Self::Bytes(bytes) => M::decode(bytes),
        }
    }
}

impl<M> From<M> for Encoded<M> {
    fn from(message: M) -> Self {
        Self::Message(message)
    }
}

impl<M: Default> Default for Encoded<M> {
    fn default() -> Self {
        Self::Message(M::default())
    }
}

impl<M: Message + Default> Message for Encoded<M> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        match self {
            Self::Message(message) => message.encode_raw(buf),
            Self::Bytes(bytes) => buf.put_slice(bytes),
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if let Self::Bytes(bytes) = self {
            *self = Self::Message(M::decode(bytes.clone())?);
        }
        match self {
            Self::Message(message) => message.merge_field(tag, wire_type, buf, ctx),
            Self::Bytes(_) => Ok(()),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Message(message) => message.encoded_len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{self as pb, watch_models_response::Message as Kind};

    #[test]
    fn bytes_and_message_are_the_same_on_the_wire() {
        let event = pb::ModelEvent {
            revision: 7,
            series: "web.cpu".to_owned(),
            labels: [("signal".to_owned(), "cpu".to_owned())].into(),
            ..pb::ModelEvent::default()
        };
        let response = |event: Encoded<pb::ModelEvent>| pb::WatchModelsResponse {
            token: "t".to_owned(),
            message: Some(Kind::Event(event)),
        };
        let shared = response(Encoded::once(&event)).encode_to_vec();
        assert_eq!(shared, response(event.clone().into()).encode_to_vec());
        let decoded = pb::WatchModelsResponse::decode(&shared[..]).expect("own bytes");
        assert_eq!(decoded, response(Encoded::Message(event.clone())));
        assert_eq!(Encoded::once(&event).into_message(), Ok(event));
    }
}

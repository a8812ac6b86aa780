//! What a Flight client asks for: a `loadcast.v1.BatchGetForecastsRequest`, as a person or a program writes it.

use std::sync::LazyLock;

use arrow_flight::{FlightDescriptor, flight_descriptor::DescriptorType};
use bytes::Bytes;
use loadcast_proto::{FILE_DESCRIPTOR_SET, v1 as pb};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::{
    error::{Error, Result},
    grpc::convert::{columns::Format, question},
    question::Question,
    selector::Selector,
};

/// The longest command: what the largest selector takes.
const MAX_COMMAND_BYTES: usize = 1024 * 1024;

const MESSAGE: &str = "loadcast.v1.BatchGetForecastsRequest";

/// No protobuf message of ours begins with it, and every JSON object does.
const JSON: u8 = b'{';

/// Forecasts that are asked for.
#[derive(Debug)]
pub(crate) struct Command {
    /// As a ticket carries it.
    request: pb::BatchGetForecastsRequest,
    pub(crate) selector: Selector,
    pub(crate) alias: Option<String>,
    pub(crate) question: Question,
}

impl Command {
    /// Of a ticket, or of a command in its place: protobuf, or protobuf's JSON.
    pub(crate) fn of_bytes(field: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_COMMAND_BYTES {
            return Err(Error::invalid(
                field,
                format!("longer than {MAX_COMMAND_BYTES} bytes; select by label"),
            ));
        }
        let wrong = |why: String| {
            Error::invalid(
                field,
                format!(
                    "not a {MESSAGE} ({why}); give its JSON, for example {{\"selector\": {{\"label_selector\": \"namespace=shop\"}}, \"horizon\": \"3600s\"}}"
                ),
            )
        };
        let request = if bytes.first() == Some(&JSON) {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            let message = DynamicMessage::deserialize(descriptor()?, &mut json)
                .and_then(|message| json.end().map(|()| message))
                .map_err(|error| wrong(error.to_string()))?;
            message
                .transcode_to()
                .map_err(|error| wrong(error.to_string()))?
        } else {
            pb::BatchGetForecastsRequest::decode(bytes).map_err(|error| wrong(error.to_string()))?
        };
        Self::new(request)
    }

    /// Of a descriptor: a command, or a path of names, which is tomorrow's forecast of each.
    pub(crate) fn of_descriptor(descriptor: &FlightDescriptor) -> Result<Self> {
        match DescriptorType::try_from(descriptor.r#type) {
            Ok(DescriptorType::Cmd) => Self::of_bytes("flight_descriptor.cmd", &descriptor.cmd),
            Ok(DescriptorType::Path) if !descriptor.path.is_empty() => {
                Self::of_names(descriptor.path.clone())
            }
            Ok(DescriptorType::Path) => Err(Error::invalid(
                "flight_descriptor.path",
                "empty; give the names of series, or a command",
            )),
            Ok(DescriptorType::Unknown) | Err(_) => Err(Error::invalid(
                "flight_descriptor.type",
                "neither a command nor a path; give one of them",
            )),
        }
    }

    /// Tomorrow's forecast of each of these series.
    pub(crate) fn of_names(names: Vec<String>) -> Result<Self> {
        use pb::batch_get_forecasts_request::Range;
        Self::new(pb::BatchGetForecastsRequest {
            selector: Some(pb::SeriesSelector {
                names,
                label_selector: String::new(),
            }),
            range: Some(Range::Window(pb::Window::NextDay.into())),
            ..pb::BatchGetForecastsRequest::default()
        })
    }

    fn new(request: pb::BatchGetForecastsRequest) -> Result<Self> {
        if request.components {
            return Err(Error::invalid(
                "components",
                "they differ from series to series, and a Flight stream has one schema; ask GetForecast or BatchGetForecasts with ANSWER_FORMAT_ARROW_IPC",
            ));
        }
        // Whatever is asked for, this is Arrow; what is no format is refused all the same.
        Format::parse(request.format)?;
        let (selector, alias, question) = question::batch(request.clone())?;
        Ok(Self {
            request,
            selector,
            alias,
            question,
        })
    }

    /// What [`Command::of_bytes`] reads the same from: it needs no memory of the server, and no other one refuses it.
    pub(crate) fn ticket(&self) -> Bytes {
        self.request.encode_to_vec().into()
    }
}

/// What protobuf's JSON is read by.
fn descriptor() -> Result<MessageDescriptor> {
    static POOL: LazyLock<Option<DescriptorPool>> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());
    let pool = POOL.as_ref();
    pool.and_then(|pool| pool.get_message_by_name(MESSAGE))
        .ok_or_else(|| Error::Internal(format!("no descriptor of {MESSAGE}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Range;

    fn refused(bytes: &[u8]) -> String {
        Command::of_bytes("ticket", bytes).unwrap_err().to_string()
    }

    #[test]
    fn json_and_protobuf_say_the_same_and_a_ticket_is_read_as_it_was_written() {
        for json in [
            r#"{"selector": {"names": ["web.cpu"]}, "horizon": "3600s", "levels": [0.9], "alias": "candidate"}"#,
            r#"{"selector": {"names": ["web.cpu"], "labelSelector": ""}, "horizon": "3600s", "levels": [0.9], "alias": "candidate"}"#,
        ] {
            let command = Command::of_bytes("ticket", json.as_bytes()).unwrap();
            assert_eq!(command.question.range, Range::Horizon(3_600));
            assert_eq!(command.alias.as_deref(), Some("candidate"));
            let again = Command::of_bytes("ticket", &command.ticket()).unwrap();
            assert_eq!(again.request, command.request);
        }
    }

    #[test]
    fn what_cannot_be_read_names_the_field_and_shows_a_command() {
        for (bytes, expected) in [
            (&br#"{"horizon": "soon"}"#[..], "ticket: not a loadcast.v1"),
            (br#"{"horizont": "60s"}"#, "horizont"),
            (br#"{"horizon": "60s"} x"#, "label_selector"),
            (b"\xff\xff\xff", "label_selector"),
            (b"", "range: none given"),
            (br#"{"horizon": "60s", "levels": [7]}"#, "levels[0]"),
            (br#"{"horizon": "60s", "components": true}"#, "components: "),
            (&[b' '; MAX_COMMAND_BYTES + 1], "longer than"),
        ] {
            let error = refused(bytes);
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_path_names_series_and_an_empty_one_is_not_all_of_them() {
        let path = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Command::of_descriptor(&FlightDescriptor::new_path(names))
        };
        let named = path(&["web.cpu", "web.memory"]).unwrap();
        assert_eq!(named.selector.names().count(), 2);
        assert!(path(&[]).is_err());
        assert!(path(&["a/b"]).is_err());
        assert!(Command::of_descriptor(&FlightDescriptor::default()).is_err());
    }
}

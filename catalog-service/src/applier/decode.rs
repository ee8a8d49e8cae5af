use rdkafka::message::Message;
use shared::contract::Delta;

use super::decide::BadDelta;

pub(super) fn decode(record: &impl Message) -> Result<Delta, BadDelta> {
    let Some(value) = record.payload() else {
        return Err(BadDelta::Unreadable("the record has no value".to_owned()));
    };
    Delta::decode(value).map_err(|error| BadDelta::Unreadable(error.to_string()))
}

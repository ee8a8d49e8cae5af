//! Kafka as both services use it: settings, topics, a consumer of batches, a producer
//! of facts, and dead letters.

mod broker;
mod consumer;
mod dead_letters;
mod extent;
mod lag;
mod producer;
mod record;
mod settings;
mod topics;

pub use broker::watch_broker;
pub use consumer::{BETWEEN_EVENTS, BatchConsumer, BatchLimits};
pub use dead_letters::{
    DeadLetterTopic, Letter, LetterAddress, LetterForm, NotReplayable, Replay, dead_letter,
    dead_letter_with,
};
pub use extent::{Extent, ends, extents};
pub use lag::ConsumerLag;
pub use producer::FactProducer;
pub(crate) use record::is_trace_parent;
pub use record::{OutRecord, received_trace, record_headers, trace_id, trace_parent};
pub use settings::{KafkaSettings, PropertyError, TopicSettings, set_default};
pub use topics::{KEPT_FOR_EVER_MS, TopicError, ensure_compacted_topic, ensure_topics};

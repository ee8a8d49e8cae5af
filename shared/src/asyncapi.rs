//! What a service sends to Kafka and receives from it, as an AsyncAPI 3 document.

mod message;

use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, Resource};
use serde_json::{Map, Value, json};

pub use message::{Message, dead_letter, delta, order, outcome, replay_marker};

use crate::http::method_not_allowed;
use crate::kafka::TopicSettings;

const KAFKA_BINDING: &str = "0.5.0";

/// Of one service: its topics are named, and sized, as its settings say.
#[derive(Debug, Clone)]
pub struct Document {
    info: Value,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// From the service's side.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    Send,
    Receive,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
        }
    }
}

/// Something the service does with the messages of a channel.
pub struct Operation<'a> {
    pub name: &'a str,
    pub action: Action,
    pub channel: &'a str,
    pub message: &'a str,
    pub summary: &'a str,
    /// The consumer group of who receives, if there is one.
    pub group: Option<&'a str>,
}

impl Document {
    pub fn new(title: &str, description: &str) -> Self {
        let info = json!({
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": description,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        });
        Self {
            info,
            channels: Map::new(),
            operations: Map::new(),
            messages: Map::new(),
            schemas: Map::new(),
        }
    }

    /// A topic, named for its purpose where another name may be set.
    pub fn channel<const N: usize>(
        mut self,
        name: &str,
        topic: &TopicSettings,
        messages: [Message; N],
    ) -> Self {
        let names = messages.each_ref().map(|message| message.name);
        messages.into_iter().for_each(|message| self.add(message));
        let messages = names.map(|name| (name.to_owned(), reference("components/messages", name)));
        let channel = json!({
            "address": topic.name,
            "messages": Map::from_iter(messages),
            "bindings": kafka(json!({
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": crate::kafka::KEPT_FOR_EVER_MS,
                },
            })),
        });
        self.channels.insert(name.to_owned(), channel);
        self
    }

    pub fn operation(mut self, operation: Operation<'_>) -> Self {
        let channel = operation.channel;
        let messages = format!("channels/{channel}/messages");
        let mut described = json!({
            "action": operation.action.as_str(),
            "channel": reference("channels", channel),
            "messages": [reference(&messages, operation.message)],
            "summary": operation.summary,
        });
        if let Some(group) = operation.group {
            described["bindings"] = kafka(json!({
                "groupId": { "type": "string", "enum": [group] },
            }));
        }
        self.operations.insert(operation.name.to_owned(), described);
        self
    }

    fn add(&mut self, message: Message) {
        let mut described = json!({
            "name": message.name,
            "summary": message.summary,
            "headers": message.headers,
        });
        if let Some(key) = message.key {
            described["bindings"] = kafka(json!({ "key": key }));
        }
        if let Some(value) = message.value {
            described["contentType"] = "application/json".into();
            described["payload"] = value.schema;
            for (name, schema) in value.parts {
                self.schemas.insert(name, json!(schema));
            }
        }
        self.messages.insert(message.name.to_owned(), described);
    }

    pub fn to_json(&self) -> Value {
        json!({
            "asyncapi": "3.0.0",
            "info": self.info,
            "channels": self.channels,
            "operations": self.operations,
            "components": { "messages": self.messages, "schemas": self.schemas },
        })
    }

    /// `GET /asyncapi.json`.
    pub fn resource(&self) -> Resource {
        let text = Bytes::from(format!("{:#}", self.to_json()));
        let answer = move || {
            let text = text.clone();
            async move {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(text)
            }
        };
        web::resource("/asyncapi.json")
            .get(answer)
            .default_service(method_not_allowed("GET"))
    }
}

fn reference(of: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{of}/{name}") })
}

fn kafka(mut binding: Value) -> Value {
    binding["bindingVersion"] = KAFKA_BINDING.into();
    json!({ "kafka": binding })
}

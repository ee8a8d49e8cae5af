//! Dead letters as a person reads them and puts them back, on the broker of
//! `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use rdkafka::Timestamp;
use rdkafka::message::{Headers, Message, OwnedHeaders, OwnedMessage};
use shared::kafka::{
    DeadLetterTopic, FactProducer, KafkaSettings, Letter, LetterAddress, LetterForm, OutRecord,
    Replay, TopicSettings, dead_letter, ensure_topics,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PARTITIONS: i32 = 2;
/// Of a record long ago.
const TIME: i64 = 1_600_000_000_123;

struct Scene {
    source: String,
    letters: DeadLetterTopic,
}

impl Scene {
    async fn new() -> Self {
        let broker = std::env::var("STACK_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned());
        let kafka = KafkaSettings {
            bootstrap_servers: broker,
            ..KafkaSettings::default()
        };
        let source = format!("dead-letters-{}", Uuid::now_v7());
        let name = format!("{source}.dlq");
        let topics = [&source, &name].map(|topic| TopicSettings::new(topic, PARTITIONS));
        ensure_topics(&kafka, &topics).await.unwrap();
        let letters = DeadLetterTopic {
            kafka,
            name,
            form: LetterForm::Own,
        };
        // The broker may be told of its new leadership a moment later than everybody else.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = letters.page(None, 1).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { source, letters }
    }

    /// `count` letters in each partition.
    async fn die(&self, count: i64) {
        let mut records = Vec::new();
        for partition in 0..PARTITIONS {
            for offset in 0..count {
                let value = format!("{partition}/{offset}").into_bytes();
                let message = OwnedMessage::new(
                    Some(value),
                    Some(b"key".to_vec()),
                    self.source.clone(),
                    Timestamp::CreateTime(TIME + offset),
                    partition,
                    offset,
                    Some(OwnedHeaders::new()),
                );
                let letter = dead_letter(&self.letters.name, &message, "broken");
                records.push(OutRecord {
                    partition: Some(partition),
                    ..letter
                });
            }
        }
        let producer = FactProducer::new(&self.letters.kafka, "test").unwrap();
        producer.send_all(records).await.unwrap();
    }

    async fn page(&self, after: Option<LetterAddress>, limit: usize) -> Vec<Letter> {
        self.letters.page(after, limit).await.unwrap()
    }

    async fn replay(&self, address: LetterAddress) -> Replay {
        let letter = self.letters.find(address).await.unwrap().unwrap();
        let record = letter.original().unwrap();
        self.letters.replay(address, record).await.unwrap()
    }

    /// What has been put back.
    async fn source(&self) -> Vec<OwnedMessage> {
        let topic = DeadLetterTopic {
            name: self.source.clone(),
            ..self.letters.clone()
        };
        let found = topic.page(None, 1_000).await.unwrap();
        found.into_iter().map(|letter| letter.message).collect()
    }
}

fn at(partition: i32, offset: i64) -> LetterAddress {
    LetterAddress { partition, offset }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_paged_without_gaps_by_partition_and_offset() {
    let scene = Scene::new().await;
    assert!(scene.page(None, 3).await.is_empty());
    scene.die(5).await;
    let mut found = Vec::new();
    while let letters = scene.page(found.last().copied(), 3).await
        && !letters.is_empty()
    {
        assert!(letters.len() <= 3);
        found.extend(letters.iter().map(Letter::address));
    }
    let expected: Vec<_> = (0..PARTITIONS)
        .flat_map(|partition| (0..5).map(move |offset| at(partition, offset)))
        .collect();
    assert_eq!(found, expected);
    for nowhere in [at(0, 5), at(0, 500), at(7, 0)] {
        assert!(scene.letters.find(nowhere).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_goes_back_once_as_it_was_however_many_ask_at_once() {
    let scene = Scene::new().await;
    scene.die(3).await;
    let address = at(1, 1);
    assert_eq!(scene.replay(address).await, Replay::Done);
    assert_eq!(scene.replay(address).await, Replay::Already);
    let rivals = [at(0, 2); 4].map(async |address| {
        let letter = scene.letters.find(address).await.unwrap().unwrap();
        let record = letter.original().unwrap();
        scene.letters.replay(address, record).await.ok()
    });
    let rivals = futures_util::future::join_all(rivals).await;
    let done = rivals.iter().flatten().filter(|&&r| r == Replay::Done);
    assert!(done.count() <= 1, "{rivals:?}");
    // Those who were fenced may ask again.
    scene.replay(at(0, 2)).await;

    let back = scene.source().await;
    let values: Vec<_> = back.iter().map(|r| r.payload().unwrap()).collect();
    assert_eq!(values, [b"0/2", b"1/1"]);
    let times: Vec<_> = back.iter().map(|r| r.timestamp().to_millis()).collect();
    assert_eq!(times, [Some(TIME + 2), Some(TIME + 1)]);
    assert!(back.iter().all(|record| record.key() == Some(b"key")));
    assert!(
        back.iter()
            .all(|record| record.headers().is_none_or(|h| h.count() == 0))
    );
    let letters = scene.page(None, 100).await;
    for letter in &letters {
        let time = letter.message.timestamp().to_millis();
        assert_eq!(time, Some(TIME + letter.address().offset), "its own");
    }
    let put_back = letters.iter().filter(|letter| letter.replayed_at.is_some());
    let put_back: Vec<_> = put_back.map(Letter::address).collect();
    assert_eq!(put_back, [at(0, 2), at(1, 1)]);
    assert_eq!(letters.len(), 6, "markers are no letters");
    assert_eq!(
        scene.letters.replay(at(0, 3), record()).await,
        Ok(Replay::NotFound)
    );
}

fn record() -> OutRecord {
    OutRecord {
        topic: "never".to_owned(),
        partition: None,
        key: None,
        payload: None,
        timestamp: None,
        headers: OwnedHeaders::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_letters_that_wait_are_counted() {
    let scene = Scene::new().await;
    scene.die(2).await;
    let (waiting, stop) = (Gauge::default(), CancellationToken::new());
    let (gauge, signal, topic) = (waiting.clone(), stop.clone(), scene.letters.clone());
    let watch = tokio::spawn(async move { topic.watch(&gauge, &signal).await });
    becomes(&waiting, 4).await;
    scene.replay(at(0, 0)).await;
    becomes(&waiting, 3).await;
    stop.cancel();
    watch.await.unwrap();
}

async fn becomes(waiting: &Gauge, expected: i64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while waiting.get() != expected {
        assert!(Instant::now() < deadline, "{} wait", waiting.get());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

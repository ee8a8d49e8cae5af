//! The tutorial that this project grew from, as it prints its commands.

use std::time::Duration;

use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use shared::kafka::{KafkaSettings, TopicSettings, ensure_topics};

use crate::{World, client, eventually, kafka, on_mariadb, values_of};

const CREATE: &str = "create table users(id int auto_increment primary key, name varchar(20), pwd varchar(20), created_at datetime default NOW());";
const INSERT: &str = "insert into users(name, pwd) values('test', 'test1234');";
pub(crate) const SOURCE: &str = r#"{"name":"my-source-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSourceConnector","connection.url":"jdbc:mysql://localhost:3306/mydb","connection.user":"root","connection.password":"test1357","mode":"incrementing","incrementing.column.name":"id","table.whitelist":"users","topic.prefix":"my_topic_","tasks.max":"1"}}"#;
const SINK: &str = r#"{"name":"my-sink-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSinkConnector","connection.url":"jdbc:mysql://localhost:3306/mydb","connection.user":"root","connection.password":"test1357","auto.create":"true","auto.evolve":"true","delete.enabled":"false","tasks.max":"1","topics":"my_topic_users"}}"#;
const MISSPELT: &str = r#"{"name":"my-order-sink-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSingConnector","connection.url":"jdbc:mysql://127.0.0.1:3306/mydb","connection.user":"root","connection.password":"test1357","auto.create":"true","auto.evolve":"true","delete.enbaled":"false","tasks.max":"1","topics":"orders"}}"#;
const RECORD: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"string","optional":true,"field":"pwd"},{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"created_at"}],"optional":false,"name":"users"},"payload":{"id":1,"name":"test","pwd":"test1234","created_at":1627815857000}}"#;
const TYPED: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"string","optional":true,"field":"pwd"}],"optional":false,"name":"users"},"payload":{"id":2,"name":"test2","pwd":"test2234"}}"#;
const ORDER: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"id"},{"type":"int32","optional":true,"field":"user_id"},{"type":"int32","optional":true,"field":"product_id"},{"type":"int32","optional":true,"field":"qty"},{"type":"int32","optional":true,"field":"total_price"},{"type":"int32","optional":true,"field":"unit_price"}],"optional":false,"name":"orders"},"payload":{"id":1,"user_id":1,"product_id":1,"qty":5,"total_price":6000,"unit_price":1200}}"#;

#[test]
fn the_readme_prints_what_is_tested_here() {
    let readme = include_str!("../../README.md");
    for printed in [CREATE, INSERT, SOURCE, SINK, TYPED, MISSPELT, ORDER] {
        assert!(readme.contains(printed), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_tables_and_records_are_as_it_prints_them() {
    on_mariadb(async |world: &mut World| {
        world.run(CREATE).await;
        world.run(INSERT).await;
        // The moment of the printed record.
        world
            .run("update users set created_at = '2021-08-01 11:04:17'")
            .await;
        let source = world.here(SOURCE);
        let (status, created) = world.post(&source).await;
        assert_eq!((status, &created["type"]), (201, &json!("source")));
        assert_eq!(created["config"]["name"], source["name"]);
        assert_eq!(
            world.get("/connectors").await.unwrap(),
            json!([source["name"]])
        );
        let topic = world.topic("users");
        eventually("the record", async || values_of(&topic).await == [RECORD]).await;
        let status = world.status(&source).await;
        assert_eq!(status["connector"]["state"], "RUNNING");
        assert_eq!(status["tasks"][0]["state"], "RUNNING");
        assert_eq!(status["type"], "source");

        assert_eq!(world.post(&world.here(SINK)).await.0, 201);
        type_into(&topic, TYPED).await;
        let rows = format!(
            "SELECT CONCAT_WS('|', id, name, pwd, COALESCE(created_at, 'NULL')) FROM `{topic}` ORDER BY id"
        );
        let expected = [
            "1|test|test1234|2021-08-01 11:04:17.000",
            "2|test2|test2234|NULL",
        ];
        eventually("the rows", async || world.text(&rows).await == expected).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_order_sink_is_told_its_misspellings_and_takes_its_record() {
    on_mariadb(async |world: &mut World| {
        let (status, refused) = world.post(&world.here(MISSPELT)).await;
        assert_eq!(status, 400);
        let message = refused["message"].as_str().unwrap();
        for meant in [
            "did you mean io.confluent.connect.jdbc.JdbcSinkConnector?",
            "delete.enbaled (did you mean delete.enabled?)",
        ] {
            assert!(message.contains(meant), "{message}");
        }

        let corrected = MISSPELT
            .replace("JdbcSingConnector", "JdbcSinkConnector")
            .replace("delete.enbaled", "delete.enabled");
        let topic = world.topic("orders");
        create_topic(&topic).await;
        assert_eq!(world.post(&world.here(&corrected)).await.0, 201);
        type_into(&topic, ORDER).await;
        let rows = format!(
            "SELECT CONCAT_WS('|', id, user_id, product_id, qty, total_price, unit_price) FROM `{topic}`"
        );
        eventually("the row", async || {
            world.text(&rows).await == ["1|1|1|5|6000|1200"]
        })
        .await;
    })
    .await;
}

async fn create_topic(name: &str) {
    let settings = KafkaSettings {
        bootstrap_servers: kafka(),
        ..KafkaSettings::default()
    };
    let topic = TopicSettings::new(name, 1);
    ensure_topics(&settings, &[topic]).await.unwrap();
}

/// As the console producer sends a line: without a key.
async fn type_into(topic: &str, line: &str) {
    let producer: FutureProducer = client().create().unwrap();
    let typed = FutureRecord::<(), _>::to(topic).payload(line);
    producer.send(typed, Duration::from_secs(10)).await.unwrap();
}

use std::sync::Arc;

use prometheus_client::registry::Registry;
use shared::http::Health;

use super::*;
use crate::metrics::PublishMetrics;
use crate::settings::TailSettings;
use crate::tail::tests::{order, outcome};
use crate::visibility::Visibility;
use crate::{publisher, read_model};

async fn app() -> App {
    let mut registry = Registry::default();
    let metrics = Arc::new(PublishMetrics::register(&mut registry));
    let health = Health::default();
    let writing = ["broker", "publisher"].map(|name| health.critical(name));
    App {
        publisher: publisher::channel(1, Duration::ZERO, writing[1].clone(), metrics).0,
        tail: Tail::new(&TailSettings::default()),
        writing,
        following: health.degrading("tail"),
        read_model: read_model::tests::empty().await,
        accepted: Visibility::register(&mut registry).1,
        drain: CancellationToken::new(),
        topics: Topics::default(),
        traces: Traces::default(),
    }
}

fn with_key(qty: i32) -> Order {
    let id = OrderId::from_parts(&[b"key", &qty.to_be_bytes()]);
    Order {
        qty,
        idempotency_key: Some("key".to_owned()),
        ..order(id)
    }
}

#[tokio::test]
async fn an_order_is_waited_for_though_its_outcome_was_faster() {
    let app = app().await;
    for wait in [None, Some(Duration::ZERO), Some(Duration::from_secs(60))] {
        let id = OrderId::random();
        let arrivals = async {
            app.tail.on_outcome(outcome(id));
            tokio::time::sleep(Duration::from_millis(50)).await;
            app.tail.on_order(order(id));
        };
        let find = async {
            match wait {
                None => app.find_own_write(id).await,
                Some(wait) => app.find_decided(id, wait).await,
            }
        };
        let (known, ()) = tokio::join!(find, arrivals);
        assert!(!known.unwrap().unwrap().is_pending(), "{wait:?}");
    }
}

#[tokio::test]
async fn of_two_orders_with_a_key_each_retry_finds_its_own() {
    let app = app().await;
    let orders = [1, 2].map(with_key);
    for order in &orders {
        app.tail.on_order(order.clone());
    }
    for order in &orders {
        let known = app.already_placed(order).await.unwrap();
        assert_eq!(known.order.id, order.id);
    }
    let known = app.already_placed(&with_key(3)).await.unwrap();
    assert_eq!(known.order.id, orders[1].id);
}

#[tokio::test]
async fn what_is_not_found_may_exist_in_an_outage_and_for_a_while_after_it() {
    let app = app().await;
    let recent = OrderId::random();
    let old = "0193b5a0-0000-7000-8000-000000000001".parse().unwrap();
    let never = "0193b5a0-0000-4000-8000-000000000001".parse().unwrap();
    let keyed = with_key(1).id;
    let may_exist = || [recent, old, keyed, never].map(|id| app.may_exist(id));
    assert_eq!(may_exist(), [true, true, true, false], "still starting");
    for dependency in app.writing.iter().chain([&app.following]) {
        dependency.up();
    }
    assert_eq!(may_exist(), [false; 4], "all is well");
    app.following.down("refused");
    assert_eq!(may_exist(), [true, false, true, false], "without the tail");
    app.following.up();
    assert_eq!(may_exist(), [false; 4], "with the tail");
    app.writing[0].down("gone");
    assert_eq!(may_exist(), [true, true, true, false], "in an outage");
    app.writing[0].up();
    assert_eq!(may_exist(), [true, true, true, false], "just after it");
}

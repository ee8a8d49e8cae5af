//! On SQLite. The end-to-end tests walk the list on the other databases.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use shared::contract::Status;
use shared::http::Health;
use shared::settings::DatabaseSettings;
use tokio_util::sync::CancellationToken;

use super::*;

const ORDERS: usize = 24;
const STATUSES: [Status; 4] = [
    Status::Pending,
    Status::Confirmed,
    Status::Rejected,
    Status::Cancelled,
];

/// Most are confirmed; the oldest is rejected.
fn status_of(number: usize) -> Status {
    match number {
        0 => Status::Rejected,
        9 | 10 => Status::Cancelled,
        20.. => Status::Pending,
        _ => Status::Confirmed,
    }
}

/// Without orders.
pub(crate) async fn empty() -> ReadModel {
    let settings = DatabaseSettings {
        // Each connection has a database of its own.
        max_connections: 1,
        ..DatabaseSettings::at("sqlite::memory:")
    };
    let database = shared::database::connect(&settings).await.unwrap();
    migrations::up(&database, migrations::Database::Orders)
        .await
        .unwrap();
    let health = Health::default().degrading("database");
    health.up();
    let reader = Reader::new(database, settings.max_connections);
    let (read_model, look_ups) = ReadModel::new(reader, health);
    tokio::spawn(look_ups.run(CancellationToken::new()));
    read_model
}

/// Its orders, newest first, three of each millisecond.
async fn some_orders() -> (ReadModel, Vec<(OrderId, Status)>) {
    let read_model = empty().await;
    let mut orders = Vec::new();
    for number in 0..ORDERS {
        let (id, status) = (OrderId::random(), status_of(number));
        for statement in rows(number, id, status) {
            write(&read_model, &statement).await;
        }
        orders.insert(0, (id, status));
    }
    (read_model, orders)
}

fn rows(number: usize, id: OrderId, status: Status) -> Vec<String> {
    let at = format!("1970-01-01T00:00:00.{:03}+00:00", number / 3);
    let outcome = |kind, status| {
        format!(
            "INSERT INTO order_outcomes VALUES ('{id}:{kind}', '{id}', '{status}', NULL, '{at}')"
        )
    };
    let mut rows = vec![format!(
        "INSERT INTO orders VALUES ('{id}', 1, 1, 1, 1, 1, '{at}', NULL)"
    )];
    match status {
        Status::Pending => {}
        Status::Cancelled => rows.extend([
            outcome("reserve", Status::Confirmed),
            outcome("release", Status::Cancelled),
        ]),
        decided => rows.push(outcome("reserve", decided)),
    }
    rows
}

/// All pages, of which each looks through so many orders at most.
async fn pages(
    read_model: &ReadModel,
    status: Option<Status>,
    limit: u64,
    looked_through: u64,
) -> Vec<Vec<OrderId>> {
    let mut filter = Filter {
        user_id: None,
        status,
        cursor: None,
        limit,
    };
    let mut pages = Vec::new();
    loop {
        let found = read_model.walk(&filter, looked_through).await.unwrap();
        pages.push(found.orders.iter().map(|known| known.order.id).collect());
        match found.next {
            Some(next) => filter.cursor = Some(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn every_order_is_met_once_however_little_a_page_looks_through() {
    let (read_model, orders) = some_orders().await;
    for status in STATUSES.map(Some).into_iter().chain([None]) {
        let wanted = orders
            .iter()
            .filter(|order| status.is_none_or(|status| order.1 == status));
        let expected: Vec<_> = wanted.map(|order| order.0).collect();
        for limit in [1, 2, 5, 30] {
            for looked_through in [1, 2, 7, 24, 10_000] {
                let pages = pages(&read_model, status, limit, looked_through).await;
                let case = format!("{status:?}, {limit} on a page, {looked_through}: {pages:?}");
                assert_eq!(pages.concat(), expected, "{case}");
                assert!(
                    pages.iter().all(|page| page.len() as u64 <= limit),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_may_be_empty_and_not_the_last() {
    let (read_model, orders) = some_orders().await;
    let pages = pages(&read_model, Some(Status::Rejected), 5, 10).await;
    assert_eq!(pages, [vec![], vec![], vec![orders[ORDERS - 1].0]]);
}

async fn write(read_model: &ReadModel, statement: &str) {
    let written = read_model
        .reader
        .database
        .execute_unprepared(statement)
        .await;
    written.unwrap();
}

#[tokio::test]
async fn a_reason_of_a_later_version_is_left_out() {
    let (read_model, orders) = some_orders().await;
    write(&read_model, "UPDATE order_outcomes SET reason = 'LATER'").await;
    for (id, status) in orders {
        let known = read_model.order(id).await.unwrap().unwrap();
        assert_eq!(known.status(), status);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_outage() {
    let (read_model, orders) = some_orders().await;
    write(&read_model, "UPDATE order_outcomes SET status = 'LATER'").await;
    let (confirmed, _) = orders[ORDERS - 2];
    let found = read_model.order(confirmed).await;
    assert!(matches!(found, Err(ReadError::Row(_))), "{found:?}");
    assert!(read_model.health.is_up());
}

#[tokio::test]
async fn of_orders_that_are_looked_up_together_each_is_found_by_itself() {
    let (read_model, orders) = some_orders().await;
    let (unreadable, absent) = (orders[ORDERS - 1].0, OrderId::random());
    let later =
        format!("UPDATE order_outcomes SET status = 'LATER' WHERE order_id = '{unreadable}'");
    write(&read_model, &later).await;
    let ids = || orders.iter().map(|order| order.0).chain([absent]);
    // More than one query takes, and each more than once.
    let asked: Vec<_> = std::iter::repeat_with(ids).take(4).flatten().collect();
    let found = join_all(asked.iter().map(|id| read_model.order(*id))).await;
    for (id, found) in asked.into_iter().zip(found) {
        match found {
            Ok(Some(known)) => assert_eq!(known.order.id, id),
            Ok(None) => assert_eq!(id, absent),
            Err(error) => assert_eq!(id, unreadable, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_look_up_that_nobody_needs_may_be_late_and_a_read_may_not() {
    let read_model = empty().await;
    // The only connection.
    let held = read_model.reader.database.begin().await.unwrap();
    let found = read_model.placed_with(UserId(1), "key").await;
    assert!(matches!(found, Err(ReadError::TimedOut)), "{found:?}");
    assert!(read_model.health.is_up());
    assert!(read_model.order(OrderId::random()).await.is_err());
    assert!(!read_model.health.is_up());
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn a_question_keeps_its_place_until_it_is_answered_and_who_waits_in_line_asks_nothing() {
    let read_model = empty().await;
    let places = &read_model.reader.places;
    // The only connection.
    let held = read_model.reader.database.begin().await.unwrap();
    let given_up = read_model.placed_with(UserId(1), "asked").await;
    given_up.unwrap_err();
    assert_eq!(places.available_permits(), 0);
    let given_up = read_model.placed_with(UserId(1), "in line").await;
    given_up.unwrap_err();
    held.rollback().await.unwrap();
    // Once the only question that was asked is answered.
    drop(places.acquire().await.unwrap());
    assert_eq!(places.available_permits(), 1);
    assert!(read_model.order(OrderId::random()).await.unwrap().is_none());
}

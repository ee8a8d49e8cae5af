//! Every invariant can fail: one record, row or answer is spoilt, and exactly that line is red.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test"
)]

mod scene;

use std::process::Output;

use e2e::{Answered, Invariant, Pair, Report, binary};
use rdkafka::message::{Message, OwnedHeaders};
use shared::contract::{DeltaKind, Order, OrderId, Outcome, Reason, Status, Timestamp, UserId};
use shared::kafka::{DeadLetterTopic, LetterForm, OutRecord};
use test_database::{on_mariadb, on_postgres};

use self::scene::{Scene, after, answered, new_order, release, report, reserve};

async fn on_stack(scene: Scene, case: impl AsyncFnOnce(Pair)) {
    on_mariadb(async |orders| {
        on_mariadb(async |catalog| {
            let folder = tempfile::tempdir().unwrap();
            let pair = scene.written([&orders, &catalog], folder.path()).await;
            let topics = pair.topics.clone();
            case(pair).await;
            scene::delete(&topics).await;
        })
        .await;
    })
    .await;
}

/// The report's red lines.
fn red(report: &Report) -> Vec<Invariant> {
    let violated = |invariant: &Invariant| report.line(*invariant).violations > 0;
    Invariant::ALL.into_iter().filter(violated).collect()
}

/// Spoils a healthy scene; exactly this line must turn red, for this order or product.
async fn turns_red(invariant: Invariant, fault: &str, spoil: impl FnOnce(&mut Scene)) {
    let mut scene = Scene::healthy();
    spoil(&mut scene);
    on_stack(scene, async |pair| {
        let report = report(&pair).await;
        assert_eq!(red(&report), [invariant], "{report}");
        let line = report.line(invariant);
        assert_eq!(line.violations, 1, "{report}");
        // Of an order's copies any may be read first, and its other faults be told before.
        let mut told = line.first.iter();
        assert!(told.any(|found| found.contains(fault)), "{report}");
    })
    .await;
}

fn healthy(report: &Report) {
    assert_eq!(red(report), [], "{report}");
    for invariant in Invariant::ALL {
        assert!(report.line(invariant).checked > 0, "{report}");
    }
    assert_eq!(report.orders, 4);
}

#[tokio::test]
async fn a_pair_that_did_everything_right_is_green() {
    on_stack(Scene::healthy(), async |pair| healthy(&report(&pair).await)).await;
}

#[tokio::test]
async fn on_postgres_as_well() {
    on_postgres(async |orders| {
        on_postgres(async |catalog| {
            let folder = tempfile::tempdir().unwrap();
            let scene = Scene::healthy();
            let pair = scene.written([&orders, &catalog], folder.path()).await;
            healthy(&report(&pair).await);
            scene::delete(&pair.topics).await;
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_acknowledged_order_that_is_nowhere() {
    turns_red(Invariant::Acknowledged, "not on orders", |scene| {
        scene.answers.push(answered(&new_order(None), Some(201)));
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_not_what_the_client_asked_for() {
    turns_red(
        Invariant::Acknowledged,
        "asked for something else",
        |scene| {
            for answer in &mut scene.answers {
                if let Answered::Order { id, qty, .. } = answer
                    && *id == Some(scene.orders[0].id)
                {
                    *qty += 1;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn copies_of_an_order_that_differ_in_more_than_their_time() {
    turns_red(Invariant::Acknowledged, "differ", |scene| {
        let user_id = UserId(99);
        let copy = Order {
            user_id,
            ..scene.orders[1].clone()
        };
        scene.orders.push(copy);
    })
    .await;
}

#[tokio::test]
async fn an_order_with_a_key_under_a_second_id() {
    turns_red(Invariant::Acknowledged, "it may be there twice", |scene| {
        let order = Order {
            id: OrderId::random(),
            ..scene.orders[3].clone()
        };
        scene.placed(order, Status::Confirmed, None);
    })
    .await;
}

#[tokio::test]
async fn a_refused_order_that_was_placed() {
    turns_red(Invariant::Refused, "every answer refused it", |scene| {
        let keyed = scene.orders[3].clone();
        let refused = answered(&keyed, Some(503));
        let accepted = answered(&keyed, Some(201));
        scene.answers.retain(|answer| *answer != accepted);
        scene.answers.push(refused);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_was_refused_first_and_then_placed_is_right() {
    let mut scene = Scene::healthy();
    let keyed = scene.orders[3].clone();
    for status in [Some(503), Some(504), None] {
        scene.answers.push(answered(&keyed, status));
    }
    on_stack(scene, async |pair| healthy(&report(&pair).await)).await;
}

#[tokio::test]
async fn an_order_without_its_reservation() {
    turns_red(Invariant::Atomic, "has no reservation", |scene| {
        let id = scene.id(0);
        scene.deltas.retain(|delta| delta.order_id != id);
    })
    .await;
}

#[tokio::test]
async fn a_reservation_without_its_order() {
    turns_red(Invariant::Atomic, "reserves for no order", |scene| {
        scene.deltas.push(reserve(&new_order(None)));
    })
    .await;
}

#[tokio::test]
async fn a_reservation_of_another_quantity() {
    turns_red(Invariant::Atomic, "does not reserve what", |scene| {
        scene.deltas[0].delta -= 1;
    })
    .await;
}

/// The table's own constraint refuses it; where somebody has dropped that, `verify` still tells.
#[tokio::test]
async fn stock_that_was_oversold() {
    turns_red(Invariant::Stock, "stock is -1", |scene| {
        let sold_too_much = scene.stock + 1;
        scene.stock -= sold_too_much;
        scene.ledger[0].delta -= sold_too_much;
    })
    .await;
}

#[tokio::test]
async fn stock_that_is_not_the_sum_of_its_ledger() {
    turns_red(Invariant::Stock, "its ledger adds up to", |scene| {
        scene.stock += 1
    })
    .await;
}

#[tokio::test]
async fn a_reservation_that_moved_less_than_was_ordered() {
    turns_red(Invariant::Stock, "reserve moved -4, not -5", |scene| {
        let id = scene.id(0).to_string();
        let row = scene.ledger.iter_mut().find(|row| row.reference == id);
        row.unwrap().delta += 1;
        scene.stock += 1;
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_that_gave_back_twice() {
    turns_red(Invariant::Stock, "reserved -5 and released 10", |scene| {
        let release = scene.ledger.iter_mut().find(|row| row.kind == "release");
        release.unwrap().delta += 5;
        scene.stock += 5;
    })
    .await;
}

#[tokio::test]
async fn an_order_refused_as_of_no_product_though_it_is_there() {
    turns_red(Invariant::Stock, "as of no product", |scene| {
        let no_product = Some(Reason::UnknownProduct);
        scene.placed(new_order(None), Status::Rejected, no_product);
        let created = &mut scene.ledger[0].decided_at;
        *created = Timestamp::from_millis(created.millis() - 41_000).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_acknowledged_adjustment_that_is_not_in_the_ledger() {
    turns_red(Invariant::Stock, "not in stock_ledger", |scene| {
        scene.ledger.retain(|row| row.kind != "adjust");
        scene.stock -= 10;
    })
    .await;
}

#[tokio::test]
async fn an_order_that_nobody_decided() {
    turns_red(Invariant::Decided, "it is not decided", |scene| {
        scene.forget_decision(1)
    })
    .await;
}

#[tokio::test]
async fn an_undecided_order_whose_delta_is_a_dead_letter_is_listed_not_lost() {
    let mut scene = Scene::healthy();
    scene.forget_decision(1);
    scene.dead_deltas.push(reserve(&scene.orders[1]));
    on_stack(scene, async |pair| {
        let report = report(&pair).await;
        healthy(&report);
        assert_eq!((report.undecided, report.delta_dead_letters), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_that_was_put_back_excuses_nothing_any_more() {
    let mut scene = Scene::healthy();
    scene.forget_decision(1);
    scene.dead_deltas.push(reserve(&scene.orders[1]));
    on_stack(scene, async |pair| {
        let topics = &pair.topics;
        put_back(&pair, &topics.delta_dead_letters, &topics.catalog_deltas).await;
        let report = report(&pair).await;
        assert_eq!(red(&report), [Invariant::Decided], "{report}");
        let counts = (report.undecided, report.delta_dead_letters, report.foreign);
        assert_eq!(counts, (0, 0, 0));
    })
    .await;
}

/// The only letter of a topic.
async fn put_back(pair: &Pair, dead_letters: &str, topic: &str) {
    let letters = DeadLetterTopic {
        kafka: pair.kafka.clone(),
        name: dead_letters.to_owned(),
        form: LetterForm::Own,
    };
    let letter = letters.page(None, 1).await.unwrap().remove(0);
    let record = OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key: None,
        payload: letter.message.payload().map(<[u8]>::to_vec),
        timestamp: None,
        headers: OwnedHeaders::new(),
    };
    letters.replay(letter.address(), record).await.unwrap();
}

#[tokio::test]
async fn a_decision_that_was_not_published() {
    turns_red(Invariant::Decided, "is not on order_outcomes", |scene| {
        let id = scene.id(0);
        scene.outcomes.retain(|fact| fact.order_id != id);
        scene.outcome_rows.retain(|fact| fact.order_id != id);
    })
    .await;
}

#[tokio::test]
async fn a_copy_of_a_fact_that_says_something_else() {
    turns_red(
        Invariant::Decided,
        "is not what stock_ledger says",
        |scene| {
            let fact = scene.outcomes[0];
            let decided_at = after(fact.decided_at);
            scene.outcomes.push(Outcome { decided_at, ..fact });
        },
    )
    .await;
}

#[tokio::test]
async fn an_accepted_cancellation_without_its_release() {
    turns_red(
        Invariant::Decided,
        "a cancellation was answered 202",
        |scene| {
            let id = scene.id(0);
            let status = Some(202);
            scene.answers.push(Answered::Cancel { status, id });
        },
    )
    .await;
}

#[tokio::test]
async fn a_release_that_was_not_applied() {
    turns_red(
        Invariant::Decided,
        "catalog_deltas has a release, but stock_ledger has none",
        |scene| scene.deltas.push(release(&scene.orders[0])),
    )
    .await;
}

#[tokio::test]
async fn a_release_that_nobody_asked_for() {
    turns_red(
        Invariant::Decided,
        "stock_ledger has a release, but catalog_deltas has none",
        |scene| {
            scene
                .deltas
                .retain(|delta| delta.kind != DeltaKind::Release);
            let is_cancel = |answer: &Answered| matches!(answer, Answered::Cancel { .. });
            scene.answers.retain(|answer| !is_cancel(answer));
        },
    )
    .await;
}

#[tokio::test]
async fn stock_that_was_given_back_without_a_cancellation() {
    turns_red(
        Invariant::Decided,
        "stock_ledger's release moved 5 and is None",
        |scene| {
            let order = scene.orders[0].clone();
            scene.moves(order.id.to_string(), "release", 5, None);
            scene.stock += 5;
            scene.deltas.push(release(&order));
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_cancellation_whose_release_was_sent() {
    turns_red(Invariant::Refused, "refused its cancellation", |scene| {
        for answer in &mut scene.answers {
            if let Answered::Cancel { status, .. } = answer {
                *status = Some(503);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_adjustment_that_was_made() {
    turns_red(Invariant::Refused, "stock_ledger has it: 10", |scene| {
        for answer in &mut scene.answers {
            if let Answered::Adjustment { status, .. } = answer {
                *status = Some(409);
            }
        }
    })
    .await;
}

/// A rejected order has nothing to give back; of a 504 nobody knows; a release that cannot be
/// applied waits for a person.
#[tokio::test]
async fn cancellations_that_came_to_nothing_are_right() {
    let mut scene = Scene::healthy();
    let [confirmed, rejected] = [0, 1].map(|order| scene.orders[order].clone());
    scene.moves(rejected.id.to_string(), "release", 0, None);
    scene.deltas.extend([&confirmed, &rejected].map(release));
    scene.dead_deltas.push(release(&confirmed));
    for (id, status) in [(rejected.id, 503), (rejected.id, 504), (scene.id(3), 504)] {
        let status = Some(status);
        scene.answers.push(Answered::Cancel { status, id });
    }
    on_stack(scene, async |pair| {
        let report = report(&pair).await;
        healthy(&report);
        assert_eq!((report.undecided, report.delta_dead_letters), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_release_among_the_dead_letters_does_not_excuse_a_reservation() {
    turns_red(Invariant::Decided, "it is not decided", |scene| {
        scene.forget_decision(1);
        scene.dead_deltas.push(release(&scene.orders[1]));
    })
    .await;
}

#[tokio::test]
async fn a_fact_among_the_dead_letters_does_not_excuse_its_order() {
    turns_red(
        Invariant::InStep,
        "table orders does not have it",
        |scene| {
            scene.order_rows.remove(0);
            scene.dead_outcomes.push(scene.outcome_rows.remove(0));
        },
    )
    .await;
}

#[tokio::test]
async fn an_order_that_the_sink_did_not_write() {
    turns_red(
        Invariant::InStep,
        "table orders does not have it",
        |scene| {
            scene.order_rows.remove(0);
        },
    )
    .await;
}

#[tokio::test]
async fn an_order_that_waits_in_the_sinks_dead_letters_is_missed_once_it_was_put_back() {
    let mut scene = Scene::healthy();
    scene.dead_orders.push(scene.order_rows.remove(0));
    on_stack(scene, async |pair| {
        let waiting = report(&pair).await;
        healthy(&waiting);
        assert_eq!(waiting.sink_dead_letters, 1);
        let topics = &pair.topics;
        put_back(&pair, &topics.sink_dead_letters, &topics.orders).await;
        let report = report(&pair).await;
        assert_eq!(red(&report), [Invariant::InStep], "{report}");
        assert_eq!((report.sink_dead_letters, report.foreign), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_is_no_copy_of_its_order() {
    turns_red(Invariant::InStep, "none of its copies", |scene| {
        let row = &mut scene.order_rows[0];
        row.created_at = after(row.created_at);
    })
    .await;
}

#[tokio::test]
async fn a_row_of_no_order() {
    turns_red(Invariant::InStep, "none of its copies", |scene| {
        scene.order_rows.push(new_order(None));
    })
    .await;
}

#[tokio::test]
async fn a_fact_that_the_sink_did_not_write() {
    turns_red(
        Invariant::InStep,
        "does not have the fact of its reserve",
        |scene| {
            scene.outcome_rows.remove(0);
        },
    )
    .await;
}

#[tokio::test]
async fn a_row_that_is_no_copy_of_its_fact() {
    turns_red(Invariant::InStep, "no copy of a fact", |scene| {
        scene.outcome_rows[0].status = Status::Rejected;
    })
    .await;
}

fn run(pair: &Pair, broker: &str, more: &[&str]) -> Output {
    binary("verify")
        .unwrap()
        .args(["--bootstrap-servers", broker])
        .args(["--orders-database", &pair.orders_database])
        .args(["--catalog-database", &pair.catalog_database])
        .args(["--orders", &pair.topics.orders])
        .args(["--catalog-deltas", &pair.topics.catalog_deltas])
        .args(["--order-outcomes", &pair.topics.order_outcomes])
        .args(["--delta-dead-letters", &pair.topics.delta_dead_letters])
        .args(["--sink-dead-letters", &pair.topics.sink_dead_letters])
        .args(more)
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_program_tells_by_its_exit_code() {
    let mut scene = Scene::healthy();
    scene.order_rows.remove(0);
    let missing: OrderId = scene.id(0);
    on_stack(scene, async |pair| {
        let violated = run(&pair, &pair.kafka.bootstrap_servers, &[]);
        let table = String::from_utf8_lossy(&violated.stdout).into_owned();
        assert_eq!(violated.status.code(), Some(1), "{table}");
        assert!(table.contains(&missing.to_string()), "{table}");

        let unreachable = run(&pair, "127.0.0.1:1", &[]);
        let error = String::from_utf8_lossy(&unreachable.stderr).into_owned();
        assert_eq!(unreachable.status.code(), Some(2), "{error}");
        assert!(error.starts_with("error: could not verify"), "{error}");
    })
    .await;
    on_stack(Scene::healthy(), async |pair| {
        let broker = &pair.kafka.bootstrap_servers;
        let answers = pair.answers[0].display().to_string();
        let (alone, held) = (&["--strict"][..], &["--strict", "--answers", &answers][..]);
        for (more, first) in [
            (alone, "all copies of"),
            (held, "orders answered 200 or 201"),
        ] {
            let fine = run(&pair, broker, more);
            assert_eq!(fine.status.code(), Some(0), "{fine:?}");
            let table = String::from_utf8_lossy(&fine.stdout).into_owned();
            assert!(table.contains(&format!("\n1 {first}")), "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn where_nobody_sends_bad_data_a_dead_letter_is_a_violation() {
    let mut scene = Scene::healthy();
    scene.forget_decision(1);
    scene.dead_deltas.push(reserve(&scene.orders[1]));
    on_stack(scene, async |pair| {
        for (more, code) in [(&[][..], 0), (&["--strict"][..], 1)] {
            let ended = run(&pair, &pair.kafka.bootstrap_servers, more);
            assert_eq!(ended.status.code(), Some(code), "{more:?}: {ended:?}");
        }
    })
    .await;
}

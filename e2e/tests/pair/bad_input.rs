use std::sync::Arc;

use anyhow::{Context, ensure};
use e2e::{Answer, Http, World};
use libtest_mimic::Trial;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::contract::OrderId;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_that_breaks_a_rule_is_refused_with_the_field_named,
        an_order_that_is_not_the_json_asked_for_is_refused,
        bad_headers_of_an_order_are_refused,
        bad_ids_and_queries_of_orders_are_refused,
        products_that_break_a_rule_are_refused,
        adjustments_that_break_a_rule_are_refused,
        bad_ids_and_queries_of_the_catalog_are_refused,
        unknown_routes_and_wrong_methods_are_refused,
        every_service_tells_about_itself,
    ]
}

/// A request that must be refused with a problem, and words that its detail must have.
struct Fault {
    request: RequestBuilder,
    status: u16,
    words: &'static str,
}

/// All faults that are not answered as they should be, in one error.
async fn each_is_refused(faults: Vec<Fault>) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for fault in faults {
        let shown = fault
            .request
            .try_clone()
            .and_then(|request| request.build().ok());
        if let Err(error) = refused(fault).await {
            let shown = shown.context("a request can be shown")?;
            let body = shown
                .body()
                .and_then(|body| body.as_bytes())
                .unwrap_or_default();
            let body = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            wrong.push(format!(
                "{} {} {body}: {error:#}",
                shown.method(),
                shown.url()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn refused(fault: Fault) -> anyhow::Result<()> {
    let answer = Answer::to(fault.request).await?.expect(fault.status)?;
    let detail = answer.problem()?.detail.context("a detail")?;
    ensure!(
        detail.contains(fault.words),
        "`{}` is not in `{detail}`",
        fault.words
    );
    Ok(())
}

fn good_order() -> Value {
    json!({ "user_id": 1, "product_id": 1, "qty": 1, "unit_price": 1 })
}

/// A good body with one field replaced by this literal.
fn with(mut body: Value, field: &str, literal: &str) -> String {
    body[field] = json!("<literal>");
    body.to_string().replace("\"<literal>\"", literal)
}

fn post(http: &Http, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    http.post(path)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
}

async fn an_order_that_breaks_a_rule_is_refused_with_the_field_named(
    world: &World,
) -> anyhow::Result<()> {
    let http = &world.orders[0];
    let cases = [
        ("qty", "0", "qty must be 1 to 10000"),
        ("qty", "-1", "qty must be 1 to 10000"),
        ("qty", "10001", "qty must be 1 to 10000"),
        ("qty", "99999999999999999999", "qty must be 1 to 10000"),
        ("qty", "1e30", "qty must be 1 to 10000"),
        ("user_id", "0", "user_id"),
        ("product_id", "-3", "product_id"),
        ("unit_price", "-1", "unit_price"),
        ("unit_price", "1e30", "unit_price"),
    ];
    let mut faults: Vec<_> = cases
        .map(|(field, literal, words)| {
            // Twice the largest price must not fit.
            let order = if field == "unit_price" {
                with(good_order(), "qty", "2")
            } else {
                good_order().to_string()
            };
            let order = serde_json::from_str(&order).unwrap_or_default();
            Fault {
                request: post(http, "/orders", with(order, field, literal)),
                status: 422,
                words,
            }
        })
        .into();
    let overflow = json!({ "user_id": 1, "product_id": 1, "qty": 2, "unit_price": i64::MAX });
    let request = post(http, "/orders", overflow.to_string());
    faults.push(Fault {
        request,
        status: 422,
        words: "unit_price times qty is too large",
    });
    each_is_refused(faults).await
}

async fn an_order_that_is_not_the_json_asked_for_is_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.orders[0];
    let order = good_order().to_string();
    let fault = |body: Vec<u8>, words| Fault {
        request: post(http, "/orders", body),
        status: 400,
        words,
    };
    let mut not_utf8 = order.clone().into_bytes();
    not_utf8.splice(2..3, [0xff]);
    let mut faults = vec![
        fault(Vec::new(), "EOF"),
        fault(order[..order.len() - 1].into(), "EOF"),
        fault(format!("{order} and more").into(), "trailing"),
        fault(b"[]".into(), "invalid length"),
        fault(not_utf8, "unicode"),
        fault(with(good_order(), "qty", "\"two\"").into(), "field `qty`"),
        fault(with(good_order(), "qty", "1.5").into(), "field `qty`"),
        fault(with(good_order(), "qty", "null").into(), "field `qty`"),
        fault(
            with(good_order(), "colour", "1").into(),
            "unknown field `colour`",
        ),
        fault(
            br#"{"user_id":1,"product_id":1,"qty":1}"#.into(),
            "missing field `unit_price`",
        ),
    ];
    let large = post(http, "/orders", vec![b' '; 10 * 1024 * 1024]);
    faults.push(Fault {
        request: large,
        status: 413,
        words: "smaller",
    });
    let plain = http
        .post("/orders")
        .header(CONTENT_TYPE, "text/plain")
        .body(order.clone());
    faults.push(Fault {
        request: plain,
        status: 415,
        words: "application/json",
    });
    let untyped = http.post("/orders").body(order);
    faults.push(Fault {
        request: untyped,
        status: 415,
        words: "application/json",
    });
    each_is_refused(faults).await
}

async fn bad_headers_of_an_order_are_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.orders[0];
    let order = || post(http, "/orders", good_order().to_string());
    let too_long = "k".repeat(256);
    let mut faults = Vec::new();
    for key in [
        &b""[..],
        too_long.as_bytes(),
        "\u{e9}".as_bytes(),
        b"two words",
    ] {
        let request = order().header("Idempotency-Key", HeaderValue::from_bytes(key)?);
        faults.push(Fault {
            request,
            status: 422,
            words: "Idempotency-Key",
        });
    }
    for preference in ["wait=abc", "wait=-1", "wait="] {
        let words = "Prefer";
        let request = order().header("Prefer", preference);
        faults.push(Fault {
            request,
            status: 400,
            words,
        });
        let read = http
            .get(&format!("/orders/{}", OrderId::random()))
            .header("Prefer", preference);
        faults.push(Fault {
            request: read,
            status: 400,
            words,
        });
    }
    each_is_refused(faults).await
}

async fn bad_ids_and_queries_of_orders_are_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.orders[0];
    let fault = |path: &str, status, words| Fault {
        request: http.get(path),
        status,
        words,
    };
    let unknown = format!("/orders/{}", uuid::Uuid::nil());
    each_is_refused(vec![
        fault("/orders/not-a-uuid", 400, "the path"),
        fault(&unknown, 404, "there is no order"),
        fault("/orders?cursor=nonsense", 400, "cursor"),
        fault("/orders?limit=0", 400, "limit must be 1 to"),
        fault("/orders?limit=501", 400, "limit must be 1 to"),
        fault("/orders?limit=many", 400, "the query"),
        fault("/orders?user_id=me", 400, "the query"),
        fault("/orders?status=LOST", 400, "LOST"),
        fault("/orders?colour=red", 400, "colour"),
        Fault {
            request: http.post("/orders/not-a-uuid/cancel"),
            status: 400,
            words: "the path",
        },
        Fault {
            request: http.post(&format!("{unknown}/cancel")),
            status: 404,
            words: "there is no order",
        },
    ])
    .await
}

async fn products_that_break_a_rule_are_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.catalog;
    let path = format!("/catalog/{}", world.unique());
    let good = || json!({ "name": "Cup", "unit_price": 1, "qty": 1 });
    let put = |body: String| {
        http.put(&path)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
    };
    let fault = |field, literal, status, words| Fault {
        request: put(with(good(), field, literal)),
        status,
        words,
    };
    let mut faults = vec![
        fault("name", "\"\"", 422, "name"),
        fault("name", "\"  \"", 422, "name"),
        fault("unit_price", "-1", 422, "unit_price"),
        fault("qty", "-1", 422, "qty"),
        fault("qty", "1000000000001", 422, "qty"),
        fault("name", "1", 400, "field `name`"),
        fault("qty", "\"one\"", 400, "field `qty`"),
        fault("colour", "1", 400, "unknown field `colour`"),
        Fault {
            request: put("{".to_owned()),
            status: 400,
            words: "EOF",
        },
        Fault {
            request: put(" ".repeat(10 * 1024 * 1024)),
            status: 413,
            words: "smaller",
        },
    ];
    let zero = http.put("/catalog/0").json(&good());
    faults.push(Fault {
        request: zero,
        status: 422,
        words: "product_id",
    });
    let plain = http
        .put(&path)
        .header(CONTENT_TYPE, "text/plain")
        .body(good().to_string());
    faults.push(Fault {
        request: plain,
        status: 415,
        words: "application/json",
    });
    each_is_refused(faults).await
}

async fn adjustments_that_break_a_rule_are_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.catalog;
    let path = format!("/catalog/{}/adjustments", world.new_product(1).await?);
    let good = || json!({ "delta": 1, "reason": "restock" });
    let keyed = |body: String| post(http, &path, body).header("Idempotency-Key", "k");
    let fault = |field, literal, status, words| Fault {
        request: keyed(with(good(), field, literal)),
        status,
        words,
    };
    let nowhere = format!("/catalog/{}/adjustments", world.unique());
    each_is_refused(vec![
        fault("delta", "0", 422, "delta"),
        fault("delta", "1000000001", 422, "delta"),
        fault("reason", "\"\"", 422, "reason"),
        fault("delta", "1.5", 400, "field `delta`"),
        fault("colour", "1", 400, "unknown field `colour`"),
        fault("delta", "-2", 409, "below zero"),
        Fault {
            request: post(http, &path, good().to_string()),
            status: 422,
            words: "Idempotency-Key",
        },
        Fault {
            request: post(http, &path, good().to_string()).header("Idempotency-Key", ""),
            status: 422,
            words: "Idempotency-Key",
        },
        Fault {
            request: post(http, &nowhere, good().to_string()).header("Idempotency-Key", "k"),
            status: 404,
            words: "there is no product",
        },
    ])
    .await
}

async fn bad_ids_and_queries_of_the_catalog_are_refused(world: &World) -> anyhow::Result<()> {
    let http = &world.catalog;
    let product = world.new_product(1).await?;
    let ledger = format!("/catalog/{product}/ledger");
    let fault = |path: &str, status, words| Fault {
        request: http.get(path),
        status,
        words,
    };
    each_is_refused(vec![
        fault("/catalog/cup", 400, "the path"),
        fault(
            &format!("/catalog/{}", world.unique()),
            404,
            "there is no product",
        ),
        fault(
            &format!("/catalog/{}/ledger", world.unique()),
            404,
            "there is no product",
        ),
        fault("/catalog?cursor=nonsense", 400, "cursor"),
        fault("/catalog?limit=0", 400, "limit"),
        fault("/catalog?limit=many", 400, "the query"),
        fault("/catalog?colour=red", 400, "colour"),
        fault(&format!("{ledger}?cursor=nonsense"), 400, "cursor"),
        fault(&format!("{ledger}?limit=100000"), 400, "limit"),
        fault(&format!("{ledger}?colour=red"), 400, "colour"),
    ])
    .await
}

async fn unknown_routes_and_wrong_methods_are_refused(world: &World) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for http in [&*world.orders[0], &*world.catalog] {
        let request = http.get("/nowhere");
        faults.push(Fault {
            request,
            status: 404,
            words: "/nowhere",
        });
    }
    for (http, method, path, allow) in [
        (&*world.orders[0], Method::DELETE, "/orders", "GET, POST"),
        (&*world.orders[0], Method::PUT, "/orders/1", "GET"),
        (&*world.orders[0], Method::GET, "/orders/1/cancel", "POST"),
        (&*world.orders[0], Method::POST, "/orders/stream", "GET"),
        (&*world.orders[0], Method::POST, "/readyz", "GET"),
        (&*world.catalog, Method::POST, "/catalog", "GET"),
        (&*world.catalog, Method::DELETE, "/catalog/1", "GET, PUT"),
        (
            &*world.catalog,
            Method::GET,
            "/catalog/1/adjustments",
            "POST",
        ),
        (&*world.catalog, Method::POST, "/catalog/1/ledger", "GET"),
    ] {
        let answer = Answer::to(http.request(method.clone(), path)).await?;
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        faults.push(Fault {
            request: http.request(method, path),
            status: 405,
            words: allow,
        });
    }
    each_is_refused(faults).await
}

async fn every_service_tells_about_itself(world: &World) -> anyhow::Result<()> {
    for http in [&*world.orders[0], &*world.orders[1], &*world.catalog] {
        let text = async |path: &str| {
            Ok::<_, anyhow::Error>(Answer::to(http.get(path)).await?.expect(200)?.text())
        };
        assert_eq!(text("/livez").await?, "alive");
        let report: Value = serde_json::from_str(&text("/readyz").await?)?;
        assert_eq!(report["dependencies"]["broker"]["status"], "up", "{report}");
        assert!(text("/metrics").await?.contains("http_requests_total"));
        let api: Value = serde_json::from_str(&text("/openapi.json").await?)?;
        assert!(
            api["openapi"]
                .as_str()
                .is_some_and(|version| version.starts_with("3.1"))
        );
        for path in ["/docs", "/docs/"] {
            assert!(text(path).await?.contains("swagger-ui"), "{path}");
        }
    }
    Ok(())
}

use actix_web::web::{Data, Json, Path, Query};
use sea_orm::ActiveEnum;
use serde::Deserialize;
use shared::contract::{ProductId, Timestamp};
use shared::http::{FieldError, Page, Problem, ProblemDocument, bad_cursor, page_limit};
use utoipa::IntoParams;

use super::Answer;
use super::problem::{self, ReadProblems};
use crate::catalog::Catalog;
use crate::entities::{Entry, EntryKind, Reference};
use crate::store::{self, LedgerPage, LedgerPosition};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListLedger {
    /// Items per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl TryFrom<(ProductId, ListLedger)> for LedgerPage {
    type Error = Vec<FieldError>;

    fn try_from((product_id, query): (ProductId, ListLedger)) -> Result<Self, Self::Error> {
        let after = query
            .cursor
            .map(|cursor| position(&cursor).ok_or_else(bad_cursor))
            .transpose();
        match (page_limit(query.limit), after) {
            (Ok(limit), Ok(after)) => Ok(Self {
                product_id,
                after,
                limit,
            }),
            (limit, after) => Err(limit.err().into_iter().chain(after.err()).collect()),
        }
    }
}

/// `<milliseconds>.<kind>.<reference>` in hexadecimal: a reference holds characters that
/// would have to be escaped in a URL.
fn cursor(entry: &Entry) -> String {
    let kind = entry.kind.to_value();
    let text = format!("{}.{kind}.{}", entry.decided_at.millis(), entry.reference);
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn position(cursor: &str) -> Option<LedgerPosition> {
    let pairs = cursor.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let text = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    let mut parts = text.splitn(3, '.');
    Some(LedgerPosition {
        decided_at: Timestamp::from_millis(parts.next()?.parse().ok()?)?,
        kind: EntryKind::try_from_value(&parts.next()?.to_owned()).ok()?,
        reference: Reference::from_cursor(parts.next()?)?,
    })
}

/// A product's movements of stock, newest first
#[utoipa::path(
    get,
    path = "/catalog/{product_id}/ledger",
    tag = "catalog",
    params(("product_id" = i64, Path, example = 1), ListLedger),
    responses(
        (status = 200, body = Page<Entry>),
        (
            status = 404,
            description = "No such product",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        ReadProblems,
    ),
)]
pub(super) async fn list_ledger(
    catalog: Data<Catalog>,
    path: Path<ProductId>,
    query: Query<ListLedger>,
) -> Answer<Json<Page<Entry>>> {
    let id = path.into_inner();
    let page = LedgerPage::try_from((id, query.into_inner())).map_err(Problem::bad_query)?;
    let product = store::find_product(&catalog.db, id).await;
    if product
        .map_err(|error| problem::database(&error))?
        .is_none()
    {
        return Err(problem::unknown_product(id));
    }
    let limit = page.limit;
    let entries = store::list_entries(
        &catalog.db,
        LedgerPage {
            limit: limit + 1,
            ..page
        },
    )
    .await;
    let entries = entries.map_err(|error| problem::database(&error))?;
    Ok(Json(Page::of(entries, limit, cursor)))
}

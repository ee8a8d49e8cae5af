use actix_web::web::{Data, Json, Query};
use serde::Deserialize;
use shared::contract::ProductId;
use shared::http::{FieldError, Page, Problem, bad_cursor, page_limit};
use utoipa::IntoParams;

use super::Answer;
use super::problem::{self, ReadProblems};
use crate::catalog::Catalog;
use crate::entities::Product;
use crate::store::{self, StockPage};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListProducts {
    /// Items per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl TryFrom<ListProducts> for StockPage {
    type Error = Vec<FieldError>;

    fn try_from(query: ListProducts) -> Result<Self, Self::Error> {
        let after = query
            .cursor
            .map(|cursor| cursor.parse().map(ProductId))
            .transpose();
        match (page_limit(query.limit), after) {
            (Ok(limit), Ok(after)) => Ok(Self { after, limit }),
            (limit, after) => Err(limit
                .err()
                .into_iter()
                .chain(after.err().map(|_| bad_cursor()))
                .collect()),
        }
    }
}

/// Products and their stock, in the order of their ids
#[utoipa::path(
    get,
    path = "/catalog",
    tag = "catalog",
    params(ListProducts),
    responses(
        (status = 200, body = Page<Product>),
        ReadProblems,
    ),
)]
pub(super) async fn list_products(
    catalog: Data<Catalog>,
    query: Query<ListProducts>,
) -> Answer<Json<Page<Product>>> {
    let page = StockPage::try_from(query.into_inner()).map_err(Problem::bad_query)?;
    let one_more = StockPage {
        limit: page.limit + 1,
        ..page
    };
    let products = store::list_products(&catalog.db, one_more).await;
    let products = products.map_err(|error| problem::database(&error))?;
    Ok(Json(Page::of(products, page.limit, |last| {
        last.product_id.to_string()
    })))
}

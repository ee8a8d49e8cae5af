//! Orders by their ids. While enough are looked up, whoever else asks waits; together they are the
//! next query, which costs hardly more than one for a single order. There is no timer: the batching
//! clocks itself.

use std::collections::HashMap;
use std::convert::Infallible;

use futures_util::stream::{self, StreamExt};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{DbErr, FromQueryResult};
use shared::contract::OrderId;
use shared::database::filled_up;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{OrderRow, Orders, PATIENCE, ReadError, Reader, column, in_time, select_orders};
use crate::known_order::KnownOrder;

/// Queries at a time: half of what the pool has where the settings do not say, so that lists find a
/// connection. One query reads its rows one after the other; where they are on the disk, several wait
/// for it side by side.
const QUERIES: usize = 4;
/// Orders of one query; a power of two, as the lists of ids are.
const LARGEST_QUERY: usize = 64;
/// Beyond it, who asks waits to be let in.
const QUEUE: usize = 1_024;

struct LookUp {
    id: OrderId,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<KnownOrder>, ReadError>;

/// Where requests ask.
#[derive(Clone)]
pub(super) struct Asking(mpsc::Sender<LookUp>);

impl Asking {
    pub(super) async fn order(&self, id: OrderId) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.0.send(LookUp { id, answer }).await.ok();
        // Nobody answers if it could not be sent either.
        answered.await.unwrap_or(Err(ReadError::TimedOut))
    }
}

/// The task that answers.
pub(crate) struct LookUps {
    asked: mpsc::Receiver<LookUp>,
    reader: Reader,
}

impl LookUps {
    pub(super) fn new(reader: Reader) -> (Asking, Self) {
        let (asking, asked) = mpsc::channel(QUEUE);
        (Asking(asking), Self { asked, reader })
    }

    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let batches = stream::unfold(self.asked, |mut asked| async move {
            let mut batch = Vec::new();
            let taken = asked.recv_many(&mut batch, LARGEST_QUERY).await;
            (taken > 0).then_some((batch, asked))
        });
        let answering =
            batches.for_each_concurrent(QUERIES, |batch| answer(self.reader.clone(), batch));
        stop.run_until_cancelled(answering).await;
        Ok(())
    }
}

async fn answer(reader: Reader, mut batch: Vec<LookUp>) {
    // After an outage, most have gone.
    batch.retain(|asked| !asked.answer.is_closed());
    if batch.is_empty() {
        return;
    }
    let ids: Vec<_> = batch.iter().map(|asked| asked.id.to_string()).collect();
    let stored = in_time(PATIENCE, stored(&reader, &ids)).await;
    for LookUp { id, answer } in batch {
        let order = match &stored {
            Ok(orders) => orders
                .get(&id)
                .cloned()
                .transpose()
                .map_err(ReadError::from),
            Err(error) => Err(error.clone()),
        };
        // Who asked may have gone by now.
        answer.send(order).ok();
    }
}

/// A row that cannot be read is a matter of its own order only.
async fn stored(
    reader: &Reader,
    ids: &[String],
) -> Result<HashMap<OrderId, Result<KnownOrder, DbErr>>, DbErr> {
    let query = select_orders()
        .and_where(column(Orders::Id).is_in(filled_up(ids)))
        .take();
    let rows = reader.rows(query).await?;
    rows.iter()
        .map(|row| {
            let order = OrderRow::from_query_result(row, "");
            Ok((row.try_get("", "id")?, order.map(|row| row.0)))
        })
        .collect()
}

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::Audit;
use super::rows;
use crate::Databases;
use crate::hub::Hub;

/// Orders of one look.
const BATCH: usize = 2_048;
/// At least between two looks; as long as that a row may be visible unnoticed.
const SOON: Duration = Duration::from_millis(20);
/// After so many orders at once it rests: to look for many at a time costs the databases far less
/// than to look for each.
const MANY: usize = 50;
const LULL: Duration = Duration::from_millis(200);
/// After a look, so many times what it took: the databases are there for the pair.
const REST: u32 = 4;
/// While nothing comes of looking.
const LATER: Duration = Duration::from_millis(320);
/// Stock is summed again at the earliest after this, and after so many times what it took.
const STOCK_EVERY: Duration = Duration::from_secs(1);
const STOCK_SHARE: u32 = 100;

/// Looks for the rows of open orders.
pub(crate) struct Prover {
    pub(crate) audit: Arc<Audit>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) databases: Databases,
}

impl Prover {
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let both = async { tokio::join!(self.follow_orders(), self.follow_stock()) };
        stop.run_until_cancelled(both).await;
        Ok(())
    }

    async fn follow_orders(&self) {
        let (mut rest, mut wait) = (SOON, SOON);
        loop {
            // Whatever comes meanwhile: under load there is always more.
            tokio::time::sleep(rest).await;
            tokio::select! {
                () = tokio::time::sleep(wait), if !self.audit.is_settled() => {}
                () = self.audit.changed() => {}
            }
            let begun = Instant::now();
            let looked = self.look().await;
            self.audit.on_read("rows", &looked);
            let closed = match looked {
                Ok(closed) => closed,
                Err(error) => {
                    tracing::debug!(%error, "the rows cannot be read");
                    rest = LATER;
                    continue;
                }
            };
            wait = if closed == 0 {
                (wait * 2).min(LATER)
            } else {
                SOON
            };
            let least = if closed < MANY { SOON } else { LULL };
            rest = least.max(begun.elapsed() * REST);
        }
    }

    /// How many orders are closed by it.
    async fn look(&self) -> Result<usize, DbErr> {
        let cases = self.audit.due(BATCH);
        if cases.is_empty() {
            return Ok(0);
        }
        let keys: Vec<_> = cases.iter().map(|case| case.key).collect();
        let rows = rows::read(&self.databases, &keys).await?;
        Ok(self.audit.judge(&cases, &rows))
    }

    async fn follow_stock(&self) {
        loop {
            while !self.hub.is_watched() {
                tokio::time::sleep(STOCK_EVERY).await;
            }
            self.audit.look_for_overdue();
            let begun = Instant::now();
            let stock = rows::stock(&self.databases.catalog).await;
            self.audit.on_read("stock", &stock);
            match stock {
                Ok(products) => self.audit.on_stock(&products),
                Err(error) => tracing::debug!(%error, "stock cannot be read"),
            }
            let pause = STOCK_EVERY.max(begun.elapsed() * STOCK_SHARE);
            tokio::time::sleep(pause).await;
        }
    }
}

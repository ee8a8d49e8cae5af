use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use shared::contract::{Delta, DeltaKind, OrderId, ProductId, Timestamp};
use shared::crash_point;

use super::decide::{BadDelta, Decision, Movement, Plan, View, decide};
use crate::entities::{Entry, EntryKind, Product, Reference};
use crate::metrics::Metrics;
use crate::store::{self, Fault, Patience};

/// More than a lock wait of 5 s for each of its statements.
const TRANSACTION: Duration = Duration::from_secs(30);

/// How much of the ledger a transaction reads before it writes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Only what is released. What is reserved is new, as nearly always; where it is not, the
    /// ledger's primary key says so, and everything is undone.
    ForReleases,
    ForAll,
}

/// Applies deltas in their order, in one transaction, and returns one decision for each.
///
/// If the database refuses the data, bisecting finds the guilty deltas and applies the
/// others; they are [`BadDelta::Refused`]. An error means broken infrastructure: any
/// part may have been applied, or may yet be, and the same deltas may be applied again.
pub async fn apply(
    db: &DatabaseConnection,
    deltas: &[Delta],
    metrics: &Metrics,
) -> Result<Vec<Decision>, DbErr> {
    let mut decisions = Vec::with_capacity(deltas.len());
    let mut parts = vec![deltas];
    while let Some(part) = parts.pop() {
        match apply_despite_rivals(db, part, metrics).await {
            Ok(decided) => decisions.extend(decided),
            Err(error) if Fault::of(&error) != Fault::Data => return Err(error),
            Err(error) if part.len() == 1 => {
                decisions.push(Decision::Bad(BadDelta::Refused(error.to_string())));
            }
            Err(_) => {
                metrics.bisections.inc();
                let (earlier, later) = part.split_at(part.len() / 2);
                parts.extend([later, earlier]);
            }
        }
    }
    Ok(decisions)
}

async fn apply_despite_rivals(
    db: &DatabaseConnection,
    deltas: &[Delta],
    metrics: &Metrics,
) -> Result<Vec<Decision>, DbErr> {
    let mut patience = Patience::new(&metrics.conflicts);
    let mut look = Look::ForReleases;
    loop {
        match apply_once(db, deltas, look).await {
            Err(error) if look == Look::ForReleases && Fault::of(&error) == Fault::Conflict => {
                look = Look::ForAll;
            }
            Err(error) if patience.outlasts(&error).await => {}
            result => return result,
        }
    }
}

/// What would become of a delta now. Nothing is changed.
pub async fn rehearse(db: &DatabaseConnection, delta: &Delta) -> Result<Decision, DbErr> {
    let transaction = store::begin(db).await?;
    let plan = write(&transaction, std::slice::from_ref(delta), Look::ForAll).await;
    transaction.rollback().await?;
    match plan.map(|mut plan| plan.decisions.pop()) {
        Ok(decision) => Ok(decision.unwrap_or(Decision::Applied(None))),
        Err(error) if Fault::of(&error) == Fault::Data => {
            Ok(Decision::Bad(BadDelta::Refused(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

async fn apply_once(
    db: &DatabaseConnection,
    deltas: &[Delta],
    look: Look,
) -> Result<Vec<Decision>, DbErr> {
    if deltas.is_empty() {
        return Ok(Vec::new());
    }
    let (db, deltas) = (db.clone(), deltas.to_vec());
    let work = async move {
        let transaction = store::begin(&db).await?;
        let plan = write(&transaction, &deltas, look).await?;
        transaction.commit().await?;
        Ok(plan.decisions)
    };
    store::answered_within(TRANSACTION, work).await
}

async fn write(
    transaction: &DatabaseTransaction,
    deltas: &[Delta],
    look: Look,
) -> Result<Plan, DbErr> {
    let ids = deltas.iter().map(|delta| delta.product_id).collect();
    let products = store::lock_products(transaction, &ids).await?;
    let view = View {
        stock: products
            .values()
            .map(|product| (product.product_id, product.qty))
            .collect(),
        ledger: ledger_of(transaction, deltas, look).await?,
    };
    crash_point("catalog::locked");
    let now = Timestamp::now();
    let plan = decide(view, deltas, now);
    let entries: Vec<_> = plan.new_movements.iter().map(Entry::from).collect();
    store::insert_entries(transaction, &entries).await?;
    store::write_quantities(transaction, &changed(products, &plan, now)).await?;
    Ok(plan)
}

async fn ledger_of(
    transaction: &DatabaseTransaction,
    deltas: &[Delta],
    look: Look,
) -> Result<HashMap<(OrderId, DeltaKind), Movement>, DbErr> {
    let is_due = |delta: &&Delta| look == Look::ForAll || delta.kind == DeltaKind::Release;
    let due = deltas.iter().filter(is_due);
    let orders: BTreeSet<_> = due.map(|delta| delta.order_id).collect();
    let references: Vec<_> = orders.into_iter().map(Reference::order).collect();
    let entries = store::order_entries(transaction, &references).await?;
    let movements = entries.iter().map(Movement::try_from);
    movements
        .map(|movement| movement.map(|row| ((row.order_id, row.kind), row)))
        .collect()
}

fn changed(
    mut products: BTreeMap<ProductId, Product>,
    plan: &Plan,
    now: Timestamp,
) -> Vec<Product> {
    let rows = plan.changed_stock.iter().filter_map(|(id, qty)| {
        let product = products.remove(id)?;
        Some(Product {
            qty: *qty,
            updated_at: now,
            ..product
        })
    });
    rows.collect()
}

impl From<&Movement> for Entry {
    fn from(movement: &Movement) -> Self {
        Self {
            reference: Reference::order(movement.order_id),
            kind: movement.kind.into(),
            product_id: movement.product_id,
            delta: movement.delta,
            status: movement.status,
            reason: movement.reason.map(|reason| reason.to_string()),
            decided_at: movement.decided_at,
        }
    }
}

impl TryFrom<&Entry> for Movement {
    type Error = DbErr;

    fn try_from(entry: &Entry) -> Result<Self, DbErr> {
        let broken =
            |what: String| DbErr::Type(format!("stock_ledger {}: {what}", entry.reference));
        let kind = match entry.kind {
            EntryKind::Reserve => DeltaKind::Reserve,
            EntryKind::Release => DeltaKind::Release,
            other => return Err(broken(format!("{other:?} is not of an order"))),
        };
        let order_id = entry.reference.as_str().parse();
        let reason = entry.reason.as_deref().map(str::parse).transpose();
        Ok(Self {
            order_id: order_id.map_err(|error| broken(format!("{error}")))?,
            kind,
            product_id: entry.product_id,
            delta: entry.delta,
            status: entry.status,
            reason: reason.map_err(|error| broken(format!("{error}")))?,
            decided_at: entry.decided_at,
        })
    }
}

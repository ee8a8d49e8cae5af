use std::collections::BTreeMap;

use shared::contract::{Reason, Timestamp};

use super::fact::only_refused;
use super::report::{Invariant, Report};
use crate::database::LedgerRow;

/// More than a transaction of the catalog-service may take (30 s), and its instances' clocks differ:
/// what was decided so much later has seen what was there.
const SEEN_WITHIN_MS: i64 = 40_000;

/// What is known per product, and the adjustments that clients were told of.
#[derive(Debug, Default)]
pub(super) struct Stock {
    products: BTreeMap<i64, Product>,
    /// By the ledger's reference.
    adjustments: BTreeMap<String, Adjustment>,
}

#[derive(Debug, Default)]
struct Product {
    /// `None` where `stock` has no such product.
    qty: Option<i64>,
    ledger: i64,
    created_at: Option<Timestamp>,
    /// When an order was last refused because there was no such product.
    unknown_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Adjustment {
    /// What was answered, by status.
    answers: Vec<Option<u16>>,
    acknowledged: Option<i64>,
    in_ledger: Option<i64>,
}

impl Stock {
    pub(super) fn product(&mut self, id: i64, qty: i64) {
        self.products.entry(id).or_default().qty = Some(qty);
    }

    pub(super) fn moved(&mut self, row: &LedgerRow) {
        let product = self.products.entry(row.product_id).or_default();
        product.ledger = product.ledger.saturating_add(row.delta);
        let is_unknown = row.reason.as_deref() == Some(Reason::UnknownProduct.as_str());
        match row.kind.as_str() {
            "initial" => product.created_at = Some(row.decided_at),
            "reserve" if is_unknown => {
                product.unknown_at = product.unknown_at.max(Some(row.decided_at));
            }
            "adjust" => {
                let adjustment = self.adjustments.entry(row.reference.clone()).or_default();
                adjustment.in_ledger = Some(row.delta);
            }
            _ => {}
        }
    }

    pub(super) fn answered(&mut self, product: i64, key: &str, delta: i64, status: Option<u16>) {
        let reference = format!("{product}:{key}");
        let adjustment = self.adjustments.entry(reference).or_default();
        adjustment.answers.push(status);
        // The catalog-service said that it is in the ledger.
        if matches!(status, Some(200 | 201)) {
            adjustment.acknowledged = Some(delta);
        }
    }

    pub(super) fn check(&self, report: &mut Report) {
        for (id, product) in &self.products {
            report.checked(
                Invariant::Stock,
                format_args!("product {id}"),
                product.faults(),
            );
        }
        for (reference, adjustment) in &self.adjustments {
            let subject = format_args!("adjustment {reference}");
            if let Some(acknowledged) = adjustment.acknowledged {
                let faults = adjustment.not_as_acknowledged(acknowledged);
                report.checked(Invariant::Stock, subject, faults);
            } else if only_refused(adjustment.answers.iter().copied()) {
                report.checked(Invariant::Refused, subject, adjustment.made());
            }
        }
    }
}

impl Adjustment {
    fn not_as_acknowledged(&self, acknowledged: i64) -> Vec<String> {
        match self.in_ledger {
            Some(delta) if delta == acknowledged => vec![],
            Some(delta) => vec![format!(
                "acknowledged {acknowledged}, stock_ledger has {delta}"
            )],
            None => vec![format!("acknowledged {acknowledged}, not in stock_ledger")],
        }
    }

    fn made(&self) -> Vec<String> {
        let in_ledger = self.in_ledger.iter();
        let fault =
            |delta: &i64| format!("every answer refused it, but stock_ledger has it: {delta}");
        in_ledger.map(fault).collect()
    }
}

impl Product {
    fn faults(&self) -> Vec<String> {
        match self.qty {
            // A rejected order of a product that never was.
            None if self.ledger == 0 => vec![],
            None => vec![format!(
                "its ledger adds up to {}, but it is not in stock",
                self.ledger
            )],
            Some(qty) => {
                let mut faults = Vec::new();
                if qty != self.ledger {
                    faults.push(format!(
                        "stock is {qty}, its ledger adds up to {}",
                        self.ledger
                    ));
                }
                if qty < 0 {
                    faults.push(format!("stock is {qty}"));
                }
                faults.extend(self.refused_although_known());
                faults
            }
        }
    }

    fn refused_although_known(&self) -> Option<String> {
        let (created, refused) = (self.created_at?, self.unknown_at?);
        let is_late = refused.millis() - created.millis() > SEEN_WITHIN_MS;
        is_late.then(|| {
            format!("an order was refused at {refused}, as of no product, which is there since {created}")
        })
    }
}

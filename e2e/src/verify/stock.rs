use std::collections::BTreeMap;

use super::report::{Invariant, Report};

/// What is known per product, and the adjustments that clients were told of.
#[derive(Debug, Default)]
pub(super) struct Stock {
    products: BTreeMap<i64, Product>,
    /// Of acknowledged adjustments, by the ledger's reference.
    adjustments: BTreeMap<String, Adjustment>,
}

#[derive(Debug, Default)]
struct Product {
    /// `None` where `stock` has no such product.
    qty: Option<i64>,
    ledger: i64,
}

#[derive(Debug, Default)]
struct Adjustment {
    acknowledged: Option<i64>,
    in_ledger: Option<i64>,
}

impl Stock {
    pub(super) fn product(&mut self, id: i64, qty: i64) {
        self.products.entry(id).or_default().qty = Some(qty);
    }

    pub(super) fn moved(&mut self, product: i64, delta: i64) {
        let ledger = &mut self.products.entry(product).or_default().ledger;
        *ledger = ledger.saturating_add(delta);
    }

    pub(super) fn adjusted(&mut self, reference: String, delta: i64) {
        self.adjustments.entry(reference).or_default().in_ledger = Some(delta);
    }

    /// The catalog-service said that this adjustment is in the ledger.
    pub(super) fn acknowledged(&mut self, product: i64, key: &str, delta: i64) {
        let reference = format!("{product}:{key}");
        self.adjustments.entry(reference).or_default().acknowledged = Some(delta);
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
            if let Some(acknowledged) = adjustment.acknowledged {
                let faults = match adjustment.in_ledger {
                    Some(delta) if delta == acknowledged => vec![],
                    Some(delta) => vec![format!(
                        "acknowledged {acknowledged}, stock_ledger has {delta}"
                    )],
                    None => vec![format!("acknowledged {acknowledged}, not in stock_ledger")],
                };
                let subject = format_args!("adjustment {reference}");
                report.checked(Invariant::Stock, subject, faults);
            }
        }
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
                faults
            }
        }
    }
}

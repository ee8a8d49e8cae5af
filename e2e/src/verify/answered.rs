use std::path::PathBuf;

use shared::contract::OrderId;

use super::fact::{Answer, Fact, Place, What};
use super::spill::Spill;
use super::stock::Stock;
use crate::answers::{Answered, Answers};

pub(super) fn read(files: &[PathBuf], spill: &mut Spill, stock: &mut Stock) -> anyhow::Result<()> {
    for file in files {
        for (index, answered) in Answers::open(file)?.enumerate() {
            let place = Place::Line(index + 1);
            match answered? {
                Answered::Cancel { status, id } => {
                    let what = What::CancelAnswer(status);
                    spill.put(&Fact { id, place, what })?;
                }
                Answered::Adjustment {
                    status,
                    product_id,
                    delta,
                    key,
                } => stock.answered(product_id, &key, delta, status),
                Answered::Order {
                    status,
                    id,
                    user_id,
                    product_id,
                    qty,
                    unit_price,
                    key,
                } => {
                    let answer = Answer {
                        status,
                        user_id,
                        product_id,
                        qty,
                        unit_price,
                        key,
                    };
                    // Without id and key nobody can tell which order it would be.
                    if let Some(id) = id.or_else(|| keyed_id(&answer)) {
                        let what = What::Answer(answer);
                        spill.put(&Fact { id, place, what })?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The id that an order with an `Idempotency-Key` has on every instance, for ever.
fn keyed_id(answer: &Answer) -> Option<OrderId> {
    let numbers = [
        answer.user_id,
        answer.product_id,
        i64::from(answer.qty),
        answer.unit_price,
    ];
    let [user, product, qty, price] = numbers.map(|number| number.to_string());
    let texts = ["v1", &user, answer.key.as_ref()?, &product, &qty, &price];
    Some(OrderId::from_parts(&texts.map(str::as_bytes)))
}

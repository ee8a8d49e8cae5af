use std::path::PathBuf;

use super::fact::{Answer, Fact, Place, What};
use super::report::Report;
use super::spill::Spill;
use super::stock::Stock;
use crate::answers::{Answered, Answers};

pub(super) fn read(
    files: &[PathBuf],
    spill: &mut Spill,
    stock: &mut Stock,
    report: &mut Report,
) -> anyhow::Result<()> {
    for file in files {
        for (index, answered) in Answers::open(file)?.enumerate() {
            report.answers += 1;
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
                    if let Some(id) = id.or_else(|| answer.keyed_id()) {
                        let what = What::Answer(answer);
                        spill.put(&Fact { id, place, what })?;
                    }
                }
            }
        }
    }
    Ok(())
}

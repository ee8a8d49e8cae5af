use shared::asyncapi::{Action, Document, Operation, dead_letter, delta, outcome, replay_marker};

use crate::settings::Settings;

/// What is behind `/asyncapi.json`.
pub fn asyncapi(settings: &Settings) -> Document {
    let topics = &settings.topics;
    let document = Document::new(
        "catalog-service",
        "Turns deltas into stock, and decides what becomes of each order.",
    )
    .channel("catalog_deltas", &topics.catalog_deltas, [delta()])
    .channel("order_outcomes", &topics.order_outcomes, [outcome()])
    .channel(
        "dead_letters",
        &topics.dead_letters,
        [dead_letter(), replay_marker()],
    )
    .operation(Operation {
        name: "applyDelta",
        action: Action::Receive,
        channel: "catalog_deltas",
        message: "Delta",
        summary: "In batches, each one transaction of the database, as committed; one that comes \
                  again changes nothing.",
        group: Some(&settings.group),
    })
    .operation(Operation {
        name: "decideOrder",
        action: Action::Send,
        channel: "order_outcomes",
        message: "Outcome",
        summary: "After the decision is in the ledger, and again whenever its delta comes again. \
                  All outcomes of a batch go to one partition, whatever their keys: those of one \
                  order may be on several, and come in either order.",
        group: None,
    });
    with_dead_letters(document)
}

fn with_dead_letters(document: Document) -> Document {
    document
        .operation(Operation {
            name: "putAside",
            action: Action::Send,
            channel: "dead_letters",
            message: "DeadLetter",
            summary: "A delta that does not keep the contract, or that the database will never \
                      take.",
            group: None,
        })
        .operation(Operation {
            name: "listDeadLetters",
            action: Action::Receive,
            channel: "dead_letters",
            message: "DeadLetter",
            summary: "Whenever somebody asks for them.",
            group: None,
        })
        .operation(Operation {
            name: "putBack",
            action: Action::Send,
            channel: "catalog_deltas",
            message: "Delta",
            summary: "A dead letter, when somebody asks for it: in one transaction with its marker.",
            group: None,
        })
        .operation(Operation {
            name: "markReplay",
            action: Action::Send,
            channel: "dead_letters",
            message: "ReplayMarker",
            summary: "In one transaction with the delta that is put back.",
            group: None,
        })
}

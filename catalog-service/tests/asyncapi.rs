//! The description of the records is committed, so that a change of theirs shows in a diff.

use std::path::Path;

use catalog_service::{Settings, asyncapi};
use serde_json::Value;

#[test]
fn the_document_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("asyncapi.json");
    let document = asyncapi(&Settings::default()).to_json();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{document:#}\n")).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        serde_json::from_str::<Value>(&committed).is_ok_and(|committed| committed == document),
        "asyncapi.json is out of date: run this test with UPDATE_SNAPSHOTS=1 and review the diff"
    );
}

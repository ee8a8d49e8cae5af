//! The API's description is committed, so that a change of the API shows in a diff.

use std::path::Path;

#[test]
fn the_document_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let document = catalog_service::routes::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        document == committed,
        "openapi.json is out of date: run this test with UPDATE_SNAPSHOTS=1 and review the diff"
    );
}

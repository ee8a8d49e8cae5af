//! What may happen to a record on its way.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) enum Damage {
    Nothing,
    /// The record's bytes, one edit after the other.
    Bytes(Vec<Edit>),
    /// A member of its object becomes something else; `None`: it is gone.
    Member(Index, Option<Value>),
    /// A member that the contract does not know.
    Stranger,
    /// Other bytes in its place.
    Garbage(Vec<u8>),
    /// A key without a value.
    Tombstone,
}

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        50 => Just(Damage::Nothing),
        24 => vec(edit(), 1..4).prop_map(Damage::Bytes),
        14 => (any::<Index>(), member()).prop_map(|(which, value)| Damage::Member(which, value)),
        2 => Just(Damage::Stranger),
        9 => vec(any::<u8>(), 0..64).prop_map(Damage::Garbage),
        1 => Just(Damage::Tombstone),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    // What JSON is made of breaks more than any byte would.
    let byte = prop_oneof![select(&br#"{}[]":,.-+eE0123456789 \tnul"#[..]), any::<u8>()];
    let byte = byte.boxed();
    prop_oneof![
        4 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        3 => (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        3 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<Index>().prop_map(Edit::Truncate),
    ]
}

fn member() -> impl Strategy<Value = Option<Value>> {
    let other = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!(i32::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("é\u{0}🦀"),
        json!("9".repeat(300)),
        json!([1]),
        json!({"a": 1}),
    ];
    prop_oneof![1 => Just(None), 9 => select(other.to_vec()).prop_map(Some)]
}

impl Damage {
    /// `path` is the JSON pointer to the record's object.
    pub(crate) fn done_to(self, record: Vec<u8>, path: &str) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => Some(record),
            Self::Bytes(edits) => {
                let done = |bytes, edit: Edit| edit.done_to(bytes);
                Some(edits.into_iter().fold(record, done))
            }
            Self::Member(which, value) => edited(&record, path, |object| {
                let names: Vec<_> = object.keys().cloned().collect();
                let name = which.get(&names).clone();
                match value {
                    Some(value) => object.insert(name, value),
                    None => object.remove(&name),
                };
            }),
            Self::Stranger => edited(&record, path, |object| {
                object.insert("colour".to_owned(), json!("red"));
            }),
            Self::Garbage(bytes) => Some(bytes),
            Self::Tombstone => None,
        }
    }
}

impl Edit {
    fn done_to(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len();
        if length == 0 {
            return bytes;
        }
        match self {
            Self::Replace(at, byte) => bytes[at.index(length)] = byte,
            Self::Insert(at, byte) => bytes.insert(at.index(length), byte),
            Self::Remove(at) => {
                bytes.remove(at.index(length));
            }
            Self::Truncate(at) => bytes.truncate(at.index(length)),
        }
        bytes
    }
}

fn edited(
    record: &[u8],
    path: &str,
    edit: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Option<Vec<u8>> {
    let mut record: Value = serde_json::from_slice(record).ok()?;
    edit(record.pointer_mut(path)?.as_object_mut()?);
    Some(record.to_string().into_bytes())
}

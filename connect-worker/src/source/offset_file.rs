use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;

type Rows = BTreeMap<String, Vec<u8>>;

/// A table in a file, `[key,value]` a line, both JSON: for a worker that is alone. Every
/// change replaces the whole file, so that who is killed leaves the old one or the new one.
#[derive(Debug, Clone)]
pub(super) struct OffsetFile(Arc<Content>);

#[derive(Debug)]
struct Content {
    path: PathBuf,
    rows: Mutex<Rows>,
}

impl OffsetFile {
    /// A missing file is an empty one; that it can be written is seen now.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let rows = match fs::read(path) {
            Ok(text) => parse(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Rows::new(),
            Err(error) => return Err(error),
        };
        write(path, &rows)?;
        Ok(Self(Arc::new(Content {
            path: path.to_owned(),
            rows: Mutex::new(rows),
        })))
    }

    pub(super) fn rows(&self) -> Rows {
        self.0.rows.lock().clone()
    }

    /// Returns once it is on the disk; `None` removes the key.
    pub(super) async fn put(&self, key: &str, value: Option<&[u8]>) -> io::Result<()> {
        let (content, key) = (Arc::clone(&self.0), key.to_owned());
        let value = value.map(<[u8]>::to_vec);
        let written = tokio::task::spawn_blocking(move || {
            let mut rows = content.rows.lock();
            let mut changed = rows.clone();
            match value {
                Some(value) => changed.insert(key, value),
                None => changed.remove(&key),
            };
            write(&content.path, &changed)?;
            *rows = changed;
            Ok(())
        });
        written
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
    }
}

fn parse(text: &[u8]) -> io::Result<Rows> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let row = |line: &[u8]| {
        let (key, value): (Box<RawValue>, Box<RawValue>) = serde_json::from_slice(line)
            .map_err(|_| {
                let problem = "not a line of JSON that connect-worker wrote (Kafka Connect's own file is Java's): name another file";
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?;
        Ok((key.get().to_owned(), value.get().as_bytes().to_vec()))
    };
    lines.map(row).collect()
}

fn write(path: &Path, rows: &Rows) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let mut file = File::create(&next)?;
    for (key, value) in rows {
        let line = [b"[", key.as_bytes(), b",", value, b"]\n"].concat();
        file.write_all(&line)?;
    }
    file.sync_all()?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_put_is_there_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connect.offsets");
        let file = OffsetFile::open(&path).unwrap();
        let (users, orders) = (r#"["a",{"table":"users"}]"#, r#"["a",{"table":"orders"}]"#);
        file.put(users, Some(br#"{"incrementing":1}"#))
            .await
            .unwrap();
        file.put(users, Some(br#"{"incrementing":2}"#))
            .await
            .unwrap();
        file.put(orders, Some(b"{}")).await.unwrap();
        file.put(orders, None).await.unwrap();
        let expected = Rows::from([(users.to_owned(), br#"{"incrementing":2}"#.to_vec())]);
        assert_eq!(file.rows(), expected);
        assert_eq!(OffsetFile::open(&path).unwrap().rows(), expected);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "[[\"a\",{\"table\":\"users\"}],{\"incrementing\":2}]\n"
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connect.offsets");
        fs::write(&path, [0xac, 0xed, 0, 5]).unwrap();
        let error = OffsetFile::open(&path).unwrap_err();
        assert!(error.to_string().contains("name another file"), "{error}");
        let nowhere = folder.path().join("missing/connect.offsets");
        assert_eq!(
            OffsetFile::open(&nowhere).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}

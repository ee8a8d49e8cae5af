use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use anyhow::Context;
use shared::contract::OrderId;

use super::fact::Fact;

/// One file's facts are in memory at a time: of a million orders, some 16,000.
const FILES: u64 = 64;

/// Facts by order, in temporary files.
pub(super) struct Spill {
    files: Vec<BufWriter<File>>,
    len: u64,
}

impl Spill {
    pub(super) fn new() -> anyhow::Result<Self> {
        let file = |_| Ok(BufWriter::new(tempfile::tempfile()?));
        let files: std::io::Result<_> = (0..FILES).map(file).collect();
        Ok(Self {
            files: files.context("no temporary file can be made")?,
            len: 0,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn put(&mut self, fact: &Fact) -> anyhow::Result<()> {
        let mut hasher = DefaultHasher::new();
        fact.id.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % FILES)?;
        let bytes = postcard::to_stdvec(fact)?;
        let file = &mut self.files[index];
        file.write_all(&u32::try_from(bytes.len())?.to_le_bytes())
            .and_then(|()| file.write_all(&bytes))
            .context("the temporary folder cannot be written")?;
        self.len += 1;
        Ok(())
    }

    /// Calls once per order, with all that was put of it, in the order it was put.
    pub(super) fn for_each_order(
        self,
        mut check: impl FnMut(OrderId, &[Fact]),
    ) -> anyhow::Result<()> {
        for file in self.files {
            let mut facts = read(file).context("a temporary file cannot be read")?;
            facts.sort_by_key(|fact| fact.id);
            for order in facts.chunk_by(|a, b| a.id == b.id) {
                check(order[0].id, order);
            }
        }
        Ok(())
    }
}

fn read(file: BufWriter<File>) -> anyhow::Result<Vec<Fact>> {
    let mut file = file.into_inner()?;
    let end = file.stream_position()?;
    file.seek(SeekFrom::Start(0))?;
    let mut file = BufReader::new(file).take(end);
    let mut facts = Vec::new();
    let mut bytes = Vec::new();
    while file.limit() > 0 {
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        bytes.resize(usize::try_from(u32::from_le_bytes(length))?, 0);
        file.read_exact(&mut bytes)?;
        facts.push(postcard::from_bytes(&bytes)?);
    }
    Ok(facts)
}

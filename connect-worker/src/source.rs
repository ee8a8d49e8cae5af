//! A source task: rows of tables become records of topics.
//!
//! `catalog` looks up tables and the columns of a `relation` (a table or a query), `column`
//! makes fields of them, `reader` selects the rows that are new, `record` converts them,
//! `offsets` keeps how far they are. An offset is stored once the broker has acknowledged
//! the records before it: a crash anywhere repeats records, and loses none.

mod catalog;
mod column;
mod gaps;
mod offset_file;
mod offsets;
mod reader;
mod record;
mod relation;
mod task;

pub use offsets::{Offset, OffsetStore, Partition};
pub use task::Task;

//! What was measured, for people (Markdown, SVG) and for programs (JSON).

mod plot;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use indicatif::HumanFloatCount;
use serde::Serialize;
use serde_json::json;

pub(crate) use plot::{Axis, Line, Plot};

#[derive(Serialize)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Text(String),
    Figure { value: f64, unit: &'static str },
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// What a part of the benchmark has found out.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
    pub(crate) reached: Vec<Reached>,
    pub(crate) costs: Vec<[Cell; 4]>,
}

/// How near a path is to its limit.
pub(crate) struct Reached {
    pub(crate) path: String,
    pub(crate) figure: Cell,
    pub(crate) limit: Cell,
    pub(crate) limited_by: &'static str,
    pub(crate) ratio: f64,
    pub(crate) goal: &'static str,
}

impl From<Reached> for [Cell; 6] {
    fn from(reached: Reached) -> Self {
        [
            reached.path.into(),
            reached.figure,
            reached.limit,
            reached.limited_by.into(),
            figure(reached.ratio, ""),
            reached.goal.into(),
        ]
    }
}

/// `unit` is written directly behind the figure: `/s`, ` ms`, or nothing.
pub(crate) fn figure(value: f64, unit: &'static str) -> Cell {
    Cell::Figure { value, unit }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Figure { value, unit } if value.abs() >= 100.0 => {
                write!(f, "{:.0}{unit}", HumanFloatCount(*value))
            }
            Self::Figure { value, unit } if value.abs() >= 10.0 => write!(f, "{value:.1}{unit}"),
            Self::Figure { value, unit } => write!(f, "{value:.2}{unit}"),
        }
    }
}

/// As Markdown.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.columns.len()))?;
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(Cell::to_string).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// Prints the tables, and writes `{name}.json` and a `{name}-{plot}.svg` for each plot.
pub(crate) fn save(
    folder: &Path,
    name: &str,
    tables: &[Table],
    plots: &[Plot],
) -> anyhow::Result<()> {
    for table in tables {
        println!("{table}");
    }
    let cannot_write = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot_write)?;
    let report = serde_json::to_string_pretty(&json!({"tables": tables, "plots": plots}))?;
    std::fs::write(folder.join(format!("{name}.json")), report + "\n")
        .with_context(cannot_write)?;
    for plot in plots {
        let file = folder.join(format!("{name}-{}.svg", plot.name));
        std::fs::write(file, plot.svg()?).with_context(cannot_write)?;
    }
    eprintln!("figures and plots are in {}", folder.display());
    Ok(())
}

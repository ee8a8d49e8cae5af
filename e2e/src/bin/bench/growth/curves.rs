//! What is measured of several paths each time that something has grown.

use std::path::Path;

use indicatif::{HumanCount, HumanFloatCount};

use crate::measure::{Run, count, median};
use crate::report::{self, Axis, Cell, Line, Plot, Table, figure};

pub(crate) struct Curves {
    /// What grows.
    sizes: String,
    points: Vec<Point>,
}

/// All rounds of one path at one size.
struct Point {
    path: &'static str,
    size: u32,
    rates: Vec<f64>,
    requests: Run,
    /// That the database looked at meanwhile, for each request.
    pages: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Measure {
    name: &'static str,
    unit: &'static str,
    of: fn(&mut Point) -> Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure {
        name: "throughput",
        unit: "/s",
        of: |point| Some(median(point.rates.clone())),
    },
    Measure {
        name: "p99",
        unit: " ms",
        of: |point| {
            let waited_for = !point.requests.latencies.is_empty();
            waited_for.then(|| point.requests.percentile_ms(99))
        },
    },
    Measure {
        name: "pages",
        unit: "",
        of: |point| (!point.pages.is_empty()).then(|| median(point.pages.clone())),
    },
];

impl Curves {
    pub(crate) fn over(sizes: &str) -> Self {
        Self {
            sizes: sizes.to_owned(),
            points: Vec::new(),
        }
    }

    /// A round of requests. Sizes come in their order.
    pub(crate) fn add_requests(&mut self, path: &'static str, size: u32, run: Run) {
        self.add_rate(path, size, run.rate());
        let all = &mut self.point(path, size).requests.latencies;
        all.extend(run.latencies);
    }

    /// A round of what no client waits for.
    pub(crate) fn add_rate(&mut self, path: &'static str, size: u32, rate: f64) {
        eprintln!(
            "{} {}: {path} {rate:.0}/s",
            HumanCount(size.into()),
            self.sizes
        );
        self.point(path, size).rates.push(rate);
    }

    /// What the database looked at during a round of requests.
    pub(crate) fn add_looks(
        &mut self,
        path: &'static str,
        size: u32,
        looks: usize,
        requests: usize,
    ) {
        let pages = count(looks) / count(requests);
        self.point(path, size).pages.push(pages);
    }

    fn point(&mut self, path: &'static str, size: u32) -> &mut Point {
        let is_it = |point: &Point| point.path == path && point.size == size;
        let index = self.points.iter().position(is_it).unwrap_or_else(|| {
            self.points.push(Point {
                path,
                size,
                rates: Vec::new(),
                requests: Run::default(),
                pages: Vec::new(),
            });
            self.points.len() - 1
        });
        &mut self.points[index]
    }

    /// Prints them, and writes them to the folder under this name.
    pub(crate) fn save(mut self, into: &Path, name: &str) -> anyhow::Result<()> {
        let (mut tables, mut plots) = (Vec::new(), Vec::new());
        for measure in MEASURES {
            let lines = self.lines(measure);
            if !lines.is_empty() {
                tables.push(self.table(measure, &lines));
                plots.push(self.plot(measure, lines));
            }
        }
        report::save(into, name, &tables, &plots)
    }

    /// Of the paths that have this figure.
    fn lines(&mut self, measure: Measure) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for point in &mut self.points {
            let Some(value) = (measure.of)(point) else {
                continue;
            };
            let at = (f64::from(point.size), value);
            match lines.iter_mut().find(|line| line.name == point.path) {
                Some(line) => line.points.push(at),
                None => lines.push(Line::new(point.path, vec![at])),
            }
        }
        lines
    }

    fn table(&self, measure: Measure, lines: &[Line]) -> Table {
        let sizes = lines.first().map_or(&[][..], |line| &line.points);
        let sizes = sizes
            .iter()
            .map(|(size, _)| format!("{:.0}", HumanFloatCount(*size)));
        let columns = std::iter::once("path".to_owned()).chain(sizes);
        let columns: Vec<_> = columns.chain(["last / first".to_owned()]).collect();
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new(self.title(measure), &columns);
        for line in lines {
            let values = line.points.iter().map(|point| point.1);
            let growth = values.clone().next_back().zip(values.clone().next());
            let growth = growth.map_or(f64::NAN, |(last, first)| last / first);
            let cells = values.map(|value| figure(value, measure.unit));
            let path = Cell::from(line.name.clone());
            table.row(
                std::iter::once(path)
                    .chain(cells)
                    .chain([figure(growth, "")]),
            );
        }
        table
    }

    fn plot(&self, measure: Measure, lines: Vec<Line>) -> Plot {
        Plot {
            name: measure.name.to_owned(),
            title: self.title(measure),
            x: Axis::log(&self.sizes),
            y: Axis::log(&format!("{}{}", measure.name, measure.unit)),
            lines,
        }
    }

    fn title(&self, measure: Measure) -> String {
        format!("{}, by {}", measure.name, self.sizes)
    }
}

//! A long backlog: the speed at which it is worked off, and the memory that takes, from its
//! beginning to its end.

use std::path::Path;

use e2e::{Kind, World};

use super::Arguments;
use super::buffer_pool::BufferPool;
use super::drain::{Look, Reader, drain};
use crate::report::{self, Axis, Cell, Line, Plot, Table, figure};

const TENTHS: u32 = 10;
const SERVICES: [&str; 2] = ["catalog-service", "connect-worker"];
/// Every so many looks make a point of a plot.
const PLOTTED: usize = 10;

pub(super) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let pool = BufferPool::open(arguments.buffer_pool)
        .await?
        .size()
        .await?;
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let (catalog, sink) = (Reader::catalog(&world)?, Reader::sink(&world)?);
    catalog.stop().await?;
    sink.stop().await?;
    eprintln!("placing {} orders", arguments.backlog);
    let placed = super::leave_backlog(&world, arguments.backlog).await?;
    eprintln!("the catalog-service applies them");
    let catalog = drain(&[catalog], placed).await?;
    eprintln!("connect-worker writes them and their outcomes");
    let sink = drain(&[sink], 2.0 * placed).await?;
    world.stop().await?;

    let title = format!("A backlog of {placed} orders ({pool})");
    let drains = [catalog, sink];
    let tables = [table(&title, drains.each_ref().map(|looks| tenths(looks)))];
    let plots = [speed(&title, &drains), memory(&title, &drains)];
    report::save(into, "growth-recovery", &tables, &plots)
}

/// The rate of each tenth of the records, and the memory at its end.
fn tenths(looks: &[Look]) -> Vec<(f64, f64)> {
    let all = looks.last().map_or(0.0, |look| look.records);
    let at = |tenth: u32| {
        let records = all * f64::from(tenth) / f64::from(TENTHS);
        let mut working = looks.iter().filter(|look| look.records > 0.0);
        working.find(|look| look.records >= records)
    };
    let tenth = |number| {
        let (begin, end) = (at(number - 1)?, at(number)?);
        Some((begin.rate_until(end), end.memory_mib))
    };
    (1..=TENTHS).filter_map(tenth).collect()
}

fn table(title: &str, [catalog, sink]: [Vec<(f64, f64)>; 2]) -> Table {
    let columns = ["tenth", SERVICES[0], "memory", SERVICES[1], "memory"];
    let mut table = Table::new(title, &columns);
    for (number, (catalog, sink)) in (1_u32..).zip(catalog.into_iter().zip(sink)) {
        let cells: [Cell; 5] = [
            number.to_string().into(),
            figure(catalog.0, "/s"),
            figure(catalog.1, " MiB"),
            figure(sink.0, "/s"),
            figure(sink.1, " MiB"),
        ];
        table.row(cells);
    }
    table
}

fn speed(title: &str, drains: &[Vec<Look>; 2]) -> Plot {
    let rates = drains.each_ref().map(|looks| {
        let rates = tenths(looks).into_iter().zip(1_u32..);
        rates
            .map(|((rate, _), number)| (f64::from(number), rate))
            .collect()
    });
    plot("speed", title, ["tenth", "records/s"], rates)
}

fn memory(title: &str, drains: &[Vec<Look>; 2]) -> Plot {
    let memory = drains.each_ref().map(|looks| {
        let looks = looks.iter().step_by(PLOTTED);
        looks
            .map(|look| (look.after.as_secs_f64(), look.memory_mib))
            .collect()
    });
    plot("memory", title, ["seconds", "MiB"], memory)
}

fn plot(name: &str, title: &str, [x, y]: [&str; 2], lines: [Vec<(f64, f64)>; 2]) -> Plot {
    let lines = SERVICES.into_iter().zip(lines);
    Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis::linear(x),
        y: Axis::linear(y),
        lines: lines
            .map(|(name, points)| Line::new(name, points))
            .collect(),
    }
}

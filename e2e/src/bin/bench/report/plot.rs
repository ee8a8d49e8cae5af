use std::ops::Range;

use plotters::coord::combinators::{IntoLogRange, LogCoord};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use serde::Serialize;

use crate::measure::count;

const SIZE: (u32, u32) = (800, 450);

/// Lines of points over two axes.
#[derive(Serialize)]
pub(crate) struct Plot {
    /// Part of its file's name.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

#[derive(Serialize)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
}

/// Linear begins at 0, and of log every point is above it.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    Linear,
    Log,
}

#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Axis {
    pub(crate) fn linear(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
        }
    }

    pub(crate) fn log(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Log,
        }
    }
}

impl Line {
    pub(crate) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
        }
    }
}

impl Plot {
    /// What each round measured of each of the things.
    pub(crate) fn by_round<const N: usize>(
        title: &str,
        unit: &str,
        things: [&str; N],
        rounds: &[[f64; N]],
    ) -> Self {
        let line = |(place, thing): (usize, &str)| {
            let points = rounds.iter().enumerate();
            let points = points.map(|(number, round)| (count(number + 1), round[place]));
            Line::new(thing, points.collect())
        };
        Self {
            name: "rounds".to_owned(),
            title: title.to_owned(),
            x: Axis::linear("round"),
            y: Axis::linear(unit),
            lines: things.into_iter().enumerate().map(line).collect(),
        }
    }

    pub(crate) fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        // Readable on a dark page as well.
        area.fill(&WHITE)?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(
                Coordinates::of(self.x.scale, points().map(|point| point.0)),
                Coordinates::of(self.y.scale, points().map(|point| point.1)),
            )?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .label_style(("sans-serif", 14))
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (number, line) in self.lines.iter().enumerate() {
            let style = Palette99::pick(number).stroke_width(2).filled();
            let drawn = LineSeries::new(line.points.iter().copied(), style).point_size(3);
            chart
                .draw_series(drawn)?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        chart
            .configure_series_labels()
            .label_font(("sans-serif", 14))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        drop(chart);
        drop(area);
        Ok(svg)
    }
}

/// The library has a type for each scale, and so for each pair of them.
enum Coordinates {
    Linear(RangedCoordf64),
    Log(LogCoord<f64>),
}

impl Coordinates {
    fn of(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        match scale {
            Scale::Linear => Self::Linear((0.0..most * 1.05).into()),
            Scale::Log => {
                let least = values.fold(most, f64::min);
                Self::Log((least / 1.3..most * 1.3).log_scale().into())
            }
        }
    }
}

impl Ranged for Coordinates {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        match self {
            Self::Linear(linear) => linear.map(value, limit),
            Self::Log(log) => log.map(value, limit),
        }
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match self {
            Self::Linear(linear) => linear.key_points(hint),
            Self::Log(log) => log.key_points(hint),
        }
    }

    fn range(&self) -> Range<f64> {
        match self {
            Self::Linear(linear) => linear.range(),
            Self::Log(log) => log.range(),
        }
    }
}

fn short(value: &f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (*value, ""),
    };
    format!("{}{unit}", (value * 100.0).round() / 100.0)
}

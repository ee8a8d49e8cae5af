//! `/metrics`, as far as the console reads it.

/// One answer, in the text format of OpenMetrics or Prometheus.
#[derive(Debug, Clone, Default)]
pub(super) struct Scrape(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

/// What identifies a series: the end of its name, which services prefix with their own, and
/// the labels it must have, as they are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) labels: &'static [&'static str],
}

impl Scrape {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// Of all series together.
    pub(super) fn sum(&self, series: Series) -> f64 {
        self.matching(series, "_total")
            .map(|sample| sample.value)
            .sum()
    }

    /// Upper bounds in seconds with the number of observations up to them.
    fn buckets(&self, series: Series) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.matching(series, "_bucket") {
            let Some(bound) = upper_bound(&sample.labels) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }

    fn matching(&self, series: Series, kind: &str) -> impl Iterator<Item = &Sample> {
        let name = format!("{}{kind}", series.name);
        self.0.iter().filter(move |sample| {
            sample.name.ends_with(&name)
                && series
                    .labels
                    .iter()
                    .all(|label| sample.labels.contains(label))
        })
    }
}

/// `name{labels} value`; a label's value may contain braces.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = match line.rfind("} ") {
        Some(end) => (&line[..end], &line[end + 2..]),
        None => line.split_once(' ')?,
    };
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let value = value.split(' ').next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value,
    })
}

fn upper_bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    match rest.split('"').next()? {
        "+Inf" => Some(f64::INFINITY),
        bound => bound.parse().ok(),
    }
}

/// A quantile of what was observed between two scrapes, in seconds, as Prometheus interpolates
/// it; `None` if nothing was.
pub(super) fn quantile(series: Series, before: &Scrape, after: &Scrape, q: f64) -> Option<f64> {
    let before = before.buckets(series);
    let counted = |bound: f64| {
        let known = before.iter().find(|(known, _)| *known == bound);
        known.map_or(0.0, |(_, count)| *count)
    };
    let new: Vec<_> = after
        .buckets(series)
        .into_iter()
        .map(|(bound, count)| (bound, count - counted(bound)))
        .collect();
    let total = new.last()?.1;
    if total <= 0.0 {
        return None;
    }
    let rank = q * total;
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, count) in new {
        if count >= rank {
            // All that is known of the last bucket is where it begins.
            let upper = if bound.is_finite() {
                bound
            } else {
                return Some(lower);
            };
            let share = (rank - below) / (count - below).max(f64::MIN_POSITIVE);
            return Some(lower + (upper - lower) * share.clamp(0.0, 1.0));
        }
        (below, lower) = (count, bound);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTS: Series = Series {
        name: "http_requests",
        labels: &[r#"method="POST""#, r#"route="/orders""#],
    };
    const TIMES: Series = Series {
        name: "duration_seconds",
        labels: &[],
    };

    #[test]
    fn the_series_asked_for_are_summed() {
        let scrape = Scrape::parse(concat!(
            "# HELP http_requests Requests.\n",
            "http_requests_total{method=\"POST\",route=\"/orders\",status=\"201\"} 7\n",
            "http_requests_total{method=\"POST\",route=\"/orders\",status=\"503\"} 2\n",
            "http_requests_total{method=\"POST\",route=\"/orders/{id}/cancel\",status=\"202\"} 5\n",
            "http_requests_total{method=\"GET\",route=\"/orders\",status=\"200\"} 11\n",
            "# EOF\n",
        ));
        assert_eq!(scrape.sum(POSTS), 9.0);
    }

    #[test]
    fn a_quantile_is_of_what_is_new() {
        let text = |fast: u32, all: u32| {
            format!(
                "x_duration_seconds_bucket{{le=\"0.01\"}} {fast}\nx_duration_seconds_bucket{{le=\"0.1\"}} {all}\nx_duration_seconds_bucket{{le=\"+Inf\"}} {all}\n"
            )
        };
        let before = Scrape::parse(&text(100, 100));
        let after = Scrape::parse(&text(100, 110));
        let median = quantile(TIMES, &before, &after, 0.5).unwrap();
        assert!((median - 0.055).abs() < 1e-9, "{median}");
        assert_eq!(quantile(TIMES, &after, &after, 0.5), None);
    }
}

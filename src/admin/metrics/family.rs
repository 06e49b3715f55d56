//! Metric families in the text encoder's types.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile,
    Summary,
};

use crate::commands::info::{Kind, Labels, Series, Value};
use crate::telemetry::counter::{BUCKETS, Distribution, bound_us};

/// Families by name.
#[derive(Debug)]
pub(super) struct Families {
    prefix: String,
    by_name: BTreeMap<String, MetricFamily>,
}

impl Families {
    /// Families whose names in the exporter begin with `prefix` and an underscore.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}_"), by_name: BTreeMap::new() }
    }

    fn push(&mut self, name: String, help: &str, kind: MetricType, metric: Metric) {
        let family = self.by_name.entry(name).or_insert_with_key(|name| {
            let mut family = MetricFamily::default();
            family.set_name(name.clone());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        });
        family.mut_metric().push(metric);
    }

    /// Adds a series; skips a value that is not a number where one is needed.
    pub(super) fn add(&mut self, series: &Series<'_>) {
        let row = series.metric;
        let mut metric = labelled(&series.labels);
        let number = series.value.number().map(|number| number / row.divisor);
        let kind = match (row.kind, number, &series.value) {
            (Kind::Gauge, Some(number), _) => {
                let mut gauge = Gauge::default();
                gauge.set_value(number);
                metric.set_gauge(gauge);
                MetricType::GAUGE
            }
            (Kind::Counter, Some(number), _) => {
                let mut counter = Counter::default();
                counter.set_value(number);
                metric.set_counter(counter);
                MetricType::COUNTER
            }
            (Kind::Histogram, _, Value::Durations(of)) => {
                metric.set_histogram(histogram(of, 1e6));
                MetricType::HISTOGRAM
            }
            (Kind::HistogramUsec, _, Value::Durations(of)) => {
                metric.set_histogram(histogram(of, 1.0));
                MetricType::HISTOGRAM
            }
            (Kind::SummaryUsec, _, Value::Durations(of)) => {
                metric.set_summary(summary_usec(of));
                MetricType::SUMMARY
            }
            _ => return,
        };
        let own = row.name.starts_with("limpid_");
        let name = if own { row.name.to_owned() } else { format!("{}{}", self.prefix, row.name) };
        self.push(name, row.help, kind, metric);
    }

    /// Adds a histogram in seconds that is not among the node's readings.
    pub(super) fn add_durations(&mut self, name: &str, help: &str, of: &Distribution) {
        let mut metric = Metric::default();
        metric.set_histogram(histogram(of, 1e6));
        self.push(name.to_owned(), help, MetricType::HISTOGRAM, metric);
    }

    /// All families, sorted by name.
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.by_name.into_values().collect()
    }
}

fn labelled(labels: &Labels) -> Metric {
    let pair = |(name, value): &(&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn histogram(of: &Distribution, us_per_unit: f64) -> Histogram {
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(BUCKETS);
    for (index, count) in of.counts.iter().enumerate() {
        cumulative += count;
        // The encoder adds the last, unbounded bucket.
        let Some(us) = bound_us(index) else { continue };
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(us as f64 / us_per_unit);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(cumulative);
    histogram.set_sample_sum(of.nanos as f64 / 1000.0 / us_per_unit);
    histogram
}

/// A summary with percentiles as quantiles, as the exporter has it.
fn summary_usec(of: &Distribution) -> Summary {
    let quantile = |percent: f64| {
        let mut quantile = Quantile::default();
        quantile.set_quantile(percent);
        quantile.set_value(of.quantile_us(percent / 100.0).unwrap_or(f64::NAN));
        quantile
    };
    let mut summary = Summary::default();
    summary.set_quantile([50.0, 99.0, 99.9].map(quantile).into());
    summary.set_sample_count(of.count());
    summary.set_sample_sum(of.nanos as f64 / 1000.0);
    summary
}

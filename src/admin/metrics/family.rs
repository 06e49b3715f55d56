//! Metric families as the text encoder takes them.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile,
    Summary,
};

use crate::telemetry::counter::{BUCKETS, Distribution, bound_us};

/// Families by name.
#[derive(Debug)]
pub(super) struct Families {
    prefix: String,
    by_name: BTreeMap<String, MetricFamily>,
}

/// Names and values of labels.
pub(super) type Labels<'l> = [(&'l str, &'l str)];

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

impl Families {
    /// Families whose names in the exporter begin with `prefix` and an underscore.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}_"), by_name: BTreeMap::new() }
    }

    fn family(&mut self, name: String, help: &str, kind: MetricType) -> &mut Vec<Metric> {
        let family = self.by_name.entry(name).or_insert_with_key(|name| {
            let mut family = MetricFamily::default();
            family.set_name(name.clone());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        });
        family.mut_metric()
    }

    /// Adds one of the exporter's series; `name` without the prefix.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        value: f64,
    ) {
        self.add_named(kind, format!("{}{name}", self.prefix), help, labels, value);
    }

    /// Adds one of limpid's own series.
    pub(super) fn add_own(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        value: f64,
    ) {
        self.add_named(kind, name.to_owned(), help, labels, value);
    }

    fn add_named(&mut self, kind: Kind, name: String, help: &str, labels: &Labels<'_>, value: f64) {
        let mut metric = labelled(labels);
        let kind = match kind {
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
                MetricType::GAUGE
            }
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
                MetricType::COUNTER
            }
        };
        self.family(name, help, kind).push(metric);
    }

    /// Adds a histogram in seconds, of limpid's own.
    pub(super) fn histogram_of(
        &mut self,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        of: &Distribution,
    ) {
        let metric = histogram(labels, of, 1e6);
        self.family(name.to_owned(), help, MetricType::HISTOGRAM).push(metric);
    }

    /// Adds a histogram in microseconds, of the exporter's.
    pub(super) fn histogram_usec(
        &mut self,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        of: &Distribution,
    ) {
        let name = format!("{}{name}", self.prefix);
        let metric = histogram(labels, of, 1.0);
        self.family(name, help, MetricType::HISTOGRAM).push(metric);
    }

    /// Adds a summary in microseconds, of the exporter's. Quantiles are percentiles there.
    pub(super) fn summary_usec(
        &mut self,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        of: &Distribution,
    ) {
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
        let mut metric = labelled(labels);
        metric.set_summary(summary);
        let name = format!("{}{name}", self.prefix);
        self.family(name, help, MetricType::SUMMARY).push(metric);
    }

    /// All of them, in the order of names.
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.by_name.into_values().collect()
    }
}

fn labelled(labels: &Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn histogram(labels: &Labels<'_>, of: &Distribution, us_per_unit: f64) -> Metric {
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(BUCKETS);
    for (index, count) in of.counts.iter().enumerate() {
        cumulative += count;
        // The encoder adds the last one, which has no bound.
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
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}

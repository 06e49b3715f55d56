//! LATENCY DOCTOR: each event's spikes in figures, and what may help. The figures are laid out as
//! in Redis; the advice is on limpid.

use crate::commands::{Args, Context, Handled};
use crate::node::spikes::Spike;

/// What a report advises, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Advice {
    /// The slow log is off, or misses commands that are slower than the threshold.
    TuneSlowlog,
    ReadSlowlog,
    SplitLargeValues,
    /// Commands that never take long did.
    GiveProcessorTime,
}

impl Advice {
    fn text(self, threshold_ms: i64) -> String {
        match self {
            Self::TuneSlowlog => format!(
                "- The slow log misses commands that count as spikes. Let it show them: 'CONFIG SET \
                 slowlog-log-slower-than {}'.\n",
                threshold_ms.saturating_mul(1000)
            ),
            Self::ReadSlowlog => {
                "- SLOWLOG GET shows which commands took so long, with their arguments.\n".into()
            }
            Self::SplitLargeValues => "- A command on a large value takes as long as the value is \
                large. Split values of many elements into several keys, or read them in parts, as by \
                HSCAN.\n"
                .into(),
            Self::GiveProcessorTime => "- Commands that need no time themselves were slow: the \
                system did not run the server. Look for other load on the machine, for swapping, and \
                for limits on processor time, as of containers.\n"
                .into(),
        }
    }
}

pub(super) fn doctor(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    let settings = &ctx.settings.slowlog;
    let events = ctx.node.spikes.latest();
    let mut report = String::new();
    let mut advice = Vec::new();
    for (nth, (event, _, most_ms)) in events.iter().enumerate() {
        let figures = Figures::of(&ctx.node.spikes.of(event.as_bytes()), ctx.keys.now_ms / 1000);
        report += &format!(
            "{}. {event}: {}. Worst all time event {most_ms}ms.\n",
            nth + 1,
            figures.text()
        );
        if *event == "command" {
            let shown_us = settings.slower_than_us;
            if shown_us < 0 || shown_us / 1000 > settings.spike_ms {
                advice.push(Advice::TuneSlowlog);
            }
            advice.extend([Advice::ReadSlowlog, Advice::SplitLargeValues]);
        } else {
            advice.push(Advice::GiveProcessorTime);
        }
    }
    let text = match (events.is_empty(), settings.spike_ms) {
        (true, 0) => "Latency is not monitored. 'CONFIG SET latency-monitor-threshold \
            <milliseconds>' begins to.\n"
            .to_owned(),
        (true, ms) => format!("No event took {ms} ms or longer.\n"),
        (false, _) => {
            advice.sort_unstable();
            let advice: String = advice.iter().map(|one| one.text(settings.spike_ms)).collect();
            format!("There were latency spikes:\n\n{report}\nWhat may help:\n\n{advice}")
        }
    };
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// An event's spikes in figures.
#[derive(Debug, PartialEq)]
struct Figures {
    count: usize,
    average_ms: i64,
    /// Mean of the distances from the average.
    deviation_ms: i64,
    /// Mean seconds between two spikes.
    period_s: f64,
}

impl Figures {
    fn of(spikes: &[Spike], now_s: i64) -> Self {
        let count = i64::try_from(spikes.len()).unwrap_or(i64::MAX).max(1);
        let average_ms = spikes.iter().map(|spike| spike.ms).sum::<i64>() / count;
        let apart = spikes.iter().map(|spike| (spike.ms - average_ms).abs()).sum::<i64>();
        let oldest_s = spikes.first().map_or(now_s, |spike| spike.at_s);
        let seconds = (now_s - oldest_s).max(1);
        Self {
            count: spikes.len(),
            average_ms,
            deviation_ms: apart / count,
            period_s: seconds as f64 / count as f64,
        }
    }

    fn text(&self) -> String {
        let Self { count, average_ms, deviation_ms, period_s } = self;
        format!(
            "{count} latency spikes (average {average_ms}ms, mean deviation {deviation_ms}ms, period \
             {period_s:.2} sec)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_means_over_the_spikes() {
        let spikes = [(100, 10), (110, 20), (120, 60)].map(|(at_s, ms)| Spike { at_s, ms });
        let text = "3 latency spikes (average 30ms, mean deviation 20ms, period 20.00 sec)";
        assert_eq!(Figures::of(&spikes, 160).text(), text);
        // All within the present second.
        assert_eq!(Figures::of(&spikes[..1], 100).period_s, 1.0);
    }
}

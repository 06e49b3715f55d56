//! LATENCY GRAPH: an event's spikes as columns of text, each with its age below.

use crate::node::spikes::Spike;

/// Columns of the graph; further spikes go below.
const COLUMNS: usize = 80;
/// Lines of the graph, each with these levels.
const LINES: usize = 4;
const LEVELS: [char; 3] = ['_', 'o', '#'];
const FULL: char = '|';

/// The graph of some spikes, the oldest first. `most_ms` is the longest there ever was.
pub(super) fn drawn(event: &str, spikes: &[Spike], most_ms: i64, now_s: i64) -> String {
    let (mut low, mut high) = (0, 0);
    if let Some(first) = spikes.first() {
        (low, high) = spikes.iter().fold((first.ms, first.ms), |(low, high), spike| {
            (low.min(spike.ms), high.max(spike.ms))
        });
    }
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {most_ms} ms)\n");
    text += &"-".repeat(COLUMNS);
    text.push('\n');
    for (nth, part) in spikes.chunks(COLUMNS).enumerate() {
        if nth > 0 {
            text.push('\n');
        }
        draw_part(&mut text, part, (low, high), now_s);
    }
    text
}

fn draw_part(text: &mut String, spikes: &[Spike], (low, high): (i64, i64), now_s: i64) {
    let range = (high - low).max(1);
    let steps = (LINES * LEVELS.len()) as i64;
    let step = |spike: &Spike| ((spike.ms - low).saturating_mul(steps) / range).clamp(0, steps - 1);
    for line in 0..LINES {
        let base = ((LINES - line - 1) * LEVELS.len()) as i64;
        text.extend(spikes.iter().map(|spike| match usize::try_from(step(spike) - base) {
            Ok(level) => LEVELS.get(level).copied().unwrap_or(FULL),
            Err(_) => ' ',
        }));
        text.push('\n');
    }
    let ages: Vec<String> = spikes.iter().map(|spike| age(now_s - spike.at_s)).collect();
    let longest = ages.iter().map(String::len).max().unwrap_or(0);
    text.extend(spikes.iter().map(|_| ' '));
    text.push('\n');
    for nth in 0..longest {
        text.extend(ages.iter().map(|age| age.chars().nth(nth).unwrap_or(' ')));
        text.push('\n');
    }
}

/// Seconds in the largest whole unit.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Redis 7.0.15.
    #[test]
    fn columns_stand_above_their_ages() {
        let spikes: Vec<Spike> = [(33, 100), (34, 550), (36, 190), (38, 1000), (39, 325)]
            .map(|(at_s, ms)| Spike { at_s, ms })
            .into();
        let graph = drawn("command", &spikes, 1000, 39);
        let dashes = "-".repeat(80);
        let lines = [
            "command - high 1000 ms, low 100 ms (all time high 1000 ms)",
            &dashes,
            "   # ",
            " _ | ",
            " | |_",
            "_|o||",
            "     ",
            "65310",
            "sssss",
        ];
        assert_eq!(graph, lines.join("\n") + "\n");
    }

    #[test]
    fn ages_are_in_the_largest_whole_unit() {
        for (seconds, shown) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (86_399, "23h"), (172_800, "2d")]
        {
            assert_eq!(age(seconds), shown);
        }
    }
}

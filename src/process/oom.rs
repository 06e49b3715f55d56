//! The process's weight when the system chooses one to end, as memory runs out.

use std::fs;
use std::io;

const PATH: &str = "/proc/self/oom_score_adj";
const SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Score {
    /// What was there before.
    Own,
    /// Added to what was there before.
    Relative(i32),
    Absolute(i32),
}

/// Writes scores, and remembers what was there before it wrote.
#[derive(Debug, Default)]
pub(crate) struct Scorer {
    /// What was there, and what it wrote; `None` while it leaves the score alone.
    written: Option<(i32, Score)>,
}

impl Scorer {
    /// Writes a score, if it is another one than the last.
    ///
    /// # Errors
    /// If the system does not allow it: less than before takes a privilege.
    pub(crate) fn set(&mut self, score: Score) -> io::Result<()> {
        let before = match self.written {
            None if score == Score::Own => return Ok(()),
            Some((_, last)) if last == score => return Ok(()),
            Some((before, _)) => before,
            None => read()?,
        };
        let number = match score {
            Score::Own => before,
            Score::Relative(number) => before.saturating_add(number),
            Score::Absolute(number) => number,
        };
        fs::write(PATH, number.clamp(*SCORES.start(), *SCORES.end()).to_string())?;
        // Others may change it from here on, if it is the process's own.
        self.written = (score != Score::Own).then_some((before, score));
        Ok(())
    }
}

fn read() -> io::Result<i32> {
    let text = fs::read_to_string(PATH)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

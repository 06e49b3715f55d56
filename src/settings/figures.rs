//! The numbers by which the system weighs this process.

use std::fmt;

/// `oom-score-adj-values`: what is written for a master, for a replica, and in Redis for a child;
/// limpid has no children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OomScores(pub [i32; 3]);

impl OomScores {
    /// # Errors
    /// In Redis's words, what is wrong.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let [master, replica, child] = words else {
            return Err("wrong number of arguments".to_owned());
        };
        let score = |word: &String| {
            let score = word.parse().ok().filter(|score| (-2000..=2000).contains(score));
            score.ok_or_else(|| {
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned()
            })
        };
        Ok(Self([score(master)?, score(replica)?, score(child)?]))
    }
}

impl fmt::Display for OomScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [master, replica, child] = self.0;
        write!(f, "{master} {replica} {child}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn numbers_print_as_they_are_read() {
        assert_eq!(OomScores::parse(&words("-2000 0 2000")).unwrap().to_string(), "-2000 0 2000");
    }

    #[test]
    fn numbers_out_of_bounds_are_refused_in_the_words_of_redis() {
        let scores = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        for (text, reason) in
            [("1 2", "wrong number of arguments"), ("0 0 2001", scores), ("0 x 0", scores)]
        {
            assert_eq!(OomScores::parse(&words(text)).unwrap_err(), reason, "{text}");
        }
    }
}

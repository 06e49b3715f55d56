//! Steps in which the two sides cannot get the same bytes: cursors, ids, waiting for a message.

use crate::compare::{Kind, difference, name_of};
use crate::pair::Answer;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};

impl Session {
    /// Runs a step on each connection; compares the results as replies to `words`.
    pub(crate) fn compare_each_side(
        &mut self,
        who: Who,
        words: Words,
        run: impl Fn(&mut Connection) -> Result<Reply, ReadError>,
    ) -> Outcome<Reply> {
        self.compare_sides(who, words, &run, &run)
    }

    pub(crate) fn compare_sides(
        &mut self,
        who: Who,
        words: Words,
        left: impl FnOnce(&mut Connection) -> Result<Reply, ReadError>,
        right: impl FnOnce(&mut Connection) -> Result<Reply, ReadError>,
    ) -> Outcome<Reply> {
        self.remember(who, &words);
        let pair = self.pair(who);
        let (left, right) = (left(&mut pair.left), right(&mut pair.right));
        match (left, right) {
            (Ok(left), Ok(right)) => match difference(&words, &[], &left, &right) {
                None => Ok(left),
                Some((name, kind)) => Err(self.mismatch(name, kind, who, &words, &left, &right)),
            },
            (left, right) => {
                let shown = |side: &Result<Reply, ReadError>| match side {
                    Ok(reply) => reply.clone(),
                    Err(error) => Reply::Simple(format!("<{error:?}>").into_bytes()),
                };
                let (left, right) = (shown(&left), shown(&right));
                Err(self.mismatch(name_of(&words), Kind::Broken, who, &words, &left, &right))
            }
        }
    }

    /// Reads the observer's messages on each side until `run` has enough, and compares them.
    pub(crate) fn compare_observed(
        &mut self,
        run: impl Fn(&mut Connection) -> Result<Vec<Reply>, ReadError>,
    ) -> Outcome {
        let answer = |connection: &mut Connection| match run(connection) {
            Ok(replies) => Answer { replies, broken: None },
            Err(error) => Answer { replies: Vec::new(), broken: Some(error) },
        };
        let pair = self.pair(Who::Observer);
        let (left, right) = (answer(&mut pair.left), answer(&mut pair.right));
        self.compare_messages(Who::Observer, left, right)
    }
}

//! Places in the order of the elements.

/// A place: before it are the elements that are less.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seek<'a> {
    /// Before all elements with this score.
    Score(f64),
    /// Behind all elements with this score.
    AfterScore(f64),
    /// Of an element with this score and member.
    Element(f64, &'a [u8]),
    /// Before this member, where all scores are equal.
    Member(&'a [u8]),
    /// Behind this member, where all scores are equal.
    AfterMember(&'a [u8]),
}

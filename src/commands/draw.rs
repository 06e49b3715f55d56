//! Random elements of collections, for SRANDMEMBER, HRANDFIELD and ZRANDMEMBER.

use std::collections::BTreeSet;

use super::{Context, Failure};
use crate::resp::Output;
use crate::types::hash::HashRef;
use crate::types::listpack::Item;
use crate::types::members::SetRef;
use crate::types::sorted_set::SortedSetRef;
use crate::types::uniform;

/// From this part of the elements on, a walk over all of them costs less than finding each by rank.
const WALKED_PART: usize = 3;

/// A collection to draw from; none is empty.
pub(super) trait Source<'a>: Copy {
    type Element: Copy;

    fn count(self) -> usize;

    /// The element of a rank below the count.
    fn at(self, rank: usize) -> Option<Self::Element>;

    fn all(self) -> impl Iterator<Item = Self::Element>;

    /// Whether finding an element by rank walks over those before it.
    fn is_packed(self) -> bool;
}

impl<'a> Source<'a> for SetRef<'a> {
    type Element = Item<'a>;

    fn count(self) -> usize {
        self.len()
    }

    fn at(self, rank: usize) -> Option<Item<'a>> {
        self.nth(rank)
    }

    fn all(self) -> impl Iterator<Item = Item<'a>> {
        self.iter()
    }

    fn is_packed(self) -> bool {
        matches!(self, SetRef::Packed(_))
    }
}

impl<'a> Source<'a> for HashRef<'a> {
    type Element = (Item<'a>, Item<'a>);

    fn count(self) -> usize {
        self.len()
    }

    fn at(self, rank: usize) -> Option<Self::Element> {
        self.nth(rank)
    }

    fn all(self) -> impl Iterator<Item = Self::Element> {
        self.iter()
    }

    fn is_packed(self) -> bool {
        matches!(self, HashRef::Packed(_))
    }
}

impl<'a> Source<'a> for SortedSetRef<'a> {
    type Element = (Item<'a>, f64);

    fn count(self) -> usize {
        self.len()
    }

    fn at(self, rank: usize) -> Option<Self::Element> {
        self.get(rank)
    }

    fn all(self) -> impl Iterator<Item = Self::Element> {
        self.iter_from(0)
    }

    fn is_packed(self) -> bool {
        matches!(self, SortedSetRef::Packed(_))
    }
}

/// One element.
pub(super) fn one<'a, S: Source<'a>>(source: S, random: &mut dyn FnMut() -> u64) -> S::Element {
    source.at(uniform(source.count(), random)).expect("a key holds no empty collection")
}

/// How many elements are wanted: distinct ones, or, of a negative count, any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Distinct(usize),
    Any(usize),
}

impl Wanted {
    /// Of a count as the client gives it.
    ///
    /// # Errors
    /// For the least integer, which has no opposite.
    pub(super) fn parse(arg: &[u8]) -> Result<Self, Failure> {
        let count = Context::integer(arg)?;
        if count == i64::MIN {
            let most = i64::MAX;
            return Err(Failure::err(format_args!(
                "value is out of range, value must between -{most} and {most}"
            )));
        }
        let number = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(if count < 0 { Self::Any(number) } else { Self::Distinct(number) })
    }

    /// Likewise for replies of two values for each element.
    ///
    /// # Errors
    /// Also where twice the count is no integer.
    pub(super) fn parse_pairs(arg: &[u8]) -> Result<Self, Failure> {
        let wanted = Self::parse(arg)?;
        match wanted {
            Self::Distinct(number) | Self::Any(number) if number > i64::MAX as usize / 2 => {
                Err(Failure::err("value is out of range"))
            }
            _ => Ok(wanted),
        }
    }
}

/// How elements are given.
pub(super) trait Form<E> {
    /// The head of so many elements.
    fn begin(&self, reply: &mut Output, elements: usize);

    fn element(&self, reply: &mut Output, element: E);
}

/// The client must be disconnected: it gets more than it may leave unread.
#[derive(Debug)]
pub(super) struct TooMuch;

/// Replies with elements. `bytes_max`: of a reply; 0: no limit. The number of a negative count is the
/// client's, and may be huge.
pub(super) fn reply<'a, S: Source<'a>>(
    reply: &mut Output,
    source: S,
    wanted: Wanted,
    form: &impl Form<S::Element>,
    random: &mut dyn FnMut() -> u64,
    bytes_max: u64,
) -> Result<(), TooMuch> {
    match wanted {
        Wanted::Distinct(number) => {
            distinct(reply, source, number, form, random);
            Ok(())
        }
        Wanted::Any(number) => {
            form.begin(reply, number);
            repeated(reply, source, number, form, random, bytes_max)
        }
    }
}

/// Draws elements, any of them more than once.
fn repeated<'a, S: Source<'a>>(
    reply: &mut Output,
    source: S,
    number: usize,
    form: &impl Form<S::Element>,
    random: &mut dyn FnMut() -> u64,
    bytes_max: u64,
) -> Result<(), TooMuch> {
    let all: Vec<_> =
        if source.is_packed() && number > 1 { source.all().collect() } else { Vec::new() };
    for _ in 0..number {
        let drawn = match all.get(uniform(all.len(), random)) {
            Some(element) => *element,
            None => one(source, random),
        };
        form.element(reply, drawn);
        if bytes_max != 0 && reply.len() as u64 > bytes_max {
            return Err(TooMuch);
        }
    }
    Ok(())
}

/// Chooses elements, none of them twice; every combination is equally likely.
fn distinct<'a, S: Source<'a>>(
    reply: &mut Output,
    source: S,
    number: usize,
    form: &impl Form<S::Element>,
    random: &mut dyn FnMut() -> u64,
) {
    let len = source.count();
    let number = number.min(len);
    form.begin(reply, number);
    if !source.is_packed() && number < len / WALKED_PART {
        for rank in ranks(len, number, random) {
            form.element(reply, source.at(rank).expect("a rank below the length"));
        }
        return;
    }
    // Each element is chosen with the probability that makes up the number.
    let (mut wanted, mut left) = (number, len);
    for element in source.all() {
        if wanted == 0 {
            break;
        }
        if uniform(left, random) < wanted {
            form.element(reply, element);
            wanted -= 1;
        }
        left -= 1;
    }
}

/// Distinct ranks below `len`, by Floyd's method: every combination is equally likely.
fn ranks(len: usize, number: usize, random: &mut dyn FnMut() -> u64) -> BTreeSet<usize> {
    let mut ranks = BTreeSet::new();
    for last in len - number..len {
        let rank = uniform(last + 1, random);
        if !ranks.insert(rank) {
            ranks.insert(last);
        }
    }
    ranks
}

impl Context<'_> {
    /// Most bytes of replies that the client may leave unread before it is disconnected; 0: any.
    pub(super) fn reply_bytes_max(&self) -> u64 {
        let limits = &self.settings.clients.output_buffer_limits;
        let limit = if self.client.is_subscribed() { limits.pubsub } else { limits.normal };
        limit.hard_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::commands::Random;
    use crate::types::listpack::{self, Listpack};

    struct Members;

    impl Form<Item<'_>> for Members {
        fn begin(&self, reply: &mut Output, elements: usize) {
            reply.array(elements);
        }

        fn element(&self, reply: &mut Output, member: Item<'_>) {
            Context::reply_item(reply, member);
        }
    }

    fn packed(len: i64) -> Vec<u8> {
        let mut packed = listpack::EMPTY.to_vec();
        (0..len).for_each(|number| listpack::push_back_int(&mut packed, number));
        packed
    }

    fn drawn(set: SetRef<'_>, wanted: Wanted, random: &mut Random) -> Vec<usize> {
        let mut output = Output::default();
        reply(&mut output, set, wanted, &Members, &mut || random.next(), 0).expect("no limit");
        let text = String::from_utf8(output.plain().unwrap().to_vec()).unwrap();
        text.split("\r\n").skip(2).step_by(2).map(|member| member.parse().unwrap()).collect()
    }

    #[test]
    fn every_combination_of_ranks_is_equally_likely() {
        let mut random = Random::new(7);
        let mut times = BTreeMap::new();
        for _ in 0..10_000 {
            let ranks = ranks(5, 2, &mut || random.next());
            *times.entry(ranks).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 10);
        assert!(times.iter().all(|(ranks, times)| ranks.len() == 2 && (850..1150).contains(times)));
    }

    #[test]
    fn every_member_is_chosen_equally_often_and_once() {
        let packed = packed(100);
        let table = SetRef::Packed(Listpack::new(&packed)).to_table();
        let mut random = Random::new(7);
        for set in [SetRef::Packed(Listpack::new(&packed)), SetRef::Table(&table)] {
            for wanted in [1, 5, 32, 33, 34, 50, 99, 100] {
                let mut counts = [0_usize; 100];
                for _ in 0..2000 {
                    let mut chosen = drawn(set, Wanted::Distinct(wanted), &mut random);
                    chosen.iter().for_each(|member| counts[*member] += 1);
                    chosen.sort_unstable();
                    chosen.dedup();
                    assert_eq!(chosen.len(), wanted);
                }
                // Six standard deviations of a binomial distribution.
                let expected = 20.0 * wanted as f64;
                let deviation = (expected * (1.0 - wanted as f64 / 100.0)).sqrt();
                for count in counts {
                    assert!((count as f64 - expected).abs() <= 6.0 * deviation, "{counts:?}");
                }
            }
        }
    }

    #[test]
    fn any_number_is_drawn_up_to_the_limit() {
        let packed = packed(3);
        let set = SetRef::Packed(Listpack::new(&packed));
        let mut random = Random::new(9);
        assert_eq!(drawn(set, Wanted::Any(1000), &mut random).len(), 1000);
        assert_eq!(drawn(set, Wanted::Distinct(1000), &mut random).len(), 3);
        let mut output = Output::default();
        let wanted = Wanted::Any(usize::MAX >> 1);
        let ended = reply(&mut output, set, wanted, &Members, &mut || random.next(), 10_000);
        assert!(ended.is_err() && (10_000..10_100).contains(&output.len()), "{}", output.len());
    }

    #[test]
    fn counts_are_refused_as_in_redis() {
        let text = |arg: &str, pairs: bool| {
            let wanted = if pairs {
                Wanted::parse_pairs(arg.as_bytes())
            } else {
                Wanted::parse(arg.as_bytes())
            };
            wanted.map_err(|failure| String::from_utf8_lossy(&failure.text()).into_owned())
        };
        assert_eq!(text("-3", false), Ok(Wanted::Any(3)));
        assert_eq!(text("3", true), Ok(Wanted::Distinct(3)));
        let range = "ERR value is out of range, value must between -9223372036854775807 and \
                     9223372036854775807";
        assert_eq!(text("-9223372036854775808", false).unwrap_err(), range);
        assert_eq!(text("-4611686018427387904", true).unwrap_err(), "ERR value is out of range");
        assert_eq!(text("-4611686018427387903", true), Ok(Wanted::Any(4_611_686_018_427_387_903)));
        assert_eq!(text("x", false).unwrap_err(), "ERR value is not an integer or out of range");
    }
}

//! HRANDFIELD.

use std::collections::BTreeSet;

use super::read;
use crate::commands::{Args, Context, Failure, Handled};
use crate::resp::{Output, Protocol};
use crate::types::hash::HashRef;
use crate::types::listpack::Item;
use crate::types::uniform;

/// From this part of the fields on, a walk over all of them costs less than finding each by rank.
const WALKED_PART: usize = 3;

/// How fields are given.
#[derive(Clone, Copy, Debug)]
struct Form {
    values: bool,
}

impl Form {
    fn begin(self, reply: &mut Output, fields: usize) {
        let flat = self.values && reply.protocol == Protocol::Resp2;
        // The command refuses counts of which the double does not fit.
        reply.array(if flat { 2 * fields } else { fields });
    }

    fn field(self, reply: &mut Output, (field, value): (Item<'_>, Item<'_>)) {
        if self.values && reply.protocol == Protocol::Resp3 {
            reply.array(2);
        }
        Context::reply_item(reply, field);
        if self.values {
            Context::reply_item(reply, value);
        }
    }
}

pub(super) fn hrandfield(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    if args.len() == 2 {
        let drawn =
            read(&mut ctx.keys, key)?.and_then(|hash| hash.random(&mut || ctx.random.next()));
        super::reply_value(ctx.reply, drawn.map(|(field, _)| field));
        return Ok(());
    }
    let (count, form) = options(args)?;
    let hash = read(&mut ctx.keys, key)?;
    let (Some(hash), 1..) = (hash, count.unsigned_abs()) else {
        ctx.reply.array(0);
        return Ok(());
    };
    let number = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut random = || ctx.random.next();
    if count > 1 {
        distinct(ctx.reply, hash, number, form, &mut random);
        return Ok(());
    }
    form.begin(ctx.reply, number);
    let limits = &ctx.settings.clients.output_buffer_limits;
    let limit = if ctx.client.is_subscribed() { limits.pubsub } else { limits.normal };
    let is_over = |reply: &Output| limit.hard_bytes != 0 && reply.len() as u64 > limit.hard_bytes;
    if repeated(ctx.reply, hash, number, form, &mut random, is_over).is_err() {
        ctx.client.closing = true;
    }
    Ok(())
}

/// Count and form, as Redis checks them.
fn options(args: &Args<'_>) -> Result<(i64, Form), Failure> {
    let count = Context::integer(args.at(2))?;
    if count == i64::MIN {
        let most = i64::MAX;
        return Err(Failure::err(format_args!(
            "value is out of range, value must between -{most} and {most}"
        )));
    }
    let values = args.is(3, "WITHVALUES") && args.len() == 4;
    if args.len() > 3 && !values {
        return Err(Failure::Syntax);
    }
    if values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(Failure::err("value is out of range"));
    }
    Ok((count, Form { values }))
}

/// The client must be disconnected: it gets more than it may leave unread.
struct TooMuch;

/// Draws fields, any of them more than once. The number is the client's, and may be huge.
fn repeated(
    reply: &mut Output,
    hash: HashRef<'_>,
    number: usize,
    form: Form,
    random: &mut dyn FnMut() -> u64,
    is_over: impl Fn(&Output) -> bool,
) -> Result<(), TooMuch> {
    // By rank a listpack is walked for each.
    let all: Vec<_> = match hash {
        HashRef::Packed(_) if number > 1 => hash.iter().collect(),
        _ => Vec::new(),
    };
    for _ in 0..number {
        let drawn = match all.get(uniform(all.len(), random)) {
            Some(field) => *field,
            None => hash.random(random).expect("a key holds no empty hash"),
        };
        form.field(reply, drawn);
        if is_over(reply) {
            return Err(TooMuch);
        }
    }
    Ok(())
}

/// Chooses fields, none of them twice.
fn distinct(
    reply: &mut Output,
    hash: HashRef<'_>,
    number: usize,
    form: Form,
    random: &mut dyn FnMut() -> u64,
) {
    let len = hash.len();
    let number = number.min(len);
    form.begin(reply, number);
    if matches!(hash, HashRef::Table(_)) && number < len / WALKED_PART {
        for rank in ranks(len, number, random) {
            form.field(reply, hash.nth(rank).expect("a rank below the length"));
        }
        return;
    }
    // Each field is chosen with the probability that makes up the number.
    let (mut wanted, mut left) = (number, len);
    for field in hash.iter() {
        if wanted == 0 {
            break;
        }
        if uniform(left, random) < wanted {
            form.field(reply, field);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Random;
    use crate::types::table::FieldTable;

    #[test]
    fn every_combination_of_ranks_is_equally_likely() {
        let mut random = Random::new(7);
        let mut times = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let ranks = ranks(5, 2, &mut || random.next());
            *times.entry(ranks).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 10);
        assert!(times.iter().all(|(ranks, times)| ranks.len() == 2 && (850..1150).contains(times)));
    }

    #[test]
    fn a_large_hash_gives_as_many_distinct_fields_as_were_asked_for() {
        let mut table = FieldTable::new();
        (0..1000).for_each(|number: i32| {
            table.insert(number.to_string().as_bytes(), b"v");
        });
        let mut random = Random::new(9);
        for number in [2, 10, 400, 999, 1000, 5000] {
            let mut reply = Output::default();
            let form = Form { values: false };
            distinct(&mut reply, HashRef::Table(&table), number, form, &mut || random.next());
            let text = String::from_utf8(reply.plain().unwrap().to_vec()).unwrap();
            let fields: Vec<_> = text.split("\r\n").skip(2).step_by(2).collect();
            assert_eq!(fields.len(), number.min(1000));
            assert_eq!(fields.iter().collect::<BTreeSet<_>>().len(), fields.len());
        }
    }
}

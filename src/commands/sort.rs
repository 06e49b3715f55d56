//! SORT and SORT_RO: the elements of a list, set or sorted set in an order, or what keys named after
//! them hold. `options` parses arguments and finds keys, `pattern` names keys after elements,
//! `elements` holds what is sorted.
//!
//! Texts are compared byte by byte, as Redis does in the locale C.

mod elements;
mod options;
mod pattern;

use std::cmp::Ordering;
use std::ops::Range;

use super::command::{
    Begin, Category, Command, Find, Group::Generic, KeyPlaces, at_least, command, one_key,
};
use super::{Args, Asked, Context, Failure, Flag::*, Handled, KeyFlag::*, Keys, lists};
use crate::acl::Access;
use crate::keyspace::Key;
use crate::number::double;
use crate::settings::EventClasses;
use crate::text::until_nul;
use crate::types::list::{self, Direction, Limits};
use crate::types::partial_sort::partial_sort;
use crate::types::{Encoding, Object, StringView, Type, Value, ValueRef};
use elements::Elements;
use options::{Options, Storing};

const CATEGORIES: &[Category] =
    &[Category::Set, Category::SortedSet, Category::List, Category::Dangerous];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("SORT", sort, at_least(2), &[Write, DenyOom, MovableKeys],
        source_and_names()
            .and(&[Ow, Update], Begin::Unknown, Find::Unknown)
            .note("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear \
                   anywhere in the argument array")
            .found_by(options::keys), Generic)
        .categories(CATEGORIES)
        .docs("1.0.0", COST,
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] \
             [STORE destination]",
            "Sorts the elements of a list, set or sorted set, and gives or stores them."),
    command("SORT_RO", sort_ro, at_least(2), &[ReadOnly, MovableKeys], source_and_names(), Generic)
        .categories(CATEGORIES)
        .docs("7.0.0", COST,
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
            "Sorts the elements of a list, set or sorted set, and gives them."),
];

const COST: &str = "O(N+M*log(M)) where N is the number of elements, M that of the elements given; O(N) \
                    if BY keeps the order";

/// The key to sort, and keys that are named after its elements.
const fn source_and_names() -> KeyPlaces {
    one_key(&[Ro, Access])
        .and(&[Ro, Access], Begin::Unknown, Find::Unknown)
        .note(
            "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive \
             from the content of the key we sort",
        )
        .locked_by(options::keys_to_lock)
}

fn sort(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let rights = reads_all_keys(ctx, args, b"sort");
    run(ctx, args, Options::parse(args, Storing::Allowed, rights)?)
}

fn sort_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let rights = reads_all_keys(ctx, args, b"sort_ro");
    run(ctx, args, Options::parse(args, Storing::ReadOnly, rights)?)
}

/// Whether the client's user may read all keys: BY and GET name keys that no argument shows.
fn reads_all_keys(ctx: &Context<'_>, args: &Args<'_>, command: &[u8]) -> bool {
    let Some(user) = ctx.client.user().filter(|user| !user.is_unrestricted()) else { return true };
    let registered = ctx.registry.find_row(command).expect("it is running");
    user.permits_with_all_keys(&Asked { registered, args }, Access::READ)
}

fn run(ctx: &mut Context<'_>, args: &Args<'_>, mut options: Options<'_>) -> Handled {
    let source = ctx.keys.at(args, 1);
    let kind = ctx.keys.read(source).map(|entry| entry.encoding().kind());
    match kind {
        None | Some(Type::List) => {}
        // What is stored, or what a script does, must not depend on the order of a hash table.
        Some(Type::Set) if options.store.is_some() || ctx.client.in_script => {
            options.settle_order();
        }
        Some(Type::Set) => {}
        Some(Type::SortedSet) => make_large(&mut ctx.keys, source),
        Some(_) => return Err(Failure::WrongType),
    }
    let value = kind.and_then(|_| ctx.keys.look(source)).map(|entry| entry.value());
    let len = value.map_or(0, elements::len);
    let wanted = options.range(len);
    let loaded = if options.keeps_order { wanted.clone() } else { 0..len };
    let backwards = options.keeps_order && options.descending;
    let elements =
        value.map_or_else(Elements::default, |value| Elements::load(value, loaded, backwards));
    let order = if options.keeps_order {
        (0..elements.len()).collect()
    } else {
        let mut order = sorted(&mut ctx.keys, &elements, &options, wanted.clone())?;
        order.truncate(wanted.end);
        order.drain(..wanted.start);
        order
    };
    match options.store {
        None => reply_sorted(ctx, &elements, &order, &options),
        Some(index) => {
            let target = ctx.keys.at(args, index);
            store_sorted(ctx, target, &elements, &order, &options);
        }
    }
    Ok(())
}

/// Gives a sorted set its large form: Redis does before it sorts, which OBJECT ENCODING shows.
fn make_large(keys: &mut Keys<'_>, key: Key<'_>) {
    let is_small = keys.look(key).is_some_and(|entry| entry.encoding() == Encoding::SortedSetPack);
    if is_small {
        keys.edit(key, |place| {
            if let ValueRef::SortedSet(set) = place.view() {
                let tree = set.to_tree();
                place.become_object(Object::SortedSet(tree));
            }
        });
        keys.keep_to_ourselves();
    }
}

/// The indices of all elements, of which those in the range `wanted` are in order.
fn sorted(
    keys: &mut Keys<'_>,
    elements: &Elements,
    options: &Options<'_>,
    wanted: Range<usize>,
) -> Result<Vec<usize>, Failure> {
    let mut order: Vec<usize> = (0..elements.len()).collect();
    // Equal elements of a part are in the order in which Redis's partial sort leaves them.
    let is_part = options.by.is_some() && wanted != (0..elements.len());
    let mut arrange = |compare: &dyn Fn(usize, usize) -> Ordering| {
        let directed = |a: &usize, b: &usize| {
            let order = compare(*a, *b);
            if options.descending { order.reverse() } else { order }
        };
        if is_part {
            partial_sort(&mut order, wanted.clone(), directed);
        } else {
            order.sort_by(directed);
        }
    };
    let stores = options.store.is_some();
    match &options.by {
        _ if !options.alpha => {
            let scores = scores(keys, elements, options)?;
            arrange(&|a, b| {
                let by_score = scores[a].partial_cmp(&scores[b]).unwrap_or(Ordering::Equal);
                by_score.then_with(|| elements.get(a).cmp(elements.get(b)))
            });
        }
        None if stores => arrange(&|a, b| elements.get(a).cmp(elements.get(b))),
        None => arrange(&|a, b| until_nul(elements.get(a)).cmp(until_nul(elements.get(b)))),
        Some(pattern) => {
            let mut name = Vec::new();
            let mut found = Vec::with_capacity(elements.len());
            for element in elements.iter() {
                found.push(pattern.value(keys, element, &mut name).is_some());
            }
            let keys = &*keys;
            let mut weights = Vec::with_capacity(elements.len());
            for (element, found) in elements.iter().zip(found) {
                let weight = if found { pattern.look(keys, element, &mut name) } else { None };
                weights.push(weight);
            }
            arrange(&|a, b| match (weights[a], weights[b]) {
                (Some(a), Some(b)) => compare_texts(a, b, stores),
                (a, b) => a.is_some().cmp(&b.is_some()),
            });
        }
    }
    Ok(order)
}

/// Compares strings, up to a zero byte unless `whole`.
fn compare_texts(a: StringView<'_>, b: StringView<'_>, whole: bool) -> Ordering {
    let seen = |byte: &&u8| whole || **byte != 0;
    match (a, b) {
        (StringView::Bytes(a), StringView::Bytes(b)) if whole => a.cmp(b),
        (StringView::Bytes(a), StringView::Bytes(b)) => until_nul(a).cmp(until_nul(b)),
        (a, b) => {
            let (mut digits_a, mut digits_b) = (None, None);
            let (a, b) = (a.pieces(&mut digits_a).flatten(), b.pieces(&mut digits_b).flatten());
            a.take_while(seen).cmp(b.take_while(seen))
        }
    }
}

/// The numbers to sort by; 0 where a key is missing.
fn scores(
    keys: &mut Keys<'_>,
    elements: &Elements,
    options: &Options<'_>,
) -> Result<Vec<f64>, Failure> {
    let mut name = Vec::new();
    let mut all_are_numbers = true;
    let mut scores = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let weight = match &options.by {
            None => Some(StringView::Bytes(element)),
            Some(pattern) => pattern.value(keys, element, &mut name),
        };
        let score = match weight {
            None => Some(0.0),
            Some(StringView::Int(value)) => Some(value as f64),
            Some(text) => double::parse_weight(&text.to_bytes()),
        };
        all_are_numbers &= score.is_some();
        scores.push(score.unwrap_or(0.0));
    }
    // All keys have been looked up by now, which counts.
    let failure = || Failure::err("One or more scores can't be converted into double");
    all_are_numbers.then_some(scores).ok_or_else(failure)
}

fn reply_sorted(
    ctx: &mut Context<'_>,
    elements: &Elements,
    order: &[usize],
    options: &Options<'_>,
) {
    let mut name = Vec::new();
    ctx.reply.array(order.len() * options.gets.len().max(1));
    for &index in order {
        let element = elements.get(index);
        if options.gets.is_empty() {
            ctx.reply.bulk(element);
        }
        for pattern in &options.gets {
            match pattern.value(&mut ctx.keys, element, &mut name) {
                Some(string) => Context::reply_string(ctx.reply, string),
                None => ctx.reply.null(),
            }
        }
    }
}

fn store_sorted(
    ctx: &mut Context<'_>,
    target: Key<'_>,
    elements: &Elements,
    order: &[usize],
    options: &Options<'_>,
) {
    // As in Redis, such a list is divided by default, whatever the settings say.
    let limits = Limits::DEFAULT.with_plain_of(lists::limits(ctx.node, ctx.settings));
    let mut result = Value::empty(Encoding::ListPack);
    let mut push = |value: &[u8]| {
        list::push_all(&mut result, Direction::Backward, std::iter::once(value), limits);
    };
    let mut name = Vec::new();
    for &index in order {
        let element = elements.get(index);
        if options.gets.is_empty() {
            push(element);
        }
        for pattern in &options.gets {
            let value = pattern.value(&mut ctx.keys, element, &mut name);
            push(&value.map_or_else(Default::default, StringView::to_bytes));
        }
    }
    let len = order.len() * options.gets.len().max(1);
    ctx.keys.store_result(target, result, EventClasses::LIST, "sortstore");
    // Each element counts as a change.
    ctx.keys.changed_much((len as u64).saturating_sub(1));
    ctx.reply.count(len);
}

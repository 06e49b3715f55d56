//! Commands on the bits of strings. What is written to goes through `target`; the operations of
//! BITFIELD are parsed in `operations`.

mod operations;
mod target;

use super::command::{Begin, Find, Group::Bitmap, at_least, command, exactly, one_key};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::*, Keys};
use crate::keyspace::Key;
use crate::number::Decimal;
use crate::settings::EventClasses;
use crate::types::bits::field::{FIELD_BYTES_MAX, Field};
use crate::types::bits::{self, Cursor, Unit};
use crate::types::{Chunks, Encoding, Object, StringView, Value};
use operations::Operation;
use target::Target;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("BITCOUNT", bitcount, at_least(2), &[ReadOnly], one_key(&[Ro, Access]), Bitmap)
        .docs("2.6.0", "O(N) where N is the length of the range", "key [start end [BYTE | BIT]]",
            "Counts the bits that are set in a string, or in a range of it."),
    command("BITFIELD", bitfield, at_least(2), &[Write, DenyOom],
        one_key(&[Rw, Access, Update, VariableFlags])
            .note("This command allows both access and modification of the key")
            .found_by(keys_of_bitfield), Bitmap)
        .docs("3.2.0", "O(1) for each operation",
            "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
             <SET encoding offset value | INCRBY encoding offset increment>]",
            "Reads, sets and increments integers of any width anywhere in a string."),
    command("BITFIELD_RO", bitfield_ro, at_least(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), Bitmap)
        .docs("6.0.0", "O(1) for each operation", "key [GET encoding offset [GET encoding offset ...]]",
            "Reads integers of any width anywhere in a string."),
    command("BITOP", bitop, at_least(4), &[Write, DenyOom],
        one_key_at(2), Bitmap)
        .docs("2.6.0", "O(N) where N is the length of the longest string", "operation destkey key [key ...]",
            "Combines strings bit by bit and stores the result."),
    command("BITPOS", bitpos, at_least(3), &[ReadOnly], one_key(&[Ro, Access]), Bitmap)
        .docs("2.8.7", "O(N) where N is the length of the range", "key bit [start [end [BYTE | BIT]]]",
            "Finds the first bit in a string, or in a range of it, that is set or clear."),
    command("GETBIT", getbit, exactly(3), &[ReadOnly, Fast], one_key(&[Ro, Access]), Bitmap)
        .docs("2.2.0", "O(1)", "key offset", "Gives one bit of a string; those past its end are 0."),
    command("SETBIT", setbit, exactly(4), &[Write, DenyOom], one_key(&[Rw, Access, Update]), Bitmap)
        .docs("2.2.0", "O(1)", "key offset value",
            "Sets or clears one bit of a string, and gives what it was; zeros lengthen a string to it."),
];

/// A target, and behind it the sources.
const fn one_key_at(target: usize) -> super::command::KeyPlaces {
    let one = Find::Range { last: 0, step: 1, limit: 0 };
    let rest = Find::Range { last: -1, step: 1, limit: 0 };
    super::command::NO_KEYS.and(&[Ow, Update], Begin::Index(target), one).and(
        &[Ro, Access],
        Begin::Index(target + 1),
        rest,
    )
}

/// Length in bytes that no offset may reach past; a master has limited its own.
fn bytes_max(ctx: &Context<'_>) -> Option<u64> {
    let max = ctx.node.settings.load().clients.proto_max_bulk_len_bytes;
    ctx.client.master.is_none().then_some(max)
}

fn setbit(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let offset = operations::bit_offset(args.at(2), bytes_max(ctx))?;
    let bit = match crate::number::parse_i64(args.at(3)) {
        Some(bit @ (0 | 1)) => bit == 1,
        _ => return Err(Failure::err("bit is not an integer or out of range")),
    };
    let key = ctx.keys.at(args, 1);
    let (at, mask) = ((offset / 8) as usize, 0x80_u8 >> (offset % 8));
    let mut target = Target::prepare(&mut ctx.keys, key, at + 1)?;
    let mut byte = [0];
    target.read(at, &mut byte);
    let was = byte[0] & mask != 0;
    if was != bit {
        target.write(at, &[byte[0] ^ mask]);
    }
    let changed = was != bit || target.is_lengthened();
    target::record(&mut ctx.keys, key, u64::from(changed));
    ctx.reply.integer(i64::from(was));
    Ok(())
}

fn getbit(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let offset = operations::bit_offset(args.at(2), bytes_max(ctx))?;
    let key = ctx.keys.at(args, 1);
    let mut byte = [0];
    if let Some(string) = ctx.keys.read_string(key)? {
        string.read_at((offset / 8) as usize, &mut byte);
    }
    ctx.reply.integer(i64::from(byte[0] >> (7 - offset % 8) & 1));
    Ok(())
}

/// Parses the unit of a range's bounds, which may be missing at `index`.
fn unit(args: &Args<'_>, index: usize) -> Result<Unit, Failure> {
    match () {
        () if args.len() == index || args.is(index, "BYTE") => Ok(Unit::Byte),
        () if args.is(index, "BIT") => Ok(Unit::Bit),
        () => Err(Failure::Syntax),
    }
}

fn bitcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    // A missing key is answered before anything is parsed.
    let Some(string) = ctx.keys.read_string(key)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let range = match args.len() {
        2 => bits::range(string.len(), 0, -1, Unit::Byte),
        4 | 5 => {
            let (start, end) = (Context::integer(args.at(2))?, Context::integer(args.at(3))?);
            if start < 0 && end < 0 && start > end {
                0..0
            } else {
                bits::range(string.len(), start, end, unit(args, 4)?)
            }
        }
        _ => return Err(Failure::Syntax),
    };
    let count = bits::count(string.pieces(&mut None), range);
    ctx.reply.integer(count.cast_signed());
    Ok(())
}

fn bitpos(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let bit = match Context::integer(args.at(2))? {
        bit @ (0 | 1) => bit == 1,
        _ => return Err(Failure::err("The bit argument must be 1 or 0.")),
    };
    let key = ctx.keys.at(args, 1);
    // A missing key is answered before the rest is parsed: it is zeros without end.
    let Some(string) = ctx.keys.read_string(key)? else {
        ctx.reply.integer(if bit { -1 } else { 0 });
        return Ok(());
    };
    if args.len() > 6 {
        return Err(Failure::Syntax);
    }
    let start = args.get(3).map_or(Ok(0), Context::integer)?;
    let unit = if args.len() == 6 { unit(args, 5)? } else { Unit::Byte };
    let end = args.get(4).map(Context::integer).transpose()?;
    let range = bits::range(string.len(), start, end.unwrap_or(-1), unit);
    let found = bits::position(string.pieces(&mut None), bit, range.clone());
    let position = match found {
        Some(position) => position.cast_signed(),
        // Zeros follow the string, unless the range says where it ends.
        None if !bit && end.is_none() && !range.is_empty() => range.end.cast_signed(),
        None => -1,
    };
    ctx.reply.integer(position);
    Ok(())
}

fn bitop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let operation = bits::Operation::parse(args.at(1)).ok_or(Failure::Syntax)?;
    if operation == bits::Operation::Not && args.len() != 4 {
        return Err(Failure::err("BITOP NOT must be called with a single source key."));
    }
    let mut sources = Vec::with_capacity(args.len() - 3);
    for index in 3..args.len() {
        let key = ctx.keys.at(args, index);
        let found = ctx.keys.read_string(key)?.is_some();
        sources.push(found.then_some(key));
    }
    let (len, result) = combined(&ctx.keys, operation, &sources);
    let target = ctx.keys.at(args, 2);
    let was_there = ctx.keys.has(target);
    if len > 0 {
        ctx.keys.store_owned(target, result, None);
        ctx.keys.changed(target, EventClasses::STRING, "set");
    } else if was_there {
        ctx.keys.remove(target);
        ctx.keys.changed(target, EventClasses::GENERIC, "del");
    }
    ctx.reply.count(len);
    Ok(())
}

/// The combination of strings, missing ones being empty, with its length.
fn combined(
    keys: &Keys<'_>,
    operation: bits::Operation,
    sources: &[Option<Key<'_>>],
) -> (usize, Value) {
    let string = |source: &Option<Key<'_>>| {
        let string = source.and_then(|key| keys.look(key)?.value().string());
        string.unwrap_or(StringView::Bytes(b""))
    };
    let strings: Vec<StringView<'_>> = sources.iter().map(string).collect();
    let len = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    let mut digits: Vec<Option<Decimal>> = vec![None; strings.len()];
    let pieces = strings.iter().zip(&mut digits).map(|(string, digits)| string.pieces(digits));
    let mut cursors: Vec<_> = pieces.map(Cursor::new).collect();
    if len > crate::keyspace::INLINE_BYTES_MAX {
        let chunks = Chunks::filled(len, |chunk| bits::combine(operation, &mut cursors, chunk));
        return (len, Value::Object(Box::new(Object::String(chunks))));
    }
    let mut bytes = vec![0; len];
    bits::combine(operation, &mut cursors, &mut bytes);
    (len, Value::Packed(Encoding::Raw, bytes))
}

/// BITFIELD's key: what is done to it depends on the operations; wrong arguments count as writing.
fn keys_of_bitfield(args: &Args<'_>, each: &mut dyn FnMut(usize, &'static [KeyFlag])) {
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index - 1;
        index += match () {
            () if args.is(index, "GET") && left >= 2 => 3,
            () if args.is(index, "OVERFLOW") && left >= 1 => 2,
            () => return each(1, &[Rw, Access, Update]),
        };
    }
    each(1, &[Ro, Access]);
}

fn bitfield(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let operations = operations::parse(args.from(2), bytes_max(ctx))?;
    let ends = operations.iter().filter_map(Operation::written).map(Field::end);
    match ends.max() {
        None => read_fields(ctx, args, &operations),
        Some(end) => write_fields(ctx, args, &operations, end),
    }
}

fn bitfield_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let operations = operations::parse(args.from(2), bytes_max(ctx))?;
    if operations.iter().any(|operation| operation.written().is_some()) {
        return Err(Failure::err("BITFIELD_RO only supports the GET subcommand"));
    }
    read_fields(ctx, args, &operations)
}

/// The bytes of a field, read by `read`, which is given the first one's index; zeros past the
/// string's end.
fn field_value(field: Field, read: impl FnOnce(usize, &mut [u8])) -> i64 {
    let range = field.bytes();
    let mut bytes = [0; FIELD_BYTES_MAX];
    let bytes = &mut bytes[..(range.end - range.start) as usize];
    read(range.start as usize, bytes);
    field.read(bytes)
}

fn read_fields(ctx: &mut Context<'_>, args: &Args<'_>, operations: &[Operation]) -> Handled {
    let key = ctx.keys.at(args, 1);
    let string = ctx.keys.read_string(key)?.unwrap_or(StringView::Bytes(b""));
    ctx.reply.array(operations.len());
    for operation in operations {
        let value = field_value(operation.field(), |at, bytes| {
            string.read_at(at, bytes);
        });
        ctx.reply.integer(value);
    }
    Ok(())
}

/// Runs operations of which some write, up to before the bit `end`.
fn write_fields(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    operations: &[Operation],
    end: u64,
) -> Handled {
    let key = ctx.keys.at(args, 1);
    let mut target = Target::prepare(&mut ctx.keys, key, end.div_ceil(8) as usize)?;
    ctx.reply.array(operations.len());
    let mut changes = 0;
    for operation in operations {
        let field = operation.field();
        let old = field_value(field, |at, bytes| target.read(at, bytes));
        let (new, reply) = match *operation {
            Operation::Get(_) => {
                ctx.reply.integer(old);
                continue;
            }
            Operation::Set(_, value, overflow) => (field.kind.fit(value, overflow), Some(old)),
            Operation::IncrBy(_, increment, overflow) => {
                (field.kind.sum(old, increment, overflow), None)
            }
        };
        let Some(new) = new else {
            ctx.reply.null();
            continue;
        };
        if new != old {
            target.write_field(field, new);
        }
        changes += u64::from(new != old || target.is_lengthened());
        ctx.reply.integer(reply.unwrap_or(new));
    }
    ctx.replied_before_events();
    target::record(&mut ctx.keys, key, changes);
    Ok(())
}

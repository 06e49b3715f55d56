//! LCS: the longest common subsequence of two strings.
//!
//! The textbook table: cell (i, j) is the length of the longest common subsequence of the first i
//! bytes of one string and the first j of the other. Backtracking from the last cell spells the
//! sequence in reverse; runs of diagonal steps are the ranges that IDX lists.

use crate::commands::{Args, Context, Failure, Handled};
use crate::types::StringView;

/// Options of LCS.
#[derive(Debug, Default)]
struct Options {
    idx: bool,
    len: bool,
    with_match_len: bool,
    match_len_min: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            if args.is(index, "IDX") {
                options.idx = true;
            } else if args.is(index, "LEN") {
                options.len = true;
            } else if args.is(index, "WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.is(index, "MINMATCHLEN") && index + 1 < args.len() {
                index += 1;
                let min = Context::integer(args.at(index))?.max(0);
                options.match_len_min = usize::try_from(min).unwrap_or(usize::MAX);
            } else {
                return Err(Failure::Syntax);
            }
            index += 1;
        }
        if options.idx && options.len {
            let text = "If you want both the length and indexes, please just use IDX.";
            return Err(Failure::err(text));
        }
        Ok(options)
    }
}

pub(super) fn lcs(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let one = string(ctx, args, 1);
    let two = string(ctx, args, 2);
    let (Ok(one), Ok(two)) = (one, two) else {
        return Err(Failure::err("The specified keys must contain string values"));
    };
    let options = Options::parse(args)?;
    check_size(ctx, &one, &two)?;
    let table = Table::new(&one, &two);
    if options.idx {
        let ranges = table.ranges();
        let ranges = ranges.iter().filter(|range| range.len >= options.match_len_min);
        ctx.reply.map(2);
        ctx.reply.bulk(b"matches");
        ctx.reply.array(ranges.clone().count());
        for range in ranges {
            ctx.reply.array(if options.with_match_len { 3 } else { 2 });
            for start in [range.one, range.two] {
                ctx.reply.array(2);
                ctx.reply.count(start);
                ctx.reply.count(start + range.len - 1);
            }
            if options.with_match_len {
                ctx.reply.count(range.len);
            }
        }
        ctx.reply.bulk(b"len");
        ctx.reply.count(table.total());
    } else if options.len {
        ctx.reply.count(table.total());
    } else {
        let mut common = Vec::with_capacity(table.total());
        for range in table.ranges().iter().rev() {
            common.extend_from_slice(&one[range.one..range.one + range.len]);
        }
        ctx.reply.bulk(&common);
    }
    Ok(())
}

fn string(ctx: &mut Context<'_>, args: &Args<'_>, index: usize) -> Result<Vec<u8>, Failure> {
    let key = ctx.keys.at(args, index);
    let string = ctx.keys.read_string(key)?;
    Ok(string.map(StringView::to_bytes).unwrap_or_default().into_owned())
}

/// Limits the table to the size of the longest argument that a client may send.
fn check_size(ctx: &Context<'_>, one: &[u8], two: &[u8]) -> Result<(), Failure> {
    let len_max = u32::MAX as usize - 1;
    if one.len() >= len_max || two.len() >= len_max {
        return Err(Failure::err("String too long for LCS"));
    }
    let cells = (one.len() as u64 + 1) * (two.len() as u64 + 1);
    if cells.saturating_mul(4) > ctx.node.settings.load().clients.proto_max_bulk_len_bytes {
        return Err(Failure::err(
            "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Ok(())
}

/// Consecutive bytes that both strings share.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    /// Start in the first string.
    one: usize,
    two: usize,
    len: usize,
}

/// The lengths, one row per byte of the first string.
#[derive(Debug)]
struct Table<'a> {
    one: &'a [u8],
    two: &'a [u8],
    cells: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(one: &'a [u8], two: &'a [u8]) -> Self {
        let width = two.len() + 1;
        let mut cells = vec![0_u32; (one.len() + 1) * width];
        for (i, a) in one.iter().enumerate() {
            let (above, below) = cells.split_at_mut((i + 1) * width);
            let above = &above[i * width..];
            for (j, b) in two.iter().enumerate() {
                below[j + 1] = if a == b { above[j] + 1 } else { above[j + 1].max(below[j]) };
            }
        }
        Self { one, two, cells }
    }

    fn cell(&self, i: usize, j: usize) -> u32 {
        self.cells[i * (self.two.len() + 1) + j]
    }

    /// Length of the longest common subsequence.
    fn total(&self) -> usize {
        self.cell(self.one.len(), self.two.len()) as usize
    }

    /// The ranges of one longest common subsequence, from the last to the first.
    fn ranges(&self) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        let (mut i, mut j) = (self.one.len(), self.two.len());
        while i > 0 && j > 0 {
            if self.one[i - 1] != self.two[j - 1] {
                // On a tie, moves back in the second string, as in Redis.
                if self.cell(i - 1, j) > self.cell(i, j - 1) {
                    i -= 1
                } else {
                    j -= 1
                }
                continue;
            }
            match ranges.last_mut() {
                Some(range) if (range.one, range.two) == (i, j) => {
                    *range = Range { one: i - 1, two: j - 1, len: range.len + 1 };
                }
                _ => ranges.push(Range { one: i - 1, two: j - 1, len: 1 }),
            }
            (i, j) = (i - 1, j - 1);
        }
        ranges
    }
}

//! XADD and XTRIM, with the options that they share.

use super::{
    Args, Context, EventClasses, Failure, Handled, Key, Keys, Object, Stream, StreamId, reply_id,
};
use crate::text::until_nul;
use crate::types::Remains;
use crate::types::stream::{AppendError, BlockLimits, NewId, Precision, Trim, Until};

/// Options of XADD and XTRIM. Indices are those of arguments.
struct Options {
    trim: Option<Trim>,
    /// The threshold of the trim; its sign, if it has one, is before it.
    threshold_at: usize,
    no_mkstream: bool,
    id: Option<NewId>,
    id_at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Trim,
}

impl Options {
    fn parse(ctx: &Context<'_>, args: &Args<'_>, verb: Verb) -> Result<Self, Failure> {
        let mut options =
            Self { trim: None, threshold_at: 0, no_mkstream: false, id: None, id_at: args.len() };
        let (mut limit, mut at) = (None, 2);
        while at < args.len() && options.id.is_none() {
            let has_more = at + 1 < args.len();
            if verb == Verb::Add && until_nul(args.at(at)) == b"*" {
                (options.id, options.id_at) = (Some(NewId::Auto), at);
            } else if has_more && (args.is(at, "MAXLEN") || args.is(at, "MINID")) {
                at = options.threshold(args, at)?;
            } else if has_more && args.is(at, "LIMIT") {
                at += 1;
                limit = Some(natural(args.at(at), "LIMIT")?);
            } else if verb == Verb::Add && args.is(at, "NOMKSTREAM") {
                options.no_mkstream = true;
            } else if verb == Verb::Add {
                (options.id, options.id_at) = (Some(NewId::parse(args.at(at))?), at);
            } else {
                return Err(Failure::Syntax);
            }
            at += 1;
        }
        options.limit(ctx, limit, verb)?;
        Ok(options)
    }

    /// Reads a threshold, whose word is at `at`; returns where it ends.
    fn threshold(&mut self, args: &Args<'_>, mut at: usize) -> Result<usize, Failure> {
        if self.trim.is_some() {
            return Err(Failure::err(
                "syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let by_length = args.is(at, "MAXLEN");
        let has_sign = at + 2 < args.len();
        let sign = until_nul(args.at(at + 1));
        let mut precision = Precision::Exact;
        if has_sign && sign == b"~" {
            precision = Precision::Approximate;
            at += 1;
        } else if has_sign && sign == b"=" {
            at += 1;
        }
        at += 1;
        let until = if by_length {
            Until::Length(natural(args.at(at), "MAXLEN")?)
        } else {
            Until::Id(StreamId::parse_strict(args.at(at), 0)?)
        };
        (self.trim, self.threshold_at) = (Some(Trim { until, precision, limit: 0 }), at);
        Ok(at)
    }

    fn limit(&mut self, ctx: &Context<'_>, limit: Option<u64>, verb: Verb) -> Result<(), Failure> {
        if self.trim.is_none() && limit.unwrap_or(0) > 0 {
            return Err(Failure::err(
                "syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.trim.is_none() && verb == Verb::Trim {
            return Err(Failure::err(
                "syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        // A master has trimmed already, and tells where to.
        if ctx.client.master.is_some() {
            return Ok(());
        }
        if limit.is_some() && !self.is_approximate() {
            return Err(Failure::err(
                "syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        if let Some(trim) = &mut self.trim {
            trim.limit = match trim.precision {
                Precision::Exact => 0,
                Precision::Approximate => limit.unwrap_or_else(|| {
                    Trim::default_limit(ctx.settings.collections.stream_node_entries_max)
                }),
            };
        }
        Ok(())
    }

    fn is_approximate(&self) -> bool {
        self.trim.is_some_and(|trim| trim.precision == Precision::Approximate)
    }

    /// Logs the command with the id and the threshold as they came to be: a replica must not
    /// decide on either.
    fn log(&self, keys: &mut Keys<'_>, args: &Args<'_>, key: Key<'_>, id: Option<StreamId>) {
        if !keys.is_logging() || id.is_none() && !self.is_approximate() {
            return;
        }
        let mut command: Vec<Box<[u8]>> = args.from(0).map(Box::from).collect();
        if let Some(id) = id {
            command[self.id_at] = id.text().as_bytes().into();
        }
        if self.is_approximate() {
            let stream = keys.stream(key);
            command[self.threshold_at - 1] = Box::from(*b"=");
            command[self.threshold_at] = match self.trim.map(|trim| trim.until) {
                Some(Until::Id(_)) => stream.first_stored_id().text().as_bytes().into(),
                _ => stream.len().to_string().into_bytes().into(),
            };
        }
        keys.log_commands(vec![command]);
    }
}

/// An argument of 0 or more, `name` being the option's.
fn natural(arg: &[u8], name: &str) -> Result<u64, Failure> {
    let number = Context::integer(arg)?;
    u64::try_from(number)
        .map_err(|_| Failure::err(format_args!("The {name} argument must be >= 0.")))
}

fn refused(error: AppendError) -> Failure {
    Failure::err(error.text())
}

fn block_limits(ctx: &Context<'_>) -> BlockLimits {
    let limits = &ctx.settings.collections;
    BlockLimits {
        bytes: usize::try_from(limits.stream_node_bytes_max).unwrap_or(usize::MAX),
        entries: limits.stream_node_entries_max,
    }
}

/// Trims, and leaves what was removed for later; returns how many entries.
fn trim(keys: &mut Keys<'_>, key: Key<'_>, trim: Trim) -> u64 {
    let trimmed = keys.edit_stream(key, |stream| stream.trim(trim));
    if !trimmed.removed.is_empty() {
        keys.bury(Remains::Blocks(trimmed.removed));
    }
    trimmed.entries
}

pub(super) fn xadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = Options::parse(ctx, args, Verb::Add)?;
    let (arity, first) = (|| Failure::Arity("xadd".to_owned()), options.id_at + 1);
    let wanted = options.id.ok_or_else(arity)?;
    let values = args.len() - first;
    if values < 2 || !values.is_multiple_of(2) {
        return Err(arity());
    }
    if wanted == NewId::Exact(StreamId::MIN) {
        return Err(refused(AppendError::Zero));
    }
    let key = ctx.keys.at(args, 1);
    let now_ms = ctx.keys.now_ms.unsigned_abs();
    let found = ctx.keys.write_stream(key)?;
    if found.is_none() && options.no_mkstream {
        ctx.reply.null();
        return Ok(());
    }
    let (is_new, limits) = (found.is_none(), block_limits(ctx));
    let fields = (first..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1)));
    let append = |stream: &mut Stream| {
        let id = stream.new_id(wanted, now_ms)?;
        stream.append(id, fields, limits).map(|()| id)
    };
    let id = if is_new {
        let mut stream = Stream::default();
        let id = append(&mut stream).map_err(refused)?;
        ctx.keys.store_owned(key, Object::Stream(Box::new(stream)).into(), None);
        id
    } else {
        ctx.keys.edit_stream(key, append).map_err(refused)?
    };
    reply_id(ctx.reply, id);
    ctx.replied_before_events();
    ctx.keys.changed(key, EventClasses::STREAM, "xadd");
    if options.trim.is_some_and(|options| trim(&mut ctx.keys, key, options) > 0) {
        ctx.keys.event(key, EventClasses::STREAM, "xtrim");
    }
    let is_given = matches!(wanted, NewId::Exact(_));
    options.log(&mut ctx.keys, args, key, (!is_given).then_some(id));
    Ok(())
}

pub(super) fn xtrim(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = Options::parse(ctx, args, Verb::Trim)?;
    let key = ctx.keys.at(args, 1);
    let is_there = ctx.keys.write_stream(key)?.is_some();
    let wanted = options.trim.filter(|_| is_there);
    let entries = wanted.map_or(0, |wanted| trim(&mut ctx.keys, key, wanted));
    if entries > 0 {
        ctx.keys.changed_for_nobody(key, EventClasses::STREAM, "xtrim");
        ctx.keys.changed_much(entries - 1);
        options.log(&mut ctx.keys, args, key, None);
    }
    ctx.reply.integer(entries.cast_signed());
    Ok(())
}

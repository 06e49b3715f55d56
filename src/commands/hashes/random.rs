//! HRANDFIELD.

use super::read;
use crate::commands::draw::{self, Wanted};
use crate::commands::{Args, Context, Failure, Handled};
use crate::resp::{Output, Protocol};
use crate::types::listpack::Item;

/// How fields are given.
#[derive(Clone, Copy, Debug)]
struct Form {
    values: bool,
}

impl draw::Form<(Item<'_>, Item<'_>)> for Form {
    fn begin(&self, reply: &mut Output, fields: usize) {
        let flat = self.values && reply.protocol == Protocol::Resp2;
        // The command refuses counts of which the double does not fit.
        reply.array(if flat { 2 * fields } else { fields });
    }

    fn element(&self, reply: &mut Output, (field, value): (Item<'_>, Item<'_>)) {
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
    let (wanted, form) = options(args)?;
    let bytes_max = ctx.reply_bytes_max();
    let (Some(hash), Wanted::Distinct(1..) | Wanted::Any(_)) = (read(&mut ctx.keys, key)?, wanted)
    else {
        ctx.reply.array(0);
        return Ok(());
    };
    let random = &mut || ctx.random.next();
    if draw::reply(ctx.reply, hash, wanted, &form, random, bytes_max).is_err() {
        ctx.client.closing = true;
    }
    Ok(())
}

/// Count and form, as Redis checks them.
fn options(args: &Args<'_>) -> Result<(Wanted, Form), Failure> {
    let wanted = Wanted::parse(args.at(2))?;
    let values = args.is(3, "WITHVALUES") && args.len() == 4;
    if args.len() > 3 && !values {
        return Err(Failure::Syntax);
    }
    let wanted = if values { Wanted::parse_pairs(args.at(2))? } else { wanted };
    Ok((wanted, Form { values }))
}

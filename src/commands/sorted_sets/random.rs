//! ZRANDMEMBER.

use super::{read, reply_score};
use crate::commands::draw::{self, Wanted};
use crate::commands::{Args, Context, Failure, Handled};
use crate::resp::{Output, Protocol};
use crate::types::listpack::Item;

/// How elements are given.
#[derive(Clone, Copy, Debug)]
struct Form {
    scores: bool,
}

impl draw::Form<(Item<'_>, f64)> for Form {
    fn begin(&self, reply: &mut Output, elements: usize) {
        let flat = self.scores && reply.protocol == Protocol::Resp2;
        // The command refuses counts of which the double does not fit.
        reply.array(if flat { 2 * elements } else { elements });
    }

    fn element(&self, reply: &mut Output, (member, score): (Item<'_>, f64)) {
        if self.scores && reply.protocol == Protocol::Resp3 {
            reply.array(2);
        }
        Context::reply_item(reply, member);
        if self.scores {
            reply_score(reply, score);
        }
    }
}

pub(super) fn zrandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    if args.len() == 2 {
        match read(&mut ctx.keys, key)? {
            Some(set) => {
                let (member, _) = draw::one(set, &mut || ctx.random.next());
                Context::reply_item(ctx.reply, member);
            }
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let (wanted, form) = options(args)?;
    let bytes_max = ctx.reply_bytes_max();
    let (Some(set), Wanted::Distinct(1..) | Wanted::Any(_)) = (read(&mut ctx.keys, key)?, wanted)
    else {
        ctx.reply.array(0);
        return Ok(());
    };
    let random = &mut || ctx.random.next();
    if draw::reply(ctx.reply, set, wanted, &form, random, bytes_max).is_err() {
        ctx.client.closing = true;
    }
    Ok(())
}

/// Count and form, as Redis checks them.
fn options(args: &Args<'_>) -> Result<(Wanted, Form), Failure> {
    let wanted = Wanted::parse(args.at(2))?;
    let scores = args.is(3, "WITHSCORES") && args.len() == 4;
    if args.len() > 3 && !scores {
        return Err(Failure::Syntax);
    }
    let wanted = if scores { Wanted::parse_pairs(args.at(2))? } else { wanted };
    Ok((wanted, Form { scores }))
}

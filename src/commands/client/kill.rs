//! CLIENT KILL.

use std::sync::Arc;

use super::super::{Args, Context, Failure, Handled};
use super::listing::{Type, present};
use super::yes_or_no;
use crate::acl::{User, Users};
use crate::node::client::Handle;
use crate::number::parse_i64;
use crate::text::until_nul;

/// Which clients CLIENT KILL selects.
#[derive(Default)]
struct Filter<'a> {
    id: Option<i64>,
    kind: Option<Type>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    user: Option<Arc<User>>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(args: &Args<'a>, users: &Users) -> Result<Self, Failure> {
        if args.len() == 3 {
            // The old form lets clients kill themselves.
            return Ok(Self { address: Some(args.at(2)), ..Self::default() });
        }
        let mut filter = Self { skip_me: true, ..Self::default() };
        let mut at = 2;
        while at < args.len() {
            let Some(value) = args.get(at + 1) else { return Err(Failure::Syntax) };
            match args.at(at).to_ascii_uppercase().as_slice() {
                b"ID" => {
                    let id = parse_i64(value).filter(|&id| id > 0);
                    let wrong = || Failure::err("client-id should be greater than 0");
                    filter.id = Some(id.ok_or_else(wrong)?);
                }
                b"TYPE" => filter.kind = Some(Type::named(value)?),
                b"ADDR" => filter.address = Some(value),
                b"LADDR" => filter.local_address = Some(value),
                b"USER" => {
                    let unknown = || [b"ERR No such user '", until_nul(value), b"'"].concat();
                    let user = users.get(value).ok_or_else(|| Failure::Bytes(unknown()))?;
                    filter.user = Some(Arc::clone(user));
                }
                b"SKIPME" => filter.skip_me = yes_or_no(value, "YES", "NO")?,
                _ => return Err(Failure::Syntax),
            }
            at += 2;
        }
        Ok(filter)
    }

    fn means(&self, handle: &Handle) -> bool {
        let origin = &handle.origin;
        self.address.is_none_or(|address| address == origin.address.as_bytes())
            && self.local_address.is_none_or(|address| address == origin.local_address.as_bytes())
            && self.kind.is_none_or(|kind| kind == Type::of(&handle.shown.lock()))
            && self.user.as_ref().is_none_or(|user| is_of(handle, user))
            && self.id.is_none_or(|id| id == origin.id.cast_signed())
    }
}

fn is_of(handle: &Handle, user: &User) -> bool {
    handle.shown.lock().user.as_ref().is_some_and(|held| held.is_same(user))
}

pub(super) fn kill(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let filter = Filter::parse(args, &ctx.node.acl.users())?;
    let mut killed = 0;
    let mut me = false;
    for handle in present(ctx) {
        let is_me = Arc::ptr_eq(&handle, &ctx.client.handle);
        if !filter.means(&handle) || is_me && filter.skip_me {
            continue;
        }
        if is_me {
            me = true;
        } else {
            handle.kill();
        }
        killed += 1;
    }
    if args.len() > 3 {
        ctx.reply.integer(killed);
    } else if killed == 0 {
        return Err(Failure::err("No such client"));
    } else {
        ctx.reply.ok();
    }
    if me {
        ctx.client.closing = true;
    }
    Ok(())
}

//! Whether the client's user may run a command. What is denied goes into ACL LOG.

use std::sync::atomic::Ordering;

use super::caller::Caller;
use crate::acl::{Context, Denial};
use crate::commands::registry::Registered;
use crate::commands::{Args, Asked, note_denial};
use crate::node::client::Client;

/// Why the client's user may not run this.
#[inline]
pub(super) fn denied(
    caller: &Caller<'_>,
    client: &mut Client,
    registered: &Registered,
    args: &Args<'_>,
    context: Context,
) -> Option<Denial> {
    let asked = Asked { registered, args };
    let denial = client.user()?.check(&asked).err()?;
    client.publish();
    log(caller, client, denial, &asked, context);
    Some(denial)
}

/// The same within a script. `client` is the script's own; the one that runs it has published its state.
#[inline]
pub(super) fn denied_in_script(
    caller: &Caller<'_>,
    client: &mut Client,
    registered: &Registered,
    args: &Args<'_>,
) -> Option<Denial> {
    let asked = Asked { registered, args };
    let epoch = caller.node.admission.epoch();
    if client.users_epoch != epoch {
        // A script without keys holds no lock against changes of users.
        client.follow(&caller.node.acl, epoch);
    }
    let denial = client.user()?.check(&asked).err()?;
    log(caller, client, denial, &asked, Context::Lua);
    Some(denial)
}

#[cold]
fn log(caller: &Caller<'_>, client: &Client, denial: Denial, asked: &Asked<'_>, context: Context) {
    client.handle.last_command.store(caller.last_command.unwrap_or(0), Ordering::Relaxed);
    note_denial(caller.node, &caller.engine.registry, client, denial, asked, context);
}

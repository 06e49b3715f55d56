//! ACL LOAD and ACL SAVE: the file of the setting `aclfile`.

use std::sync::Arc;

use super::super::{Args, Context, Failure, Handled};
use super::basis;
use crate::acl::{self, Revoked};
use crate::telemetry::log::log;

const NO_FILE: &str = "This Redis instance is not configured to use an ACL file. You may want to \
                       specify users via the ACL SETUSER command and then issue a CONFIG REWRITE \
                       (assuming you have a Redis configuration file set) in order to store users in \
                       the Redis configuration.";

/// The file's path.
fn path<'c>(ctx: &Context<'c>) -> Result<&'c str, Failure> {
    match ctx.settings.security.aclfile.as_str() {
        "" => Err(Failure::err(NO_FILE)),
        path => Ok(path),
    }
}

pub(super) fn load(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let (node, path) = (ctx.node, path(ctx)?);
    let text = node.host().read_file(path);
    let text = text.map_err(|reason| {
        Failure::err(format_args!("Error loading ACLs, opening file '{path}': {reason}"))
    })?;
    let basis = basis(node.acl.commands, &ctx.settings.security);
    let users = acl::load(&text, path, &node.acl.users(), &basis);
    let users = users.map_err(|errors| Failure::Bytes([b"ERR ", &errors[..]].concat()))?;
    // The default user's connections stay, but for subscriptions that it may no longer have.
    let default = Arc::clone(users.default_user());
    let revoked = Revoked::between(node.acl.users().default_user(), &default);
    let changed = revoked.as_ref().map(|revoked| (&*default, revoked));
    node.change_users(&ctx.keys.locked, users, changed, ctx.client);
    ctx.reply.ok();
    Ok(())
}

pub(super) fn save(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let (node, path) = (ctx.node, path(ctx)?);
    let text = acl::save(&node.acl.users(), node.acl.commands);
    if let Err(reason) = node.host().write_file(path, &text) {
        log!(Warning, "Writing ACL file for ACL SAVE: {reason}");
        return Err(Failure::err(
            "There was an error trying to save the ACLs. Please check the server logs for more \
             information",
        ));
    }
    ctx.reply.ok();
    Ok(())
}

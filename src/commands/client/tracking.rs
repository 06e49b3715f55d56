//! Client-side caching: CLIENT TRACKING and what belongs to it.

use std::collections::BTreeSet;

use super::super::{Args, Context, Failure, Handled};
use super::yes_or_no;
use crate::node::client::{Client, Name};
use crate::node::tracking::{Choice, Mode};
use crate::text::until_nul;

/// The options of CLIENT TRACKING as sent.
#[derive(Default)]
struct Options<'a> {
    redirect: u64,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Context<'_>, args: &Args<'a>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut at = 3;
        while let Some(word) = args.get(at) {
            let value = args.get(at + 1);
            match (word.to_ascii_uppercase().as_slice(), value) {
                (b"REDIRECT", Some(value)) => {
                    if options.redirect != 0 {
                        let text = "A client can only redirect to a single other client";
                        return Err(Failure::err(text));
                    }
                    options.redirect = redirect(ctx, value)?;
                    at += 1;
                }
                (b"BCAST", _) => options.broadcast = true,
                (b"OPTIN", _) => options.opt_in = true,
                (b"OPTOUT", _) => options.opt_out = true,
                (b"NOLOOP", _) => options.no_loop = true,
                (b"PREFIX", Some(value)) => {
                    options.prefixes.push(value);
                    at += 1;
                }
                _ => return Err(Failure::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }

    /// Checks the options against each other and against how the client tracks now.
    fn check(&self, client: &Client) -> Handled {
        let now = client.tracking.as_ref().map(|own| own.mode);
        let text = if !self.broadcast && !self.prefixes.is_empty() {
            "PREFIX option requires BCAST mode to be enabled"
        } else if now.is_some_and(|mode| mode.broadcast != self.broadcast) {
            "You can't switch BCAST mode on/off before disabling tracking for this client, and \
             then re-enabling it with a different mode."
        } else if self.broadcast && (self.opt_in || self.opt_out) {
            "OPTIN and OPTOUT are not compatible with BCAST"
        } else if self.opt_in && self.opt_out {
            "You can't specify both OPTIN mode and OPTOUT mode"
        } else if now.is_some_and(|mode| {
            self.opt_in && mode.choice == Choice::OptOut
                || self.opt_out && mode.choice == Choice::OptIn
        }) {
            "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and \
             then re-enabling it with a different mode."
        } else {
            let none = BTreeSet::new();
            let had = client.tracking.as_ref().map_or(&none, |own| &own.prefixes);
            return check_prefixes(&self.prefixes, had);
        };
        Err(Failure::err(text))
    }

    fn mode(&self) -> Mode {
        let choice = match (self.opt_in, self.opt_out) {
            (true, _) => Choice::OptIn,
            (_, true) => Choice::OptOut,
            _ => Choice::All,
        };
        let Self { broadcast, no_loop, redirect, .. } = *self;
        Mode { broadcast, choice, no_loop, redirect }
    }
}

/// The client with this number, which must be there now.
fn redirect(ctx: &Context<'_>, arg: &[u8]) -> Result<u64, Failure> {
    let id = Context::integer(arg)?;
    let known = u64::try_from(id).ok().filter(|&id| {
        let target = ctx.node.clients.get(id);
        target.is_some_and(|target| !target.is_killed())
    });
    known.ok_or_else(|| Failure::err("The client ID you want redirect to does not exist"))
}

/// Refuses prefixes of which one is the start of another.
fn check_prefixes(prefixes: &[&[u8]], had: &BTreeSet<Name>) -> Handled {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refused = |prefix: &[u8], which: &str, other: &[u8]| {
        let text = [
            b"ERR Prefix '",
            until_nul(prefix),
            b"' overlaps with ",
            which.as_bytes(),
            b" prefix '",
            until_nul(other),
            b"'. Prefixes for a single client must not overlap.",
        ];
        Failure::Bytes(text.concat())
    };
    for (index, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = had.iter().find(|other| overlap(prefix, other)) {
            return Err(refused(prefix, "an existing", other));
        }
        if let Some(other) = prefixes[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return Err(refused(prefix, "another provided", other));
        }
    }
    Ok(())
}

pub(super) fn tracking(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = Options::parse(ctx, args)?;
    if yes_or_no(args.at(2), "ON", "OFF")? {
        options.check(ctx.client)?;
        ctx.node.tracking.enable(ctx.client, options.mode(), &options.prefixes);
    } else {
        ctx.node.tracking.disable(ctx.client);
    }
    ctx.reply.ok();
    Ok(())
}

pub(super) fn caching(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let Some(own) = &mut ctx.client.tracking else {
        let text = "CLIENT CACHING can be called only when the client is in tracking mode with \
                    OPTIN or OPTOUT mode enabled";
        return Err(Failure::err(text));
    };
    let (wanted, text) = if yes_or_no(args.at(2), "YES", "NO")? {
        let text = "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
        (Choice::OptIn, text)
    } else {
        let text = "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
        (Choice::OptOut, text)
    };
    if own.mode.choice != wanted {
        return Err(Failure::err(text));
    }
    own.caching = true;
    ctx.reply.ok();
    Ok(())
}

/// The client that is told instead of this one, in Redis's form: 0 for none, -1 without tracking.
fn redirection(client: &Client) -> i64 {
    client.tracking.as_ref().map_or(-1, |own| own.mode.redirect.cast_signed())
}

pub(super) fn getredir(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.integer(redirection(ctx.client));
    Ok(())
}

pub(super) fn trackinginfo(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let client = &*ctx.client;
    let flags = match &client.tracking {
        None => vec!["off"],
        Some(own) => {
            let (mode, caching) = (own.mode, own.caching);
            let broken = own.tracker.mode().is_some_and(|(_, broken)| broken);
            let (opt_in, opt_out) = (mode.choice == Choice::OptIn, mode.choice == Choice::OptOut);
            let all = [
                ("on", true),
                ("bcast", mode.broadcast),
                ("optin", opt_in),
                ("caching-yes", opt_in && caching),
                ("optout", opt_out),
                ("caching-no", opt_out && caching),
                ("noloop", mode.no_loop),
                ("broken_redirect", broken),
            ];
            all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
        }
    };
    let reply = &mut *ctx.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirection(client));
    reply.bulk(b"prefixes");
    let prefixes = client.tracking.iter().flat_map(|own| &own.prefixes);
    reply.array(prefixes.clone().count());
    prefixes.for_each(|prefix| reply.bulk(prefix));
    Ok(())
}

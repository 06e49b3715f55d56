//! The users that a server starts with: those of its settings, or those of the ACL file.

use std::fs;

use super::host::system_text;
use crate::acl::{self, Declarations};
use crate::node::acl::{Acl, basis};
use crate::settings::{Security, UserLine};
use crate::telemetry::log::log;

const BOTH: &str = "Configuring Redis with users defined in redis.conf and at the same setting an ACL \
                    file path is invalid. This setup is very likely to lead to configuration errors and \
                    security holes, please define either an ACL file or declare users directly in your \
                    redis.conf, but not both.";

/// Puts the users in force. `aclfile` is the place of that setting.
///
/// # Errors
/// What is wrong with them, with the place.
pub(super) fn load_at_start(acl: &Acl, security: &Security, aclfile: &str) -> Result<(), String> {
    let path = security.aclfile.as_str();
    if let (Some(UserLine { place, .. }), false) = (security.users.first(), path.is_empty()) {
        return Err(format!("{place}: {BOTH} ({aclfile})"));
    }
    declare(acl, security)?;
    if path.is_empty() {
        return Ok(());
    }
    let text = fs::read(path).map_err(|error| {
        let reason = system_text(&error);
        aborting(format!("Error loading ACLs, opening file '{path}': {reason} ({aclfile})"))
    })?;
    let users = acl::load(&text, path, &acl.users(), &basis(acl.commands, security));
    let users = users.map_err(|errors| aborting(String::from_utf8_lossy(&errors)))?;
    acl.begin_with(users);
    Ok(())
}

fn aborting(errors: impl std::fmt::Display) -> String {
    format!("Aborting Redis startup because of ACL errors: {errors}")
}

/// Adds the users of the settings, in their order.
fn declare(acl: &Acl, security: &Security) -> Result<(), String> {
    let basis = basis(acl.commands, security);
    let mut all = Declarations::default();
    for UserLine { place, words } in &security.users {
        let refused = |text: Vec<u8>| format!("{place}: {}", String::from_utf8_lossy(&text));
        let (name, rules) = words.split_first().expect("its kind takes no line without words");
        let rules: Vec<&[u8]> = rules.iter().map(String::as_bytes).collect();
        all.add(name.as_bytes(), &rules, &basis).map_err(refused)?;
        // Applied alone, so that an error has its place.
        let mut one = Declarations::default();
        one.add(name.as_bytes(), &rules, &basis).map_err(refused)?;
        let (users, notices) = one.apply(&acl.users(), &basis).map_err(refused)?;
        notices.iter().for_each(|notice| log!(Notice, "{}", String::from_utf8_lossy(notice)));
        acl.begin_with(users);
    }
    Ok(())
}

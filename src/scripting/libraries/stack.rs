//! The limit of Lua's stack per C function.
//!
//! Redis's libraries keep open tables and results on that stack, so the limit bounds how deep they
//! nest and how much they return. The libraries here count the slots that those would use.

/// Slots that one C function may use.
const SLOTS_MAX: usize = 8000;

/// Whether `more` slots fit above the `used` ones.
pub(super) fn has_room(used: usize, more: usize) -> bool {
    more <= SLOTS_MAX && used.saturating_add(more) <= SLOTS_MAX
}

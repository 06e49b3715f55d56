//! RESP: bytes to requests and replies to bytes. No I/O, no commands.
//!
//! Requests are parsed in place: an argument is a [`Span`] of the buffer it arrived in, which the
//! engine reads while the bytes still lie there.
// Tests may index; the lints still run over everything else when the library is checked alone.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::arithmetic_side_effects
    )
)]

mod input;
mod output;
mod request;

pub(crate) use input::Input;
pub(crate) use output::{Bookmark, Output, Part, Protocol};
pub(crate) use request::{Limits, Parser, ProtocolError, Request, Span, split_inline};

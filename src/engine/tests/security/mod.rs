//! Attacks by class, and where the tests are that hold them off. Names in the right column are those
//! of tests, or of files whose tests are all about the class.
//!
//! | Class | Tests |
//! |---|---|
//! | damaged payloads of RESTORE and FUNCTION RESTORE | `engine/tests/fuzz.rs`, `rdb/payload/tests.rs`, `tests/differential/restore.rs` |
//! | damaged RDB and append only files | `rdb/reader/tests.rs`, `aof/tests/loading.rs` |
//! | integer overflow in ranges, counts and times | `numbers`: `no_number_overflows`, `no_value_outgrows_the_limit_of_strings` |
//! | lengths of requests | `resp/request/tests.rs`, `tests/differential/bytes.rs`, `tests/server/limits.rs`; `numbers`: `lengths_of_requests_are_refused_before_they_are_believed` |
//! | patterns that take exponential time, or nest | `glob.rs`; `patterns` |
//! | ways around a user's rights | `rights`; `engine/tests/acl.rs`; `tests/differential/users.rs`, with random rules and commands |
//! | clients that have not authenticated | `tests/server/security.rs`: `unauthenticated_…`; `engine/tests/connection.rs` |
//! | TLS: handshakes, records, renegotiation | `tests/server/security.rs`: `tls_…`; `tests/server/tls.rs`; `server/tls/session/tests.rs` |
//! | TLS: certificates | `server/tls/authorities/tests.rs` |
//! | scripts: leaving the sandbox, other users' globals | `scripting/tests/behaviour.rs`, `scripting/tests/cases/sandbox.lua`; `scripts`: `sandbox_…` |
//! | scripts: Lua's parser, stack, patterns and memory | `scripting/tests/behaviour.rs`; `scripts`: `lua_…` |
//! | scripts: overflows in cjson, cmsgpack, struct and bit | `scripts`: `libraries_…` |
//! | scripts: those that do not end | `tests/server/scripts.rs`; `scripting/tests/behaviour.rs`: `a_killed_script_fails_whatever_it_catches` |

mod numbers;
mod patterns;
mod rights;
mod scripts;

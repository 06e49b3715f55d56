//! The `bit` library: operations on 32-bit words, results as signed numbers.

use mlua::{Lua, Result, Table};

use super::arguments::Arguments;
use super::register;

/// Adding this to a number leaves its integer part in the low bits of the mantissa.
const INTEGER_TO_MANTISSA: f64 = 6_755_399_441_055_744.0;

/// Builds the table of functions.
pub(super) fn module(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    register(lua, &module, "tobit", |arguments| Ok(signed(word(arguments, 1)?)))?;
    register(lua, &module, "bnot", |arguments| Ok(signed(!word(arguments, 1)?)))?;
    register(lua, &module, "bswap", |arguments| Ok(signed(word(arguments, 1)?.swap_bytes())))?;
    register(lua, &module, "tohex", to_hex)?;
    register(lua, &module, "band", |arguments| fold(arguments, |a, b| a & b))?;
    register(lua, &module, "bor", |arguments| fold(arguments, |a, b| a | b))?;
    register(lua, &module, "bxor", |arguments| fold(arguments, |a, b| a ^ b))?;
    register(lua, &module, "lshift", |arguments| shift(arguments, |bits, n| bits << n))?;
    register(lua, &module, "rshift", |arguments| shift(arguments, |bits, n| bits >> n))?;
    register(lua, &module, "arshift", |arguments| {
        shift(arguments, |bits, n| (bits.cast_signed() >> n).cast_unsigned())
    })?;
    register(lua, &module, "rol", |arguments| shift(arguments, u32::rotate_left))?;
    register(lua, &module, "ror", |arguments| shift(arguments, u32::rotate_right))?;
    Ok(module)
}

/// The argument, reduced to 32 bits.
fn word(arguments: &Arguments<'_>, index: usize) -> Result<u32> {
    let number = arguments.number(index)?;
    Ok((number + INTEGER_TO_MANTISSA).to_bits() as u32)
}

fn signed(bits: u32) -> f64 {
    f64::from(bits.cast_signed())
}

fn fold(arguments: &Arguments<'_>, operation: fn(u32, u32) -> u32) -> Result<f64> {
    let mut bits = word(arguments, 1)?;
    // From the last to the second, so that the last bad argument is the one reported.
    for index in (2..=arguments.len()).rev() {
        bits = operation(bits, word(arguments, index)?);
    }
    Ok(signed(bits))
}

fn shift(arguments: &Arguments<'_>, operation: fn(u32, u32) -> u32) -> Result<f64> {
    let bits = word(arguments, 1)?;
    let count = word(arguments, 2)? & 31;
    Ok(signed(operation(bits, count)))
}

/// The low digits in hexadecimal, upper case when the count of digits is negative.
fn to_hex(arguments: &Arguments<'_>) -> Result<mlua::LuaString> {
    let bits = word(arguments, 1)?;
    let digits = match arguments.get(2) {
        None => 8,
        Some(_) => word(arguments, 2)?.cast_signed(),
    };
    let full = if digits < 0 { format!("{bits:08X}") } else { format!("{bits:08x}") };
    let count = digits.unsigned_abs().min(8) as usize;
    arguments.lua.create_string(&full[8 - count..])
}

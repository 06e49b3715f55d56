//! PFSELFTEST: whether registers and estimates work on this machine.

use super::{Encoding, REGISTERS, Registers, add, count, dense, encoding, new};

/// Rounds over all dense registers.
const ROUNDS: usize = 20;
/// Bits of a dense register.
const REGISTER_VALUES: u64 = 64;
/// Sizes at which estimates are compared with the truth.
const CHECKPOINTS: [u64; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// The estimator's standard error: 1.04 / √registers.
const STANDARD_ERROR: f64 = 0.008_125;
/// Greatest error accepted, in standard errors.
const ERROR_MAX: f64 = 6.0;
/// Redis's default of hll-sparse-max-bytes.
const SPARSE_MAX_BYTES: usize = 3000;

/// Checks dense registers against plain ones, and estimates of dense and sparse HyperLogLogs
/// against true counts. Takes some ten milliseconds.
///
/// # Errors
/// What failed, as the reply says it after `TESTFAILED `.
pub(crate) fn self_test() -> Result<(), String> {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    check_registers(&mut random)?;
    check_estimates(&mut random)
}

fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn check_registers(random: &mut u64) -> Result<(), String> {
    let mut plain = vec![0; REGISTERS];
    let mut packed = vec![0; dense::BYTES];
    for _ in 0..ROUNDS {
        for (index, register) in plain.iter_mut().enumerate() {
            *register = (next(random) % REGISTER_VALUES) as u8;
            dense::put(&mut packed, index, *register);
        }
        for (index, &expected) in plain.iter().enumerate() {
            let found = dense::get(&packed, index);
            if found != expected {
                return Err(format!("Register {index} should be {expected} but is {found}"));
            }
        }
    }
    Ok(())
}

fn check_estimates(random: &mut u64) -> Result<(), String> {
    let seed = next(random);
    let (mut dense, mut sparse) = (new(), new());
    let damaged = |_| "Elements cannot be added".to_owned();
    super::to_dense(&mut dense).map_err(damaged)?;
    let mut added = 0;
    for size in CHECKPOINTS {
        while added < size {
            let element = (added ^ seed).to_le_bytes();
            add(&mut dense, &element, SPARSE_MAX_BYTES).map_err(damaged)?;
            add(&mut sparse, &element, SPARSE_MAX_BYTES).map_err(damaged)?;
            added += 1;
        }
        let mut registers = Registers::default();
        registers.merge(&sparse).map_err(damaged)?;
        let counts = [count(&dense), count(&sparse), Ok(registers.count())];
        if counts.iter().any(|count| *count != counts[0]) {
            return Err("dense/sparse disagree".to_owned());
        }
        let found = counts[0].map_err(damaged)?;
        let error_max = (size as f64 * STANDARD_ERROR * ERROR_MAX).ceil() as u64;
        if found.abs_diff(size) > error_max {
            return Err(format!("Too big error. card:{size} abserr:{}", found.abs_diff(size)));
        }
        if size <= 10 && encoding(&sparse) != Some(Encoding::Sparse) {
            return Err("sparse encoding not used".to_owned());
        }
    }
    Ok(())
}

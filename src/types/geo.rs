//! Positions on the Earth as scores of a sorted set: 52 bits, those of the longitude and of the
//! latitude in turns, so that scores near each other are near on the map.
//!
//! All results are Redis 7.0's to the last bit: operations happen in the same order, with the
//! trigonometry of the same C library. [`search`] finds members within a shape.

pub(crate) mod search;
#[cfg(test)]
mod tests;

/// Bits of each coordinate in a score.
const STEP_MAX: u32 = 26;
const LONGITUDE_MAX: f64 = 180.0;
/// Where the Mercator projection of web maps ends: its map is a square.
const LATITUDE_MAX: f64 = 85.051_128_78;
/// Latitudes of standard geohash strings.
const LATITUDE_MAX_STANDARD: f64 = 90.0;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Characters of a geohash string. Ten hold 50 of 52 bits; the last is always a zero, as in Redis.
const TEXT_LEN: usize = 11;
const TEXT_DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A position in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

/// Units of distances in commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Metres,
    Kilometres,
    Feet,
    Miles,
}

impl Unit {
    /// Reads `m`, `km`, `ft` or `mi` in any case.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let units = [
            ("m", Self::Metres),
            ("km", Self::Kilometres),
            ("ft", Self::Feet),
            ("mi", Self::Miles),
        ];
        let named = units.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, unit)| *unit)
    }

    pub(crate) fn metres(self) -> f64 {
        match self {
            Self::Metres => 1.0,
            Self::Kilometres => 1000.0,
            Self::Feet => 0.3048,
            Self::Miles => 1609.34,
        }
    }
}

/// Some first bits of a score: `step` of each coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hash {
    bits: u64,
    step: u32,
}

/// The bits of latitudes in a hash; those of longitudes are the others.
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;

/// Spreads 32 bits to the even bits of 64.
fn spread(bits: u32) -> u64 {
    let mut spread = u64::from(bits);
    for (shift, kept) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        spread = (spread | spread << shift) & kept;
    }
    spread
}

/// The inverse of [`spread`].
fn gather(bits: u64) -> u32 {
    let mut gathered = bits & LATITUDE_BITS;
    for (shift, kept) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        gathered = (gathered | gathered >> shift) & kept;
    }
    gathered as u32
}

impl Hash {
    /// The cell of a point; latitudes reach from `-latitude_max` to `latitude_max`. The point lies
    /// within the map. At the map's upper edge a coordinate takes a bit more than `step`.
    fn of(point: Point, latitude_max: f64, step: u32) -> Self {
        let cell = |value: f64, max: f64| {
            let share = (value - -max) / (max - -max);
            (share * (1_u64 << step) as f64) as u32
        };
        let latitude = spread(cell(point.latitude, latitude_max));
        let longitude = spread(cell(point.longitude, LONGITUDE_MAX));
        Self { bits: latitude | longitude << 1, step }
    }

    /// The cell on the map.
    fn area(self) -> Area {
        let edge = |cell: u32, max: f64| {
            let share = f64::from(cell) * 1.0 / (1_u64 << self.step) as f64;
            -max + share * (max - -max)
        };
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        Area {
            latitude: (edge(latitude, LATITUDE_MAX), edge(latitude.wrapping_add(1), LATITUDE_MAX)),
            longitude: (
                edge(longitude, LONGITUDE_MAX),
                edge(longitude.wrapping_add(1), LONGITUDE_MAX),
            ),
        }
    }
}

/// A rectangle of the map; each pair is a minimum and a maximum.
#[derive(Clone, Copy, Debug)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

/// A double as an unsigned integer the way x86-64 compilers convert it, also when it is out of
/// range: a sorted set may have any scores.
fn score_bits(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    let truncated = |value: f64| {
        if (-HALF..HALF).contains(&value) { value as i64 as u64 } else { 1 << 63 }
    };
    if score >= HALF { truncated(score - HALF) ^ 1 << 63 } else { truncated(score) }
}

impl Point {
    /// A position that has a score; `None` outside of the map.
    pub(crate) fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let on_map = (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude);
        on_map.then_some(Self { longitude, latitude })
    }

    /// The score of the position's cell, as an integer.
    pub(crate) fn score(self) -> u64 {
        Hash::of(self, LATITUDE_MAX, STEP_MAX).bits
    }

    /// The middle of a score's cell, moved onto the map for scores that no position has.
    pub(crate) fn from_score(score: f64) -> Self {
        let area = Hash { bits: score_bits(score), step: STEP_MAX }.area();
        let middle = |(min, max): (f64, f64), most: f64| ((min + max) / 2.0).clamp(-most, most);
        Self {
            longitude: middle(area.longitude, LONGITUDE_MAX),
            latitude: middle(area.latitude, LATITUDE_MAX),
        }
    }

    /// The standard geohash string, which unlike a score counts latitudes to 90 degrees.
    pub(crate) fn text(self) -> [u8; TEXT_LEN] {
        let bits = Hash::of(self, LATITUDE_MAX_STANDARD, STEP_MAX).bits;
        let mut text = [TEXT_DIGITS[0]; TEXT_LEN];
        for (digit, position) in text.iter_mut().zip(1..TEXT_LEN) {
            *digit = TEXT_DIGITS[(bits >> (2 * STEP_MAX as usize - 5 * position)) as usize % 32];
        }
        text
    }

    /// The distance in metres along a great circle, on a sphere: the haversine formula. Where the
    /// longitudes are the same, Redis takes the difference of the latitudes, which may differ in
    /// the last bit.
    pub(crate) fn distance_m(self, other: Self) -> f64 {
        let latitudes = [radians(self.latitude), radians(other.latitude)];
        let longitudes = [radians(self.longitude), radians(other.longitude)];
        let u = ((latitudes[1] - latitudes[0]) / 2.0).sin();
        let v = ((longitudes[1] - longitudes[0]) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance_m(other);
        }
        let haversine = u * u + latitudes[0].cos() * latitudes[1].cos() * v * v;
        2.0 * EARTH_RADIUS_M * haversine.sqrt().asin()
    }

    /// The distance in metres of the two latitudes.
    fn latitude_distance_m(self, other: Self) -> f64 {
        EARTH_RADIUS_M * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// A distance as replies show it, four decimal places. It is the product that is rounded, as in
/// Redis, which differs from the nearest decimal where the product itself was rounded to a tie.
pub(crate) fn distance_text(distance: f64) -> String {
    let scaled = (distance * 10_000.0).round_ties_even();
    // Opposite points may have no distance, by rounding: C converts that to the least integer.
    let scaled = if scaled.is_nan() { i64::MIN } else { scaled as i64 };
    let sign = if scaled < 0 { "-" } else { "" };
    let magnitude = scaled.unsigned_abs();
    format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000)
}

/// A coordinate as replies show it: C's `%.17Lf` without zeros at the end.
pub(crate) fn coordinate_text(degrees: f64) -> String {
    let text = format!("{degrees:.17}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

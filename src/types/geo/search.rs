//! Search areas: the cells around a shape as ranges of scores, and which points it contains.
//!
//! A shape's cell, at the finest step whose cells are about as large as the shape, and its eight
//! neighbours cover it. Their members come in order of cell and score, which unsorted replies show:
//! cells, steps and what is skipped must be Redis's.

use std::ops::Range;

use super::super::partial_sort::partial_sort;
use super::{Area, EARTH_RADIUS_M, Hash, LATITUDE_BITS, LATITUDE_MAX, Point, STEP_MAX};
use super::{degrees, radians};

/// Half the length of the equator on web maps, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// Cells grow on the map towards the poles; from each of these latitudes on a step less is used.
const POLAR_LATITUDES: [f64; 2] = [66.0, 80.0];

/// The form of a shape, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Circle { radius_m: f64 },
    Box { width_m: f64, height_m: f64 },
}

/// What a search looks into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) centre: Point,
    pub(crate) form: Form,
}

impl Shape {
    /// The distance in metres of a point from the centre, if the shape contains the point.
    pub(crate) fn distance_m(&self, point: Point) -> Option<f64> {
        match self.form {
            Form::Circle { radius_m } => {
                Some(self.centre.distance_m(point)).filter(|&distance| distance <= radius_m)
            }
            Form::Box { width_m, height_m } => {
                let longitude = self.centre.longitude;
                let north_south = self.centre.latitude_distance_m(point);
                if north_south > height_m / 2.0 {
                    return None;
                }
                let east_west = point.distance_m(Point { longitude, ..point });
                (east_west <= width_m / 2.0).then(|| self.centre.distance_m(point))
            }
        }
    }

    /// The ranges of scores to look through, in order: the shape's cell, then north, south, east,
    /// west, north-east, north-west, south-east, south-west of it. At most nine; the same one may
    /// occur twice around very large shapes, and Redis then repeats members too.
    pub(crate) fn score_ranges(&self) -> impl Iterator<Item = Range<f64>> {
        let mut cells = [None; 9];
        let mut last = 0;
        for (index, cell) in self.cells().into_iter().enumerate() {
            // Only neighbours in this order are compared, and none with the first.
            if cell.is_some() && !(last > 0 && cell == cells[last]) {
                cells[index] = cell;
                last = index;
            }
        }
        cells.into_iter().flatten().map(|Hash { bits, step }| {
            let score = |bits: u64| (bits << (2 * (STEP_MAX - step))) as f64;
            score(bits)..score(bits + 1)
        })
    }

    fn cells(&self) -> [Option<Hash>; 9] {
        let bounds = self.bounds();
        let mut step = self.step();
        let mut cell = Hash::of(self.centre, LATITUDE_MAX, step);
        if step > 1 && !cell.reaches(&bounds) {
            step -= 1;
            cell = Hash::of(self.centre, LATITUDE_MAX, step);
        }
        let mut reached = [Reached::default(); 2];
        if step >= 2 {
            let area = cell.area();
            reached = [
                Reached::of(area.longitude, bounds.longitude),
                Reached::of(area.latitude, bounds.latitude),
            ];
        }
        NEIGHBOURS.map(|(x, y)| {
            let wanted = reached[0].includes(x) && reached[1].includes(y);
            wanted.then(|| cell.moved_x(x).moved_y(y))
        })
    }

    /// The shape's box of coordinates, which may lie partly off the map.
    fn bounds(&self) -> Area {
        let (height_m, width_m) = match self.form {
            Form::Circle { radius_m } => (radius_m, radius_m),
            Form::Box { width_m, height_m } => (height_m / 2.0, width_m / 2.0),
        };
        let Point { longitude, latitude } = self.centre;
        let up = degrees(height_m / EARTH_RADIUS_M);
        // A degree of longitude is shortest at the edge that is farther from the equator.
        let edge = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = degrees(width_m / EARTH_RADIUS_M / radians(edge).cos());
        Area {
            longitude: (longitude - aside, longitude + aside),
            latitude: (latitude - up, latitude + up),
        }
    }

    /// The step whose cells are about as large as the shape.
    fn step(&self) -> u32 {
        let mut range_m = match self.form {
            Form::Circle { radius_m } => radius_m,
            Form::Box { width_m, height_m } => {
                let (x, y) = (width_m / 2.0, height_m / 2.0);
                (x * x + y * y).sqrt()
            }
        };
        if range_m == 0.0 {
            return STEP_MAX;
        }
        let mut step = 1_i32;
        while range_m < MERCATOR_MAX_M {
            range_m *= 2.0;
            step += 1;
        }
        // Two less, so that the neighbours' cells cover the shape in most cases.
        step -= 2;
        step -= POLAR_LATITUDES.iter().filter(|&&from| self.centre.latitude.abs() > from).count()
            as i32;
        step.clamp(1, STEP_MAX as i32) as u32
    }
}

/// Steps to the east and to the north, in the order of results.
const NEIGHBOURS: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// Whether a shape reaches below and above a cell, in one coordinate.
#[derive(Clone, Copy, Debug)]
struct Reached {
    below: bool,
    above: bool,
}

impl Default for Reached {
    fn default() -> Self {
        Self { below: true, above: true }
    }
}

impl Reached {
    fn of(cell: (f64, f64), bounds: (f64, f64)) -> Self {
        // Written so that a bound that is not a number excludes nothing.
        let (below, above) = (cell.0 < bounds.0, cell.1 > bounds.1);
        Self { below: !below, above: !above }
    }

    fn includes(self, direction: i32) -> bool {
        match direction {
            0 => true,
            1.. => self.above,
            _ => self.below,
        }
    }
}

impl Hash {
    /// Whether this cell with its neighbours reaches to the bounds in all four directions.
    fn reaches(self, bounds: &Area) -> bool {
        let (north, south) = (self.moved_y(1).area(), self.moved_y(-1).area());
        let (east, west) = (self.moved_x(1).area(), self.moved_x(-1).area());
        let falls_short = north.latitude.1 < bounds.latitude.1
            || south.latitude.0 > bounds.latitude.0
            || east.longitude.1 < bounds.longitude.1
            || west.longitude.0 > bounds.longitude.0;
        !falls_short
    }

    /// The cell to the east, or to the west; round the globe.
    fn moved_x(self, direction: i32) -> Self {
        self.moved(direction, !LATITUDE_BITS)
    }

    /// The cell to the north, or to the south; past a pole the one at the other.
    fn moved_y(self, direction: i32) -> Self {
        self.moved(direction, LATITUDE_BITS)
    }

    /// Adds the direction to the bits in `own`, which carry over the others when those are ones.
    fn moved(self, direction: i32, own: u64) -> Self {
        if direction == 0 {
            return self;
        }
        let within = u64::MAX >> (64 - 2 * self.step);
        let others = !own & within;
        let bits = self.bits & own;
        let moved = match direction {
            1.. => bits.wrapping_add(others + 1),
            _ => (bits | others).wrapping_sub(others + 1),
        };
        Self { bits: moved & own & within | self.bits & !own, step: self.step }
    }
}

/// A member that a shape contains.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found<M> {
    pub(crate) member: M,
    pub(crate) score: f64,
    pub(crate) point: Point,
    /// From the centre.
    pub(crate) distance_m: f64,
}

/// The order of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    NearestFirst,
    FarthestFirst,
}

/// Moves the first `wanted` members in this order to the front. Among equally distant ones the
/// choice and order are Redis's, whose way of sorting depends on whether all are wanted.
pub(crate) fn sort<M>(found: &mut [Found<M>], order: Order, wanted: usize) {
    let compare = |a: &Found<M>, b: &Found<M>| {
        let nearest = a.distance_m.total_cmp(&b.distance_m);
        if order == Order::NearestFirst { nearest } else { nearest.reverse() }
    };
    if wanted < found.len() {
        partial_sort(found, 0..wanted, compare);
    } else {
        found.sort_by(compare);
    }
}

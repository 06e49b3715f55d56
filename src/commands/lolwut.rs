//! LOLWUT: the version, and two pieces of computer art, each drawn anew.
//!
//! The pieces have Redis's sizes, limits and captions; what they show is drawn by limpid's own
//! code.

use super::command::{Group::Server, NO_KEYS, at_least, command};
use super::{Args, Command, Context, Flag::*, Handled, REDIS_VERSION, Random};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("LOLWUT", lolwut, at_least(1), &[ReadOnly, Fast], NO_KEYS, Server)
        .docs("5.0.0", "O(N) in the size of the picture", "[VERSION version]", "Draws a picture, with the version below it."),
];

fn lolwut(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (version, options) = match args.len() {
        3.. if args.is(1, "VERSION") => (Context::integer(args.at(2))?, args.skip(3)),
        _ => (0, args.skip(args.len())),
    };
    let mut picture = match version {
        5 => squares(ctx.random, &options)?,
        6 => skyline(ctx.random, &options)?,
        _ => String::new(),
    };
    picture += &format!("Redis ver. {REDIS_VERSION}\n");
    ctx.reply.verbatim(b"txt", picture.as_bytes());
    Ok(())
}

/// The option at `index`, brought within 1 and `max`.
fn size(
    options: &Args<'_>,
    index: usize,
    default: usize,
    max: usize,
) -> Result<usize, super::Failure> {
    let Some(option) = options.get(index) else { return Ok(default) };
    let size = Context::integer(option)?.max(1);
    Ok(usize::try_from(size).unwrap_or(max).min(max))
}

/// A number from 0 to below 1.
fn fraction(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number from 0 to below `bound`.
fn below(random: &mut Random, bound: usize) -> usize {
    (random.next() % bound.max(1) as u64) as usize
}

/// Dots in the cells of a text: a cell is a braille character of two by four dots.
#[derive(Debug)]
struct Dots {
    width: usize,
    height: usize,
    /// The dots of each cell, as bits of its character.
    cells: Vec<u8>,
}

/// Bits of a cell's dots, by row and column.
const DOT_BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// The braille character without dots.
const BRAILLE: u32 = 0x2800;

impl Dots {
    fn new(width: usize, height: usize) -> Self {
        let cells = vec![0; width.div_ceil(2) * height.div_ceil(4)];
        Self { width, height, cells }
    }

    fn set(&mut self, x: f64, y: f64) {
        if x < 0.0 || y < 0.0 {
            return;
        }
        let (x, y) = (x as usize, y as usize);
        if x < self.width && y < self.height {
            self.cells[y / 4 * self.width.div_ceil(2) + x / 2] |= DOT_BITS[y % 4][x % 2];
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            self.set((from.0 + dx * part).round(), (from.1 + dy * part).round());
        }
    }

    /// A square around a point, turned by an angle in radians.
    fn square(&mut self, center: (f64, f64), side: f64, angle: f64) {
        let corner = |nth: usize| {
            let angle =
                angle + std::f64::consts::FRAC_PI_4 + std::f64::consts::FRAC_PI_2 * nth as f64;
            let radius = side / std::f64::consts::SQRT_2;
            (center.0 + radius * angle.cos(), center.1 + radius * angle.sin())
        };
        (0..4).for_each(|nth| self.line(corner(nth), corner(nth + 1)));
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.cells.len() * 3);
        for row in self.cells.chunks(self.width.div_ceil(2)) {
            text.extend(row.iter().filter_map(|&bits| char::from_u32(BRAILLE + u32::from(bits))));
            text.push('\n');
        }
        text
    }
}

/// Most cells of a picture. In Redis, a few arguments make one of hundreds of megabytes.
const CELLS_MAX: usize = 1_000_000;

/// Rows of squares that lose their order from top to bottom, after Georg Nees.
fn squares(random: &mut Random, options: &Args<'_>) -> Result<String, super::Failure> {
    let columns = size(options, 0, 66, 1000)?;
    let across = size(options, 1, 8, 200)?;
    let down = size(options, 2, 12, 200)?;
    let width = columns * 2;
    let padding = if columns > 4 { 2 } else { 0 };
    let side = (width - padding * 2) / across;
    let rows_max = (CELLS_MAX / columns * 4).saturating_sub(padding * 2) / side.max(1);
    let down = down.min(rows_max.max(1));
    let mut dots = Dots::new(width, side * down + padding * 2);
    for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
        // The first row is in order.
        let disorder = if row == 0 { 0.0 } else { row as f64 / down as f64 };
        let mut shaken = |by: f64| (fraction(random) - 0.5) * by * disorder;
        let half = side as f64 / 2.0;
        let place = |nth: usize| (nth * side + padding) as f64 + half;
        let center =
            (place(column) + shaken(side as f64 * 0.6), place(row) + shaken(side as f64 * 0.6));
        let angle = shaken(std::f64::consts::PI);
        dots.square(center, side as f64, angle);
    }
    Ok(dots.text() + "\nGeorg Nees - schotter, plotter on paper, 1968. ")
}

/// A shade: black, two grays, white. Both the letter's colour and the ground's, so that terminals agree.
const SHADES: [&str; 4] = ["0;30;40m", "0;90;100m", "0;37;47m", "0;97;107m"];

/// Houses before a white sky: two ranges of gray ones, and black ones with lit windows before.
fn skyline(random: &mut Random, options: &Args<'_>) -> Result<String, super::Failure> {
    let columns = size(options, 0, 80, 1000)?;
    let rows = size(options, 1, 20, 1000)?;
    let mut shades = vec![3_u8; columns * rows];
    for (shade, least, most) in
        [(2, rows / 2, rows), (1, rows / 3, rows * 3 / 4), (0, rows / 4, rows / 2)]
    {
        let mut left = 0;
        while left < columns {
            let right = (left + 5 + below(random, 12)).min(columns);
            let height = (least + below(random, most - least + 1)).clamp(1, rows);
            for (x, y) in (left..right).flat_map(|x| (rows - height..rows).map(move |y| (x, y))) {
                shades[y * columns + x] = shade;
            }
            if shade == 0 {
                light_windows(random, &mut shades, columns, (left, right), rows - height);
            }
            left = right + below(random, 4);
        }
    }
    let mut text = String::with_capacity(columns * rows * 16);
    for row in shades.chunks(columns) {
        if !text.is_empty() {
            text.push('\n');
        }
        row.iter()
            .for_each(|shade| text += &format!("\u{1b}[{} \u{1b}[0m", SHADES[usize::from(*shade)]));
    }
    text += "\nDedicated to the 8 bit game developers of past and present.\n\
        Original 8 bit image from Plaguemon by hikikomori. ";
    Ok(text)
}

/// Lights some windows of a house between two columns, below its roof.
fn light_windows(
    random: &mut Random,
    shades: &mut [u8],
    columns: usize,
    (left, right): (usize, usize),
    roof: usize,
) {
    let rows = shades.len() / columns;
    for y in (roof + 2..rows.saturating_sub(1)).step_by(2) {
        for x in (left + 2..right.saturating_sub(2)).step_by(3) {
            let shade = below(random, 3) as u8;
            shades[y * columns + x] = shade;
        }
    }
}

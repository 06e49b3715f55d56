//! Arguments of GEOADD, GEOSEARCH, GEOSEARCHSTORE and the GEORADIUS commands.

use crate::commands::Failure;
use crate::number::{double, parse_i64};
use crate::types::geo::search::{Form, Order, Shape};
use crate::types::geo::{Point, Unit};

/// Which command searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Searcher {
    /// GEORADIUS, or its read-only form.
    Radius(Storing),
    /// GEORADIUSBYMEMBER, or its read-only form.
    RadiusByMember(Storing),
    Search,
    SearchStore,
}

/// Whether the options STORE and STOREDIST exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storing {
    Allowed,
    ReadOnly,
}

/// What a reply says of each member besides its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) distance: bool,
    pub(crate) hash: bool,
    pub(crate) coordinates: bool,
}

/// What becomes the scores of a stored result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredScore {
    Position,
    Distance,
}

/// A parsed search.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Search<'a> {
    /// Missing only if the source key is.
    pub(crate) shape: Option<Shape>,
    /// Of distances in the result.
    pub(crate) unit: Unit,
    pub(crate) details: Details,
    pub(crate) order: Option<Order>,
    /// Most results, at least 1.
    pub(crate) count: Option<u64>,
    /// Stop at the first `count` results, whatever their distance.
    pub(crate) any: bool,
    /// The key to store the result in.
    pub(crate) store: Option<(&'a [u8], StoredScore)>,
}

/// Finds the position of a member of the source key.
pub(crate) type Locate<'l> = &'l dyn Fn(&[u8]) -> Option<Point>;

impl<'a> Search<'a> {
    /// Parses the arguments after the command's name, which is `name` as sent. `locate` is missing
    /// if the source key is: then members are not looked up, nor is a member's radius parsed.
    ///
    /// # Errors
    /// As in Redis: the first argument that is wrong, or a member without a position; then options
    /// that do not fit together.
    pub(crate) fn parse<I>(
        searcher: Searcher,
        name: &[u8],
        args: I,
        locate: Option<Locate<'_>>,
    ) -> Result<Self, Failure>
    where
        I: ExactSizeIterator<Item = &'a [u8]>,
    {
        let mut parser = Parser::new(searcher, args, locate);
        parser.fixed()?;
        while let Some(word) = parser.args.next() {
            if !(parser.flag(word) || parser.limit(word)? || parser.other(word)?) {
                return Err(Failure::Syntax);
            }
        }
        parser.finish(name)
    }

    /// The results to return of those that were found.
    pub(crate) fn returned(&self, found: usize) -> usize {
        let count = self.count.and_then(|count| usize::try_from(count).ok());
        count.map_or(found, |count| count.min(found))
    }

    /// The order in which to sort: COUNT without ANY asks for the nearest.
    pub(crate) fn effective_order(&self) -> Option<Order> {
        let nearest = self.count.is_some() && !self.any;
        self.order.or_else(|| nearest.then_some(Order::NearestFirst))
    }
}

struct Parser<'a, 'l, I> {
    searcher: Searcher,
    args: I,
    locate: Option<Locate<'l>>,
    /// Outer: given at all; inner: known, as the source key exists.
    by_member: Option<Option<Point>>,
    by_position: Option<Point>,
    circle: Option<(Form, Unit)>,
    rectangle: Option<(Form, Unit)>,
    details: Details,
    order: Option<Order>,
    count: Option<u64>,
    any: bool,
    store_key: Option<&'a [u8]>,
    stored_score: StoredScore,
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

impl<'a, 'l, I: ExactSizeIterator<Item = &'a [u8]>> Parser<'a, 'l, I> {
    fn new(searcher: Searcher, args: I, locate: Option<Locate<'l>>) -> Self {
        Self {
            searcher,
            args,
            locate,
            by_member: None,
            by_position: None,
            circle: None,
            rectangle: None,
            details: Details::default(),
            order: None,
            count: None,
            any: false,
            store_key: None,
            stored_score: StoredScore::Position,
        }
    }

    fn next(&mut self) -> Result<&'a [u8], Failure> {
        self.args.next().ok_or(Failure::Syntax)
    }

    /// Parses the arguments that have fixed places.
    fn fixed(&mut self) -> Result<(), Failure> {
        if self.searcher == Searcher::SearchStore {
            self.store_key = Some(self.next()?);
        }
        self.next()?;
        match self.searcher {
            Searcher::Search | Searcher::SearchStore => {}
            Searcher::Radius(_) => {
                self.by_position = Some(position(self.next()?, self.next()?)?);
                self.circle = Some(circle(self.next()?, self.next()?)?);
            }
            Searcher::RadiusByMember(_) => {
                let member = self.next()?;
                let (radius, unit) = (self.next()?, self.next()?);
                self.by_member = Some(self.located(member)?);
                if self.locate.is_some() {
                    self.circle = Some(circle(radius, unit)?);
                }
            }
        }
        Ok(())
    }

    fn located(&self, member: &[u8]) -> Result<Option<Point>, Failure> {
        let missing = || Failure::err("could not decode requested zset member");
        self.locate.map(|locate| locate(member).ok_or_else(missing)).transpose()
    }

    /// Parses an option of one word.
    fn flag(&mut self, word: &[u8]) -> bool {
        let is = |name: &str| is(word, name);
        match () {
            () if is("WITHDIST") => self.details.distance = true,
            () if is("WITHHASH") => self.details.hash = true,
            () if is("WITHCOORD") => self.details.coordinates = true,
            () if is("ANY") => self.any = true,
            () if is("ASC") => self.order = Some(Order::NearestFirst),
            () if is("DESC") => self.order = Some(Order::FarthestFirst),
            () if is("STOREDIST") && self.searcher == Searcher::SearchStore => {
                self.stored_score = StoredScore::Distance;
            }
            () => return false,
        }
        true
    }

    /// Parses COUNT, STORE or STOREDIST.
    fn limit(&mut self, word: &[u8]) -> Result<bool, Failure> {
        if self.args.len() == 0 {
            return Ok(false);
        }
        if is(word, "COUNT") {
            let count = parse_i64(self.next()?).ok_or(Failure::NotInteger)?;
            let positive = u64::try_from(count).ok().filter(|&count| count > 0);
            self.count = Some(positive.ok_or_else(|| Failure::err("COUNT must be > 0"))?);
            return Ok(true);
        }
        let stored_score = match () {
            () if is(word, "STORE") => StoredScore::Position,
            () if is(word, "STOREDIST") => StoredScore::Distance,
            () => return Ok(false),
        };
        let (Searcher::Radius(storing) | Searcher::RadiusByMember(storing)) = self.searcher else {
            return Ok(false);
        };
        if storing == Storing::ReadOnly {
            return Ok(false);
        }
        self.store_key = Some(self.next()?);
        self.stored_score = stored_score;
        Ok(true)
    }

    /// Parses a centre or a form of GEOSEARCH.
    fn other(&mut self, word: &[u8]) -> Result<bool, Failure> {
        if !matches!(self.searcher, Searcher::Search | Searcher::SearchStore) {
            return Ok(false);
        }
        let left = self.args.len();
        match () {
            () if is(word, "FROMMEMBER") && left >= 1 && self.by_position.is_none() => {
                let member = self.next()?;
                self.by_member = Some(self.located(member)?);
            }
            () if is(word, "FROMLONLAT") && left >= 2 && self.by_member.is_none() => {
                self.by_position = Some(position(self.next()?, self.next()?)?);
            }
            () if is(word, "BYRADIUS") && left >= 2 && self.rectangle.is_none() => {
                self.circle = Some(circle(self.next()?, self.next()?)?);
            }
            () if is(word, "BYBOX") && left >= 3 && self.circle.is_none() => {
                self.rectangle = Some(rectangle(self.next()?, self.next()?, self.next()?)?);
            }
            () => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, name: &[u8]) -> Result<Search<'a>, Failure> {
        if self.store_key.is_some() && self.details != Details::default() {
            let what = match self.searcher {
                Searcher::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            let rest = "is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
            return Err(Failure::err(format_args!("{what} {rest}")));
        }
        let one_of = |what: &str| {
            let text = [b"ERR exactly one of ", what.as_bytes(), b" for ", name].concat();
            Failure::Bytes(text)
        };
        if self.by_member.is_none() && self.by_position.is_none() {
            return Err(one_of("FROMMEMBER or FROMLONLAT can be specified"));
        }
        let form = self.circle.or(self.rectangle);
        let is_search = matches!(self.searcher, Searcher::Search | Searcher::SearchStore);
        if form.is_none() && is_search {
            return Err(one_of("BYRADIUS and BYBOX can be specified"));
        }
        if self.any && self.count.is_none() {
            return Err(Failure::err("the ANY argument requires COUNT argument"));
        }
        let centre = self.by_position.or_else(|| self.by_member.flatten());
        let shape = self.locate.and(centre).zip(form);
        Ok(Search {
            shape: shape.map(|(centre, (form, _))| Shape { centre, form }),
            unit: form.map_or(Unit::Metres, |(_, unit)| unit),
            details: self.details,
            order: self.order,
            count: self.count,
            any: self.any,
            store: self.store_key.map(|key| (key, self.stored_score)),
        })
    }
}

/// Parses a longitude and a latitude.
///
/// # Errors
/// If one is no number, or both are no position on the map.
pub(crate) fn position(longitude: &[u8], latitude: &[u8]) -> Result<Point, Failure> {
    let longitude = double::parse(longitude).ok_or(Failure::NotFloat)?;
    let latitude = double::parse(latitude).ok_or(Failure::NotFloat)?;
    Point::new(longitude, latitude).ok_or_else(|| {
        let pair = format!("{longitude:.6},{latitude:.6}");
        Failure::err(format_args!("invalid longitude,latitude pair {pair}"))
    })
}

/// Parses a unit.
///
/// # Errors
/// If it is none.
pub(crate) fn unit(word: &[u8]) -> Result<Unit, Failure> {
    let unknown = || Failure::err("unsupported unit provided. please use M, KM, FT, MI");
    Unit::parse(word).ok_or_else(unknown)
}

fn length(text: &[u8], what: &str) -> Result<f64, Failure> {
    double::parse(text).ok_or_else(|| Failure::err(format_args!("need numeric {what}")))
}

fn circle(radius: &[u8], unit_name: &[u8]) -> Result<(Form, Unit), Failure> {
    let radius = length(radius, "radius")?;
    if radius < 0.0 {
        return Err(Failure::err("radius cannot be negative"));
    }
    let unit = unit(unit_name)?;
    Ok((Form::Circle { radius_m: radius * unit.metres() }, unit))
}

fn rectangle(width: &[u8], height: &[u8], unit_name: &[u8]) -> Result<(Form, Unit), Failure> {
    let (width, height) = (length(width, "width")?, length(height, "height")?);
    if width < 0.0 || height < 0.0 {
        return Err(Failure::err("height or width cannot be negative"));
    }
    let unit = unit(unit_name)?;
    let metres = unit.metres();
    Ok((Form::Box { width_m: width * metres, height_m: height * metres }, unit))
}

/// The parsed arguments of GEOADD: those of the ZADD that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addition<'a> {
    /// NX, XX and CH as sent, for the ZADD.
    pub(crate) options: Vec<&'a [u8]>,
    /// Scores and members.
    pub(crate) members: Vec<(u64, &'a [u8])>,
}

impl<'a> Addition<'a> {
    /// Parses the arguments after the key.
    ///
    /// # Errors
    /// Syntax, or the first position that is wrong.
    pub(crate) fn parse(args: impl Iterator<Item = &'a [u8]>) -> Result<Self, Failure> {
        let mut args = args.peekable();
        let mut options: Vec<&'a [u8]> = Vec::new();
        while let Some(option) =
            args.next_if(|arg| ["NX", "XX", "CH"].iter().any(|name| is(arg, name)))
        {
            options.push(option);
        }
        let given = |name: &str| options.iter().any(|option| is(option, name));
        let rest: Vec<&'a [u8]> = args.collect();
        let (triples, []) = rest.as_chunks::<3>() else { return Err(Failure::Syntax) };
        if given("NX") && given("XX") || triples.is_empty() {
            return Err(Failure::Syntax);
        }
        let scored = |[longitude, latitude, member]: &[&'a [u8]; 3]| {
            Ok((position(longitude, latitude)?.score(), *member))
        };
        let members = triples.iter().map(scored).collect::<Result<_, Failure>>()?;
        Ok(Self { options, members })
    }
}

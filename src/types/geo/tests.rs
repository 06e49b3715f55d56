use proptest::prelude::*;

use super::search::{Form, Found, Order, Shape, sort};
use super::*;

fn point(longitude: f64, latitude: f64) -> Point {
    Point::new(longitude, latitude).expect("on the map")
}

/// Places in and around Sicily as a sorted set has them.
fn sicily() -> Vec<(f64, &'static str)> {
    let mut places: Vec<(f64, &str)> = [
        (13.361389, 38.115556, "Palermo"),
        (15.087269, 37.502669, "Catania"),
        (13.361389, 38.0, "South"),
        (12.758489, 38.788135, "edge1"),
        (17.241510, 38.788135, "edge2"),
    ]
    .map(|(longitude, latitude, name)| (point(longitude, latitude).score() as f64, name))
    .to_vec();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places
}

fn search(shape: Shape) -> Vec<Found<&'static str>> {
    let places = sicily();
    let mut found = Vec::new();
    for range in shape.score_ranges() {
        for &(score, member) in places.iter().filter(|(score, _)| range.contains(score)) {
            let point = Point::from_score(score);
            if let Some(distance_m) = shape.distance_m(point) {
                found.push(Found { member, score, point, distance_m });
            }
        }
    }
    found
}

fn names(found: &[Found<&'static str>]) -> Vec<&'static str> {
    found.iter().map(|found| found.member).collect()
}

#[test]
fn positions_have_the_scores_and_texts_of_redis() {
    let score = point(13.361389, 38.115556).score();
    assert_eq!(score, 3_479_099_956_230_698);
    let decoded = Point::from_score(score as f64);
    assert_eq!(coordinate_text(decoded.longitude), "13.36138933897018433");
    assert_eq!(coordinate_text(decoded.latitude), "38.11555639549629859");
    assert_eq!(&decoded.text(), b"sqc8b49rny0");
    assert_eq!(coordinate_text(-0.0), "0");
    assert_eq!(coordinate_text(-180.0), "-180");
}

#[test]
fn only_positions_on_the_map_are_positions() {
    for (longitude, latitude) in
        [(180.1, 0.0), (-180.1, 0.0), (0.0, 85.06), (0.0, -90.0), (f64::NAN, 0.0), (0.0, f64::NAN)]
    {
        assert_eq!(Point::new(longitude, latitude), None, "{longitude} {latitude}");
    }
    assert!(Point::new(-180.0, LATITUDE_MAX).is_some());
}

#[test]
fn distances_are_those_of_redis() {
    let at = |longitude, latitude| Point::from_score(point(longitude, latitude).score() as f64);
    let (palermo, catania) = (at(13.361389, 38.115556), at(15.087269, 37.502669));
    let metres = palermo.distance_m(catania);
    assert_eq!(distance_text(metres), "166274.1516");
    assert_eq!(distance_text(metres / Unit::Miles.metres()), "103.3182");
    // Equal longitudes: the difference of latitudes, which is not the same to the last bit.
    assert_eq!(distance_text(palermo.distance_m(at(13.361389, 38.0))), "12852.7999");
    assert_eq!(palermo.distance_m(palermo), 0.0);
    assert_eq!(distance_text(0.0), "0.0000");
    assert_eq!(distance_text(48_690_998.465_15), "48690998.4652");
    assert_eq!(distance_text(f64::NAN), "-922337203685477.5808");
}

#[test]
fn results_come_by_cell_and_score_unless_sorted() {
    let centre = point(15.0, 37.0);
    let circle = Shape { centre, form: Form::Circle { radius_m: 200_000.0 } };
    assert_eq!(names(&search(circle)), ["South", "Palermo", "Catania"]);
    let form = Form::Box { width_m: 400_000.0, height_m: 400_000.0 };
    let mut found = search(Shape { centre, form });
    assert_eq!(names(&found), ["South", "Palermo", "edge1", "Catania", "edge2"]);
    sort(&mut found, Order::FarthestFirst, 3);
    assert_eq!(names(&found[..3]), ["edge1", "edge2", "Palermo"]);
    sort(&mut found, Order::NearestFirst, 5);
    assert_eq!(names(&found), ["Catania", "South", "Palermo", "edge2", "edge1"]);
}

#[test]
fn the_bounds_of_a_box_are_part_of_it() {
    let centre = point(10.0, 10.0);
    let corner = point(11.0, 11.0);
    let north = point(10.0, 11.0);
    let height_m = 2.0 * centre.distance_m(north);
    let width_m = 2.0 * north.distance_m(corner);
    let contains = |width_m: f64, height_m: f64| {
        Shape { centre, form: Form::Box { width_m, height_m } }.distance_m(corner).is_some()
    };
    assert!(contains(width_m, height_m));
    assert!(!contains(width_m.next_down(), height_m));
    assert!(!contains(width_m, height_m.next_down()));
}

proptest! {
    #[test]
    fn decoding_moves_a_position_by_less_than_a_cell(
        longitude in -180.0..180.0_f64,
        latitude in -85.0..85.0_f64,
    ) {
        let decoded = Point::from_score(point(longitude, latitude).score() as f64);
        prop_assert!((decoded.longitude - longitude).abs() < 3e-6);
        prop_assert!((decoded.latitude - latitude).abs() < 2e-6);
        prop_assert_eq!(decoded.score(), point(longitude, latitude).score());
    }

    #[test]
    fn any_score_is_a_position_on_the_map(bits: u64) {
        for score in [bits as f64, f64::from_bits(bits), -(bits as f64), f64::INFINITY] {
            if !score.is_nan() {
                let Point { longitude, latitude } = Point::from_score(score);
                prop_assert!(Point::new(longitude, latitude).is_some());
                Point::from_score(score).text();
            }
        }
    }

    #[test]
    fn a_search_misses_no_point_within_its_shape(
        longitude in -140.0..140.0_f64,
        latitude in -60.0..60.0_f64,
        radius_km in 0.001..1000.0_f64,
        ratio in 0.1..10.0_f64,
        offsets in proptest::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 20),
    ) {
        let centre = point(longitude, latitude);
        let radius_m = radius_km * 1000.0;
        let forms = [
            Form::Circle { radius_m },
            Form::Box { width_m: radius_m * ratio, height_m: radius_m / ratio },
        ];
        for shape in forms.map(|form| Shape { centre, form }) {
            let ranges: Vec<_> = shape.score_ranges().collect();
            prop_assert!((1..=9).contains(&ranges.len()));
            for &(x, y) in &offsets {
                let reach = radius_km / 111.0;
                let x = longitude + x * 2.0 * reach;
                let y = (latitude + y * reach).clamp(-80.0, 80.0);
                let score = point(x, y).score() as f64;
                if shape.distance_m(Point::from_score(score)).is_some() {
                    let covering = ranges.iter().filter(|range| range.contains(&score)).count();
                    prop_assert_eq!(covering, 1, "{:?} {} {}", shape, x, y);
                }
            }
        }
    }
}

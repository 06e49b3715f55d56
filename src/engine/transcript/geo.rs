//! Transcripts of the commands on places.

use super::Fixture;

const ADDED: &str = "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";
const LOGGED: &str = "SELECT 0 | zadd s 3479099956230698 Palermo 3479447370796909 Catania";

fn sicily() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.transcript(&[(ADDED, "2", LOGGED, "new s, zadd s")]);
    fixture
}

#[test]
fn places_are_added_as_scores() {
    sicily().transcript(&[
        (ADDED, "0", "", ""),
        ("GEOADD s NX CH 1 1 Palermo", "0", "", ""),
        (
            "GEOADD s CH 13.361389 38.115557 Palermo 15 37 Etna",
            "1",
            "zadd s CH 3479099956230698 Palermo 3476504601741708 Etna",
            "zadd s",
        ),
        ("GEOADD s XX NX 1 1 a", "-ERR syntax error", "", ""),
        ("GEOADD s 1 1", "-ERR wrong number of arguments for 'geoadd' command", "", ""),
        ("GEOADD s 1 1 a 1", "-ERR syntax error", "", ""),
        ("GEOADD s 1 x a", "-ERR value is not a valid float", "", ""),
        ("GEOADD s 1 86 a", "-ERR invalid longitude,latitude pair 1.000000,86.000000", "", ""),
    ]);
}

#[test]
fn places_are_shown_as_positions_hashes_and_distances() {
    sicily().transcript(&[
        (
            "GEOPOS s Palermo none",
            "[[\"13.36138933897018433\", \"38.11555639549629859\"], nil]",
            "",
            "",
        ),
        ("GEOPOS none a b", "[nil, nil]", "", "keymiss none"),
        ("GEOHASH s Catania none", "[\"sqdtr74hyu0\", nil]", "", ""),
        ("GEODIST s Palermo Catania", "\"166274.1516\"", "", ""),
        ("GEODIST s Palermo Catania mi", "\"103.3182\"", "", ""),
        ("GEODIST s Palermo none", "nil", "", ""),
        ("GEODIST none a b", "nil", "", "keymiss none"),
        ("GEODIST none a b mm", "-ERR unsupported unit provided. please use M, KM, FT, MI", "", ""),
        ("GEODIST s a b m m", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn places_are_found_in_circles_and_boxes() {
    sicily().transcript(&[
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km", "[\"Palermo\", \"Catania\"]", "", ""),
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC", "[\"Catania\", \"Palermo\"]", "", ""),
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1", "[\"Catania\"]", "", ""),
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY", "[\"Palermo\"]", "", ""),
        (
            "GEOSEARCH s FROMMEMBER Palermo BYBOX 400 400 km WITHDIST WITHHASH WITHCOORD COUNT 1",
            "[[\"Palermo\", \"0.0000\", 3479099956230698, \
             [\"13.36138933897018433\", \"38.11555639549629859\"]]]",
            "",
            "",
        ),
        ("GEORADIUS s 15 37 100 km WITHDIST", "[[\"Catania\", \"56.4413\"]]", "", ""),
        ("GEORADIUSBYMEMBER_RO s Palermo 100 km", "[\"Palermo\"]", "", ""),
        ("GEOSEARCH none FROMMEMBER a BYRADIUS 1 m", "[]", "", "keymiss none"),
        (
            "GEOSEARCH s FROMMEMBER a BYRADIUS 1 m",
            "-ERR could not decode requested zset member",
            "",
            "",
        ),
        ("GEORADIUS_RO s 15 37 100 km STORE t", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn what_is_found_can_be_stored() {
    sicily().transcript(&[
        (
            "GEOSEARCHSTORE t s FROMLONLAT 15 37 BYRADIUS 200 km",
            "2",
            "GEOSEARCHSTORE t s FROMLONLAT 15 37 BYRADIUS 200 km",
            "new t, geosearchstore t",
        ),
        ("ZSCORE t Catania", "\"3479447370796909\"", "", ""),
        (
            "GEORADIUS s 15 37 100 km STORE a STOREDIST t STOREDIST u",
            "1",
            "GEORADIUS s 15 37 100 km STORE a STOREDIST t STOREDIST u",
            "new u, georadiusstore u",
        ),
        ("ZSCORE u Catania", "\"56.441257870158204\"", "", ""),
        (
            "GEORADIUSBYMEMBER s Palermo 100 km STORE s",
            "1",
            "GEORADIUSBYMEMBER s Palermo 100 km STORE s",
            "georadiusstore s",
        ),
        ("ZCARD s", "1", "", ""),
        (
            "GEOSEARCHSTORE t s FROMLONLAT 100 37 BYRADIUS 2 km",
            "0",
            "GEOSEARCHSTORE t s FROMLONLAT 100 37 BYRADIUS 2 km",
            "del t",
        ),
        ("GEOSEARCHSTORE t none FROMLONLAT 100 37 BYRADIUS 2 km", "0", "", "keymiss none"),
        (
            "GEORADIUS s 15 37 100 km STORE t WITHDIST",
            "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and \
             WITHCOORD options",
            "",
            "",
        ),
    ]);
}

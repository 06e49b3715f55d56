use crate::engine::fixture::Fixture;
use crate::settings::{LocalAccess, Settings};

#[test]
fn spikes_are_kept_beyond_the_threshold_and_forgotten_when_asked() {
    let mut settings = Settings::default();
    settings.security.enable_debug_command = LocalAccess::Yes;
    let mut fixture = Fixture::with(settings, &[]);
    fixture.transcript(
        "
        a: DEBUG SLEEP 0.02 -> +OK
        a: LATENCY LATEST -> *0
        a: CONFIG SET latency-monitor-threshold 10 -> +OK
        a: DEBUG SLEEP 0.02 -> +OK
        a: DEBUG SLEEP 0.005 -> +OK
        a: LATENCY LATEST -> *1 *4 $7 command :1700000000 :20 :20
        a: LATENCY HISTORY command -> *1 *2 :1700000000 :20
        a: LATENCY HISTORY other -> *0
        a: LATENCY RESET other -> :0
        a: LATENCY RESET -> :1
        a: LATENCY LATEST -> *0
        ",
    );
}

#[test]
fn the_histogram_tells_of_commands_that_ran() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        a: LATENCY HISTOGRAM -> *0
        a: SET k v -> +OK
        a: LATENCY HISTOGRAM set -> *2 $3 set *4 $5 calls :1 $14 histogram_usec *2 :1 :1
        a: LATENCY HISTOGRAM nothing -> *0
        ",
    );
}

#[test]
fn percentiles_are_those_of_the_setting() {
    let mut fixture = Fixture::new();
    fixture.run("A", "PING");
    let shown = fixture.run("A", "INFO latencystats");
    assert!(shown.contains("latency_percentiles_usec_ping:p50=") && shown.contains(",p99.9="));
    fixture.run("A", "CONFIG SET latency-tracking-info-percentiles \"50.5 100\"");
    let shown = fixture.run("A", "INFO latencystats");
    assert!(shown.contains("_ping:p50.5=") && shown.contains(",p100="), "{shown}");
    let error = "-ERR CONFIG SET failed (possibly related to argument \
                 'latency-tracking-info-percentiles') - latency-tracking-info-percentiles \
                 parameters should sit between [0.0,100.0]";
    let refused = fixture.run("A", "CONFIG SET latency-tracking-info-percentiles 101");
    assert_eq!(refused, error);
    fixture.run("A", "CONFIG SET latency-tracking no");
    assert!(!fixture.run("A", "INFO latencystats").contains("percentiles"));
}

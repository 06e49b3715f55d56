use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest};
use tower::ServiceExt;

use super::*;
use crate::engine::fixture::Fixture;
use crate::keyspace::ShardSet;
use crate::node::admission;
use crate::settings::{MasterAddress, Settings};

/// Status and body of an answer.
fn ask(engine: &Arc<Engine>, method: Method, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = HttpRequest::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let response = routes(Arc::clone(engine)).oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("whole");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    })
}

fn get_status(engine: &Arc<Engine>, path: &str) -> u16 {
    ask(engine, Method::GET, path, None).0
}

fn follow(engine: &Engine) {
    let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
    let master = MasterAddress { host: "10.0.0.1".into(), port: 6379 };
    engine.node.follow(&guard.locked(), master);
}

#[test]
fn roles_are_told_by_status_with_and_without_a_body() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    for (path, master, replica) in [
        ("/livez", 200, 200),
        ("/readyz", 200, 503),
        ("/primary", 200, 503),
        ("/replica", 503, 503),
        ("/read-only", 503, 200),
    ] {
        assert_eq!(get_status(engine, path), master, "{path} of a master");
        for method in [Method::OPTIONS, Method::HEAD] {
            let answer = ask(engine, method.clone(), path, None);
            assert_eq!(answer, (master, String::new()), "{method} {path}");
        }
        let other = Fixture::new();
        follow(&other.engine);
        assert_eq!(get_status(&other.engine, path), replica, "{path} of a replica without link");
    }
}

#[test]
fn a_replica_is_ready_with_its_link_up_and_within_the_lag() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    follow(engine);
    let now_ms = engine.node.clock.unix_ms();
    engine.node.replication.update_link(|link| {
        link.state = crate::node::replication::LinkState::Connected;
        link.read_offset = 100;
    });
    assert_eq!(get_status(engine, "/readyz"), 200);
    assert_eq!(get_status(engine, "/readyz?lag=100"), 200);
    assert_eq!(get_status(engine, "/readyz?lag=99b"), 503);
    let (status, body) = ask(engine, Method::GET, "/readyz?lag=1s", None);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("does not tell the time"), "{body}");
    engine.node.replication.update_link(|link| {
        let mark =
            crate::node::replication::TimeMark { at_ms: now_ms - 250, written_ms: now_ms - 250 };
        link.mark = Some((mark, now_ms));
    });
    assert_eq!(get_status(engine, "/readyz?lag=100ms"), 503);
    assert_eq!(get_status(engine, "/readyz?lag=300ms"), 200);
    engine.node.replication.update_link(|link| link.sync = Some(Default::default()));
    assert_eq!(get_status(engine, "/readyz"), 503);
}

#[test]
fn a_node_that_loads_is_alive_and_not_ready() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    {
        let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
        engine.node.admission.set(&guard.locked(), admission::State::Loading, true);
    }
    assert_eq!(get_status(engine, "/livez"), 200);
    let (status, body) = ask(engine, Method::GET, "/readyz", None);
    assert_eq!(status, 503);
    assert!(body.contains("being loaded"), "{body}");
    assert_eq!(get_status(engine, "/primary"), 503);
}

#[test]
fn what_is_wrong_with_a_request_is_said_as_json() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::POST, "/metrics", 405),
        (Method::GET, "/readyz?lag=soon", 400),
        (Method::GET, "/readyz?leg=1s", 400),
        (Method::GET, "/info?format=xml", 400),
    ] {
        let (got, body) = ask(engine, method.clone(), path, None);
        assert_eq!(got, status, "{method} {path}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert!(body["error"].is_string(), "{body}");
    }
}

#[test]
fn a_token_guards_what_is_told_but_not_health() {
    let arguments = ["--admin-token", "sesame"].map(std::ffi::OsString::from);
    let loaded = crate::settings::load(&arguments, &[], &mut std::io::empty());
    let Ok(crate::settings::Invocation::Run { settings, .. }) = loaded else {
        panic!("{loaded:?}")
    };
    let fixture = Fixture::with(Settings::clone(&settings), &[]);
    let engine = &fixture.engine;
    for path in ["/metrics", "/info", "/replication"] {
        assert_eq!(get_status(engine, path), 401, "{path}");
        assert_eq!(ask(engine, Method::GET, path, Some("wrong")).0, 401, "{path}");
        assert_eq!(ask(engine, Method::GET, path, Some("sesame")).0, 200, "{path}");
    }
    assert_eq!(get_status(engine, "/readyz"), 200);
}

#[test]
fn info_is_text_or_json() {
    let mut fixture = Fixture::new();
    fixture.run("a", "SET k v");
    let engine = &fixture.engine;
    let (_, text) = ask(engine, Method::GET, "/info?section=keyspace", None);
    assert_eq!(text, "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n");
    let (_, json) = ask(engine, Method::GET, "/info?format=json", None);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["replication"]["role"], "master");
}

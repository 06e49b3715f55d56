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
fn ask(
    engine: &Arc<Engine>,
    method: Method,
    path: &str,
    authorisation: Option<&str>,
) -> (u16, String) {
    let mut request = HttpRequest::builder().method(method).uri(path);
    if let Some(authorisation) = authorisation {
        request = request.header(header::AUTHORIZATION, authorisation);
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
        ("/read-only", 200, 503),
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
    engine.node.link_up(&engine.node.keyspace.lock(ShardSet::ALL).locked());
    engine.node.replication.update_link(|link| link.read_offset = 100);
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
    engine.node.link_down(&engine.node.keyspace.lock(ShardSet::ALL).locked());
    engine.node.replication.update_link(|link| link.sync = Some(Default::default()));
    assert_eq!(get_status(engine, "/readyz"), 503);
}

#[test]
fn a_node_that_loads_is_alive_and_not_ready() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    {
        let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
        engine.node.admission.set(&guard.locked(), admission::Condition::Loading, true);
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
fn a_replica_may_be_read_when_it_has_a_masters_data_and_serves_them() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    follow(engine);
    let (status, body) = ask(engine, Method::GET, "/read-only", None);
    assert_eq!(status, 503);
    assert!(body.contains("never had a master's data"), "{body}");
    let master = engine.node.settings.load().replication.master.clone();
    engine.node.replication.set_synced_from(master);
    assert_eq!(get_status(engine, "/read-only"), 200, "stale data are served");
    let serve_stale = |value: &'static str| {
        let pairs = [(&b"replica-serve-stale-data"[..], value.as_bytes())];
        let (settings, _) = engine.node.settings.load().set(&pairs).expect("a setting");
        engine.node.settings.store(Arc::new(settings));
    };
    serve_stale("no");
    assert_eq!(get_status(engine, "/read-only"), 503);
    {
        let mut guard = engine.node.keyspace.lock(ShardSet::ALL);
        engine.node.link_up(&guard.locked());
    }
    assert_eq!(get_status(engine, "/read-only"), 200, "the link is up");
}

/// A server with these arguments.
fn server(arguments: &[&str]) -> Fixture {
    let arguments: Vec<_> = arguments.iter().map(std::ffi::OsString::from).collect();
    let loaded = crate::settings::load(&arguments, &[], &mut std::io::empty());
    let Ok(crate::settings::Invocation::Run { settings, .. }) = loaded else {
        panic!("{loaded:?}")
    };
    Fixture::with(Settings::clone(&settings), &[])
}

#[test]
fn a_token_guards_what_is_told_but_not_health() {
    let fixture = server(&["--admin-token", "sesame"]);
    let engine = &fixture.engine;
    for path in ["/metrics", "/info", "/replication", "/readyz?verbose", "/primary?verbose="] {
        let status = |authorisation| ask(engine, Method::GET, path, authorisation).0;
        for wrong in [None, Some("sesame"), Some("Bearer wrong"), Some("Basic sesame")] {
            assert_eq!(status(wrong), 401, "{path} {wrong:?}");
        }
        for right in ["Bearer sesame", "bearer sesame", "BEARER  sesame"] {
            assert_eq!(status(Some(right)), 200, "{path} {right}");
        }
    }
    for path in ["/livez", "/readyz", "/primary", "/read-only"] {
        assert_eq!(get_status(engine, path), 200, "{path}");
    }
    assert_eq!(get_status(engine, "/replica"), 503);
}

#[test]
fn what_health_tells_everyone_has_no_address() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    follow(engine);
    engine.node.replication.update_link(|link| {
        let reason = "the master 10.0.0.1:6379 came back".to_owned();
        link.refused = Some(crate::node::replication::RefusedMaster { id: "a".into(), reason });
    });
    for path in ["/readyz", "/primary", "/replica", "/read-only"] {
        let (status, body) = ask(engine, Method::GET, path, None);
        assert!(status == 503 && !body.contains("10.0.0.1"), "{path} {body}");
        let (_, body) = ask(engine, Method::GET, &format!("{path}?verbose"), None);
        assert!(body.contains("10.0.0.1"), "{path} {body}");
    }
}

#[test]
fn an_admin_server_that_tells_anyone_needs_consent() {
    for (arguments, access, starts) in [
        (&["--admin-port", "0", "--admin-bind", "0.0.0.0", "--requirepass", "p"][..], "off", true),
        (&["--requirepass", "p"], "local", true),
        (&["--admin-bind", "::1", "--requirepass", "p"], "local", true),
        (&["--admin-bind", "localhost", "--requirepass", "p"], "local", true),
        (&["--admin-bind", "0.0.0.0"], "anyone", true),
        (&["--admin-bind", "0.0.0.0", "--requirepass", "p"], "anyone", false),
        (&["--admin-bind", "::", "--requirepass", "p"], "anyone", false),
        (&["--admin-bind", "0.0.0.0", "--requirepass", "p", "--admin-token", "t"], "token", true),
        (
            &["--admin-bind", "::", "--requirepass", "p", "--admin-allow-anonymous", "yes"],
            "anyone",
            true,
        ),
    ] {
        let mut fixture = server(arguments);
        let settings = fixture.engine.node.settings.load_full();
        assert_eq!(check_access(&fixture.engine.node).is_ok(), starts, "{arguments:?}");
        let shown = fixture.run("a", "INFO server");
        let password_is_asked = arguments.contains(&"--requirepass");
        let line = format!(" admin_access:{access} ");
        assert!(password_is_asked || shown.contains(&line), "{arguments:?}: {shown}");
        assert_eq!(settings.admin.access().name(), access, "{arguments:?}");
    }
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

#[test]
fn a_failure_to_accept_neither_ends_the_admin_server_nor_has_it_spin() {
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let failures = std::cell::Cell::new(0);
        let accept = async || {
            if failures.get() < 3 {
                failures.set(failures.get() + 1);
                return Err(std::io::Error::from_raw_os_error(libc::EMFILE));
            }
            listener.accept().await.map(|(stream, _)| stream)
        };
        let limits = connections::Limits { max: 8, timeout: Duration::from_secs(5) };
        let node = Arc::clone(&engine.node);
        let serving =
            connections::serve(accept, routes(Arc::clone(engine)), (node, Arc::default()), limits);
        // Before either of the two runs.
        let began = tokio::time::Instant::now();
        let client = async {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
            let request = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.expect("sent");
            let mut answer = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.expect("text");
            (began.elapsed(), answer)
        };
        tokio::select! {
            never = serving => match never {},
            (took, answer) = client => {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert_eq!(failures.get(), 3);
                assert!(took >= Duration::from_millis(300), "it paused for {took:?} in all");
            }
        }
    });
}

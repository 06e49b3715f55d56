use super::*;

const ID: &str = "0123456789012345678901234567890123456789";

fn hello() -> Hello {
    Hello { port: 6380, ..Hello::default() }
}

/// An event that owns its bytes; payloads and stream are gathered by [`run`].
#[derive(Debug, PartialEq, Eq)]
struct Run {
    events: Vec<String>,
    payload: Vec<u8>,
    stream: Vec<u8>,
}

/// Feeds pieces, gathering events, and what was sent.
fn run(link: &mut Link, pieces: &[&[u8]]) -> Result<Run, LinkError> {
    let mut run = Run { events: Vec::new(), payload: Vec::new(), stream: Vec::new() };
    for piece in pieces {
        let mut input = *piece;
        while let Some(event) = link.next(&mut input)? {
            match event {
                LinkEvent::Payload(bytes) => run.payload.extend_from_slice(&bytes),
                LinkEvent::Stream(bytes) => run.stream.extend_from_slice(bytes),
                event => run.events.push(format!("{event:?}")),
            }
        }
    }
    Ok(run)
}

fn sent(link: &mut Link) -> String {
    String::from_utf8(link.take_output()).expect("commands are text")
}

/// A link that has sent PSYNC.
fn asked(hello: Hello) -> Link {
    let mut link = Link::new(hello);
    run(&mut link, &[b"+PONG\r\n+OK\r\n+OK\r\n"]).expect("all is well");
    link
}

#[test]
fn the_handshake_says_what_redis_says_in_the_same_order() {
    let known = Some((ID.to_owned(), 41));
    let mut link = Link::new(Hello {
        user: Some("u".into()),
        password: Some("p".into()),
        announce_ip: Some("10.0.0.1".into()),
        known,
        ..hello()
    });
    assert_eq!(sent(&mut link), "*1\r\n$4\r\nPING\r\n");
    let reached =
        run(&mut link, &[b"-NOAUTH Authentication required.\r\n"]).expect("a sign of life");
    assert_eq!(reached.events, ["Reached"]);
    assert_eq!(
        sent(&mut link),
        "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n\
         *3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n\
         *3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$8\r\n10.0.0.1\r\n\
         *7\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n\
         $4\r\ncapa\r\n$12\r\nlimpid-marks\r\n"
    );
    run(&mut link, &[b"+OK\r\n-ERR old\r\n-ERR old\r\n"]).expect("errors on these do no harm");
    assert_eq!(sent(&mut link), "", "PSYNC waits for all the replies");
    run(&mut link, &[b"+OK\r\n"]).expect("all is well");
    assert_eq!(sent(&mut link), format!("*3\r\n$5\r\nPSYNC\r\n$40\r\n{ID}\r\n$2\r\n42\r\n"));
}

#[test]
fn a_wrong_password_or_a_stranger_ends_the_link() {
    let mut link = Link::new(Hello { password: Some("p".into()), ..hello() });
    let error = run(&mut link, &[b"+PONG\r\n-WRONGPASS\r\n"]).expect_err("refused");
    assert_eq!(error, LinkError::Refused("Unable to AUTH to MASTER: -WRONGPASS".into()));
    let mut link = Link::new(hello());
    let error = run(&mut link, &[b"HTTP/1.1 400\r\n"]).expect_err("no Redis");
    assert!(matches!(error, LinkError::Refused(_)));
}

#[test]
fn a_payload_comes_whole_in_either_form_however_it_is_cut() {
    let mark = "m".repeat(40);
    let rdb: Vec<u8> = (0..200_u8).collect();
    let sized = [b"$200\r\n".to_vec(), rdb.clone(), b"*1\r\n$4\r\nPING\r\n".to_vec()].concat();
    let marked = [format!("$EOF:{mark}\r\n").into_bytes(), rdb.clone(), mark.into_bytes()].concat();
    for (form, stream) in [(sized, &b"*1\r\n$4\r\nPING\r\n"[..]), (marked, b"")] {
        for size in [1, 3, 39, 40, 41, 64, 1000] {
            let mut link = asked(hello());
            let intro = format!("\n\n+FULLRESYNC {ID} 7\r\n\n");
            let mut pieces = vec![intro.as_bytes()];
            pieces.extend(form.chunks(size));
            let ran = run(&mut link, &pieces).expect("all is well");
            assert_eq!(ran.payload, rdb, "in pieces of {size}");
            assert_eq!(ran.stream, stream, "in pieces of {size}");
            assert_eq!(ran.events.first(), Some(&format!("FullResync(Some((\"{ID}\", 7)))")));
            assert_eq!(ran.events.last().map(String::as_str), Some("PayloadEnded"));
        }
    }
}

#[test]
fn the_stream_goes_on_after_continue_with_or_without_an_id() {
    for (line, event) in [
        (format!("+CONTINUE {ID}\r\nabc"), format!("Continued(Some(\"{ID}\"))")),
        ("+CONTINUE\r\nabc".to_owned(), "Continued(None)".to_owned()),
    ] {
        let ran = run(&mut asked(hello()), &[line.as_bytes()]).expect("all is well");
        assert_eq!((ran.events, ran.stream), (vec![event], b"abc".to_vec()));
    }
}

#[test]
fn a_master_that_cannot_serve_now_is_asked_again_and_an_old_one_gets_sync() {
    for line in ["-NOMASTERLINK Can't SYNC\r\n", "-LOADING Redis is loading\r\n"] {
        let error = run(&mut asked(hello()), &[line.as_bytes()]).expect_err("not now");
        assert!(matches!(error, LinkError::NotNow(_)), "{error:?}");
    }
    let mut link = asked(hello());
    link.take_output();
    let ran = run(&mut link, &[b"-ERR unknown command 'PSYNC'\r\n"]).expect("goes on");
    assert_eq!((ran.events, sent(&mut link)), (vec!["FullResync(None)".into()], "SYNC\r\n".into()));
    let mut link = asked(Hello { failover: true, ..hello() });
    let error = run(&mut link, &[b"-ERR PSYNC FAILOVER replid must match\r\n"]).expect_err("no");
    assert!(matches!(error, LinkError::Refused(_)), "{error:?}");
}

#[test]
fn nonsense_is_named() {
    let long = vec![b'x'; 5000];
    for (bytes, part) in [
        (&b"+FULLRESYNC abc\r\n"[..], "wrong +FULLRESYNC syntax"),
        (b"hello\r\n", "Unexpected reply to PSYNC"),
        (&long, "too long"),
    ] {
        let error = run(&mut asked(hello()), &[bytes]).expect_err("nonsense");
        assert!(error.to_string().contains(part), "{error}");
    }
    let intro = format!("+FULLRESYNC {ID} 7\r\n");
    for line in ["$EOF:short\r\n", "$abc\r\n", "*1\r\n", "$-1\r\n"] {
        let error = run(&mut asked(hello()), &[intro.as_bytes(), line.as_bytes()]);
        assert!(error.expect_err("nonsense").to_string().contains("Bad protocol"), "{line}");
    }
}

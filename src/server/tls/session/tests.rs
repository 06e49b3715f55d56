use std::thread::JoinHandle;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, StreamOwned, SupportedProtocolVersion};
use tokio::io::Interest;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::server::tls::contexts::Contexts;
use crate::server::tls::tests::certificates::{Authority, Valid};
use crate::server::tls::tests::shake;
use crate::settings::{ClientAuth, Settings};

/// The two ends of a session, after the handshake.
struct Ends {
    runtime: Runtime,
    stream: TlsStream,
    peer: StreamOwned<ClientConnection, std::net::TcpStream>,
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[1]).collect()
}

fn connect(version: &'static SupportedProtocolVersion) -> Ends {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new(folder.path()).sign("own", Valid::Now);
    let mut settings = Settings::default();
    let [cert, key] = files.paths().map(str::to_owned);
    (settings.tls.cert_file, settings.tls.key_file, settings.tls.port) = (cert, key, 1);
    settings.tls.auth_clients = ClientAuth::No;
    let contexts = Contexts::new(&settings.tls, &settings.admin).unwrap();
    let (tls, accepted, peer) = shake(contexts.server.unwrap(), version);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let socket = runtime.block_on(async { TcpStream::from_std(accepted).unwrap() });
    let stream = TlsStream { socket, session: Session::new(tls) };
    Ends { runtime, stream, peer }
}

/// Reads so many bytes at the peer.
fn expect(
    mut peer: StreamOwned<ClientConnection, std::net::TcpStream>,
    len: usize,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = vec![0; len];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    })
}

#[test]
fn bytes_arrive_whole_and_in_order_however_small_the_buffers_are() {
    for (version, room) in [(&TLS13, 1), (&TLS12, 7), (&TLS13, 4096), (&TLS12, 70_000)] {
        let mut ends = connect(version);
        let len = if room == 1 { 50_000 } else { 1_000_000 };
        let (sent, mut peer) = (pattern(len), ends.peer);
        let sending = {
            let sent = sent.clone();
            std::thread::spawn(move || peer.write_all(&sent).map(|()| peer).unwrap())
        };
        let mut read = Vec::new();
        ends.runtime.block_on(async {
            let mut buffer = vec![0; room];
            while read.len() < len {
                let mut into = ReadBuf::new(&mut buffer);
                std::future::poll_fn(|cx| ends.stream.poll_read(cx, &mut into)).await.unwrap();
                assert!(!into.filled().is_empty(), "no end before the last byte");
                read.extend_from_slice(into.filled());
            }
        });
        assert_eq!(read, sent);
        let mut peer = sending.join().unwrap();
        peer.conn.send_close_notify();
        peer.flush().unwrap();
        let ended = ends.runtime.block_on(async {
            let mut buffer = [0; 8];
            let mut into = ReadBuf::new(&mut buffer);
            std::future::poll_fn(|cx| ends.stream.poll_read(cx, &mut into)).await.unwrap();
            into.filled().is_empty()
        });
        assert!(ended);
    }
}

#[test]
fn an_end_that_is_not_announced_is_an_error() {
    let mut ends = connect(&TLS13);
    ends.peer.write_all(b"last").unwrap();
    ends.peer.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    let error = ends.runtime.block_on(async {
        loop {
            let read = std::future::poll_fn(|cx| ends.stream.poll_read_into(cx, &mut all)).await;
            match read {
                Ok(len) => assert!(len > 0, "no announced end"),
                Err(error) => break error,
            }
        }
    });
    assert_eq!(all, b"last");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_a_full_socket_does_not_take_goes_out_later() {
    let mut ends = connect(&TLS13);
    let sent = pattern(8 << 20);
    let mut at = 0;
    ends.runtime.block_on(async {
        // Nobody reads: this ends where the socket is full.
        loop {
            let pieces = [
                IoSlice::new(&sent[at..at + 10]),
                IoSlice::new(&[]),
                IoSlice::new(&sent[at + 10..]),
            ];
            let write = std::future::poll_fn(|cx| {
                Poll::Ready(ends.stream.poll_write_vectored(cx, &pieces))
            });
            match write.await {
                Poll::Ready(len) => at += len.unwrap(),
                Poll::Pending => break,
            }
        }
    });
    assert!(at > 0 && at < sent.len());
    assert!(ends.stream.has_unsent());
    let reading = expect(ends.peer, sent.len());
    ends.runtime.block_on(async {
        while at < sent.len() {
            let pieces = [IoSlice::new(&sent[at..])];
            let write = std::future::poll_fn(|cx| ends.stream.poll_write_vectored(cx, &pieces));
            at += write.await.unwrap();
        }
        std::future::poll_fn(|cx| ends.stream.poll_flush(cx)).await.unwrap();
    });
    assert!(!ends.stream.has_unsent());
    assert!(reading.join().unwrap() == sent);
}

#[test]
fn an_outlet_never_blocks_and_reports_what_the_socket_has() {
    let mut ends = connect(&TLS12);
    let mut outlet = ends.stream.outlet().unwrap();
    let sent = pattern(8 << 20);
    let chunk = |at: usize| &sent[at..(at + 64 * 1024).min(sent.len())];
    let mut at = 0;
    let full = loop {
        match outlet.try_send(chunk(at)) {
            Ok(len) => at += len,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert!(outlet.encrypted > 0, "bytes of the last chunk are encrypted, and not reported");
    assert_eq!(outlet.try_send(chunk(at)).unwrap_err().kind(), ErrorKind::WouldBlock);
    // The connection goes on where there is room, also for what it has encrypted itself.
    let reading = expect(ends.peer, sent.len() + 5);
    let stream = &mut ends.stream;
    ends.runtime.block_on(async {
        while at < sent.len() {
            stream.socket.ready(Interest::WRITABLE).await.unwrap();
            let send = || outlet.try_send(chunk(at));
            match stream.socket.try_io(Interest::WRITABLE, send) {
                Ok(len) => at += len,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        let last = [IoSlice::new(b"after")];
        std::future::poll_fn(|cx| stream.poll_write_vectored(cx, &last)).await.unwrap();
        std::future::poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
    });
    let read = reading.join().unwrap();
    assert!(read[..sent.len()] == sent && read[sent.len()..] == *b"after");
}

#[test]
fn the_end_is_announced() {
    let mut ends = connect(&TLS13);
    ends.stream.close();
    let mut rest = Vec::new();
    assert_eq!(ends.peer.read_to_end(&mut rest).unwrap(), 0, "an orderly end, no error");
}

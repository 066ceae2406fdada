//! Idle connections that must live, and slow ones that must not.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use seawall::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Http1, Rig, quick_drain};

fn short() -> Limits {
    Limits {
        handshake: Duration::from_secs(2),
        header: Duration::from_millis(500),
        idle: Duration::from_secs(3),
        request: Duration::from_millis(700),
        ..Limits::default()
    }
}

async fn closes_between(http: &mut Http1, from: u64, to: u64) {
    let start = Instant::now();
    assert!(http.ends_within(Duration::from_millis(to)).await, "still open after {to} ms");
    assert!(start.elapsed() >= Duration::from_millis(from), "closed after {:?}", start.elapsed());
}

/// hyper's own clock would be the header clock here: half a second of idling must not end the connection, three must.
#[tokio::test]
async fn the_idle_limit_is_not_the_header_limit() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    for _ in 0..3 {
        assert_eq!(http.post("x").await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert_eq!(http.post("x").await.unwrap().status, 200);
    closes_between(&mut http, 2900, 20_000).await;
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"idle_timeout\"}", 1.0).await;
}

/// Go's client may open a connection, get its request answered on another and keep the new one unused.
#[tokio::test]
async fn a_connection_without_any_byte_yet_counts_as_idle() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(http.post("late").await.unwrap().body, "late");
    let mut silent = rig.http1().await;
    closes_between(&mut silent, 2900, 20_000).await;
}

/// The real thing, with real times: longer than hyper's 30 seconds. HTTP/2 beside it.
#[tokio::test]
async fn with_default_limits_connections_idle_longer_than_30_seconds() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let mut http = rig.http1().await;
    let mut unused = rig.http1().await;
    http.post("x").await.unwrap();
    let two = rig.http2();
    two.post(rig.url("/echo")).body("x").send().await.unwrap();
    rig.metric_reaches("seawall_connections{listener=\"admission\"}", 3.0).await;
    tokio::time::sleep(Duration::from_secs(33)).await;
    assert_eq!(http.post("y").await.unwrap().body, "y");
    assert_eq!(unused.post("z").await.unwrap().body, "z");
    assert_eq!(two.post(rig.url("/echo")).body("w").send().await.unwrap().text().await.unwrap(), "w");
    assert_eq!(rig.metric("seawall_connections{listener=\"admission\"}"), Some(3.0), "nobody had to reconnect");
}

#[tokio::test]
async fn a_silent_handshake_is_cut_and_holds_up_nobody() {
    let rig = Rig::start(short(), quick_drain()).await;
    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        // the beginning of a ClientHello, then nothing
        stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        silent.push(stream);
    }
    assert_eq!(rig.http1().await.post("x").await.unwrap().status, 200);
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(1900), "{:?}", start.elapsed());
    rig.metric_reaches("seawall_tls_handshake_failures_total{reason=\"timeout\"}", 50.0).await;
}

/// One byte every 50 ms keeps a connection alive by any idle clock.
#[tokio::test]
async fn a_header_that_trickles_is_cut() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    http.post("a good one first").await.unwrap();
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(http.stream);
    let trickle = tokio::spawn(async move {
        for byte in b"POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut rest)).await.expect("cut");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_millis(4000), "{took:?}");
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"header_timeout\"}", 1.0).await;
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_and_cut() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nabc";
    http.stream.write_all(head.as_bytes()).await.unwrap();
    let start = Instant::now();
    let reply = tokio::time::timeout(Duration::from_secs(5), http.reply()).await.unwrap().unwrap();
    assert_eq!((reply.status, reply.closes), (408, true));
    assert!(start.elapsed() >= Duration::from_millis(600), "{:?}", start.elapsed());
    assert!(http.ends_within(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_the_connection() {
    let big = Router::new().route("/big", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let rig = Rig::start_with(short(), quick_drain(), big).await;
    let mut http = rig.http1().await;
    http.send("GET", "/big", "").await.unwrap();
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"request_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn a_panic_is_one_answer_of_500() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let mut http = rig.http1().await;
    http.send("GET", "/panic", "").await.unwrap();
    assert_eq!(http.reply().await.unwrap().status, 500);
    assert_eq!(http.post("still here").await.unwrap().body, "still here");
    assert_eq!(rig.metric("seawall_handler_panics_total"), Some(1.0));
}

#[tokio::test]
async fn one_peer_cannot_take_all_places() {
    let limits = Limits { connections_per_peer: 3, ..Limits::default() };
    let rig = Rig::start(limits, quick_drain()).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut http = rig.http1().await;
        http.post("x").await.unwrap();
        kept.push(http);
    }
    assert!(rig.connect().await.is_err(), "a fourth is closed at once");
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"peer_limit\"}", 1.0).await;
    kept.pop();
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"finished\"}", 1.0).await;
    assert_eq!(rig.http1().await.post("again").await.unwrap().status, 200);
}

/// At the cap, connections wait in the kernel's backlog and are served when one ends.
#[tokio::test]
async fn above_the_cap_connections_wait_for_a_place() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let rig = Rig::start(limits, quick_drain()).await;
    let first = rig.http1().await;
    let _second = rig.http1().await;
    let mut third = Box::pin(rig.http1());
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut third).await;
    assert!(waited.is_err(), "a third got in");
    drop(first);
    let mut third = tokio::time::timeout(Duration::from_secs(5), third).await.unwrap();
    assert_eq!(third.post("third").await.unwrap().body, "third");
}

#[tokio::test]
async fn handlers_can_see_who_calls() {
    let who = get(async |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| peer.ip().to_string());
    let rig = Rig::start_with(Limits::default(), quick_drain(), Router::new().route("/who", who)).await;
    let mut http = rig.http1().await;
    http.send("GET", "/who", "").await.unwrap();
    assert_eq!(http.reply().await.unwrap().body, "127.0.0.1");
}

#[tokio::test]
async fn the_admin_port_has_health_and_metrics() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    rig.http1().await.post("x").await.unwrap();
    for (path, expected) in [("/healthz", "ok"), ("/readyz", "\"status\":\"ok\""), ("/metrics", "seawall_connections")]
    {
        let mut stream = TcpStream::connect(rig.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains(expected), "{path}: {text}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_rest_goes_on() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let long = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: a\r\n".repeat(10_000));
    let smuggled = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    for bytes in [long.as_str(), &many, smuggled, "GET /echo\r\n\r\n", "\0\u{1}\u{2}garbage\r\n\r\n"] {
        let mut http = rig.http1().await;
        // the server may answer and close before all of it is written
        let _ = http.stream.write_all(bytes.as_bytes()).await;
        let _ = http.stream.flush().await;
        let mut text = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), http.stream.read_to_end(&mut text)).await;
        assert!(read.is_ok(), "left open after {}", &bytes[..20]);
        let text = String::from_utf8_lossy(&text);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(rig.handled.load(std::sync::atomic::Ordering::SeqCst), 0, "no handler was reached");
    assert_eq!(rig.http1().await.post("x").await.unwrap().status, 200);
}

/// Two requests in one write are answered one after the other.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let mut http = rig.http1().await;
    let one =
        |body: &str| format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    http.stream.write_all((one("first") + &one("second")).as_bytes()).await.unwrap();
    assert_eq!(http.reply().await.unwrap().body, "first");
    assert_eq!(http.reply().await.unwrap().body, "second");
}

/// An admission review can be near 30 MB (reliability.md 2.10); nothing down here may stand in its way.
#[tokio::test]
async fn large_bodies_get_through_on_both_protocols() {
    let count = axum::routing::post(async |body: axum::body::Body| {
        use http_body_util::BodyExt as _;
        body.collect().await.unwrap().to_bytes().len().to_string()
    });
    let rig = Rig::start_with(Limits::default(), quick_drain(), Router::new().route("/count", count)).await;
    let body = "x".repeat(30 << 20);
    let mut http = rig.http1().await;
    http.send("POST", "/count", &body).await.unwrap();
    assert_eq!(http.reply().await.unwrap().body, body.len().to_string());
    let response = rig.http2().post(rig.url("/count")).body(body.clone()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), body.len().to_string());
}

/// CVE-2023-44487: streams opened and reset at once. The connection is ended, others do not notice.
#[tokio::test]
async fn http2_rapid_reset_ends_the_connection() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let mut stream = crate::rig::connect(rig.address, rig.client(&["h2"]), "localhost").await.unwrap();
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    // HPACK static table: GET, https, path /; then authority "a" as a literal without indexing
    let headers = [0x82, 0x87, 0x84, 0x01, 0x01, b'a'];
    for number in 0..2000_u32 {
        bytes.extend(frame(1, 0x5, number * 2 + 1, &headers));
        bytes.extend(frame(3, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection is still open");
    // GOAWAY (7) with ENHANCE_YOUR_CALM (11) is the last thing said, when it still got through
    let calm = answer.windows(4).any(|window| window == 11_u32.to_be_bytes());
    assert!(answer.is_empty() || calm, "{answer:?}");
    assert_eq!(rig.http1().await.post("x").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let config = seawall::server::ServerConfig {
        admission: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        admin: rig.admin,
        limits: Limits::default(),
    };
    let Err(error) = seawall::server::Server::bind(config, rig.resolver.clone()).await else { panic!("bound") };
    let text = error.to_string();
    assert!(text.contains("(admin)") && text.contains(&rig.admin.to_string()), "{text}");
}

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
        handshake: Duration::from_millis(300),
        header: Duration::from_millis(300),
        idle: Duration::from_millis(900),
        request: Duration::from_millis(700),
        ..Limits::default()
    }
}

async fn closes_between(http: &mut Http1, from: u64, to: u64) {
    let start = Instant::now();
    assert!(http.ends_within(Duration::from_millis(to)).await, "still open after {to} ms");
    assert!(start.elapsed() >= Duration::from_millis(from), "closed after {:?}", start.elapsed());
}

/// hyper's own clock would be the header clock here: 300 ms of idling must not end the connection, 900 ms must.
#[tokio::test]
async fn the_idle_limit_is_not_the_header_limit() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    for _ in 0..3 {
        assert_eq!(http.post("x").await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(http.post("x").await.unwrap().status, 200);
    closes_between(&mut http, 800, 3000).await;
    rig.metric_reaches("seawall_connections_closed_total{listener=\"admission\",end=\"idle_timeout\"}", 1.0).await;
}

/// Go's client may open a connection, get its request answered on another and keep the new one unused.
#[tokio::test]
async fn a_connection_without_any_byte_yet_counts_as_idle() {
    let rig = Rig::start(short(), quick_drain()).await;
    let mut http = rig.http1().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(http.post("late").await.unwrap().body, "late");
    let mut silent = rig.http1().await;
    closes_between(&mut silent, 800, 3000).await;
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
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
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
        for byte in b"POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut rest)).await.expect("cut");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(250) && took < Duration::from_millis(2500), "{took:?}");
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

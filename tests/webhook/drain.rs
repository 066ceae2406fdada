//! The way down: nothing that was sent may be lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use seawall::server::health::{Condition, SHUTDOWN};
use seawall::server::{DrainConfig, Ended, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Rig, quick_drain};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_are_all_answered() {
    for after in [100, 600] {
        calls_in_flight_released(Duration::from_millis(after)).await;
    }
}

/// The calls end this long after the signal: while the server drains (300 ms), or when the port is closed.
async fn calls_in_flight_released(after: Duration) {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        let mut http = rig.http1().await;
        http.send("GET", "/held", "").await.unwrap();
        calls.push(tokio::spawn(async move { http.reply().await.unwrap() }));
    }
    let two = rig.http2();
    for _ in 0..20 {
        let (two, url) = (two.clone(), rig.url("/held"));
        calls.push(tokio::spawn(async move {
            let response = two.get(url).send().await.unwrap();
            let status = response.status().as_u16();
            crate::rig::Reply { status, closes: true, body: response.text().await.unwrap() }
        }));
    }
    rig.reached_handlers(40).await;
    rig.shutdown.signal();
    tokio::time::sleep(after).await;
    rig.release();
    for call in calls {
        let reply = call.await.unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.closes), (200, "done", true));
    }
    drop(two);
    assert_eq!(rig.ended().await, Ended::Drained { cut: 0 });
}

/// Clients that behave as the API server's does: keep a connection, use it again, open a new one when told to close.
/// New connections are refused only after the drain; until then every single call is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_load_loses_nothing_while_draining() {
    let drain = DrainConfig { drain: Duration::from_millis(800), ..quick_drain() };
    let rig = Arc::new(Rig::start(Limits::default(), drain).await);
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let (mut calls, mut reconnects) = (0, 0);
                let mut http = rig.http1().await;
                loop {
                    let reply = http.post("x").await.expect("no call may be lost");
                    assert_eq!(reply.status, 200);
                    calls += 1;
                    if reply.closes {
                        reconnects += 1;
                        match rig.connect().await {
                            Ok(stream) => http.stream = stream,
                            // the port is closed: the API server is at another replica by now
                            Err(_) => return (calls, reconnects),
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(number)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.shutdown.signal();
    let (mut calls, mut reconnects) = (0, 0);
    for client in clients {
        let (more, again) = client.await.unwrap();
        calls += more;
        reconnects += again;
    }
    assert!(calls > 100 && reconnects > 12, "{calls} calls, {reconnects} reconnects");
    assert_eq!(rig.handled.load(Ordering::SeqCst), calls);
    let Ok(rig) = Arc::try_unwrap(rig) else { panic!("clients are gone") };
    assert_eq!(rig.ended().await, Ended::Drained { cut: 0 });
}

#[tokio::test]
async fn an_idle_connection_gets_one_last_request_after_the_port_is_closed() {
    let rig = Rig::start(Limits::default(), DrainConfig { linger: Duration::from_secs(20), ..quick_drain() }).await;
    let mut used = rig.http1().await;
    used.post("before").await.unwrap();
    let mut unused = rig.http1().await;
    rig.shutdown.signal();
    let mut open = true;
    for _ in 0..1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        open = TcpStream::connect(rig.address).await.is_ok();
        if !open {
            break;
        }
    }
    assert!(!open, "the port is closed after the drain");
    for http in [&mut used, &mut unused] {
        let reply = http.post("last").await.unwrap();
        assert_eq!((reply.body.as_str(), reply.closes), ("last", true));
        assert!(http.ends_within(Duration::from_secs(5)).await);
    }
    assert_eq!(rig.ended().await, Ended::Drained { cut: 0 });
}

#[tokio::test]
async fn idle_connections_are_closed_at_last_and_a_request_on_the_wire_is_still_answered() {
    let rig = Rig::start(Limits::default(), DrainConfig { linger: Duration::from_secs(2), ..quick_drain() }).await;
    let mut idle = rig.http1().await;
    idle.post("x").await.unwrap();
    let mut late = rig.http1().await;
    late.post("x").await.unwrap();
    let start = Instant::now();
    rig.shutdown.signal();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // half a request before the end of lingering (2.3 s), the rest after it
    late.stream.write_all(b"POST /echo HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    late.stream.flush().await.unwrap();
    assert!(idle.ends_within(Duration::from_secs(5)).await);
    assert!(start.elapsed() >= Duration::from_millis(2250), "closed after {:?}", start.elapsed());
    tokio::time::sleep(Duration::from_millis(200)).await;
    late.stream.write_all(b"Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nend").await.unwrap();
    assert_eq!(late.reply().await.unwrap().body, "end");
    assert_eq!(rig.ended().await, Ended::Drained { cut: 0 });
}

#[tokio::test]
async fn http2_is_told_to_go_and_goes() {
    let long = DrainConfig { linger: Duration::from_secs(60), ..quick_drain() };
    let rig = Rig::start(Limits::default(), long).await;
    let two = rig.http2();
    two.post(rig.url("/echo")).body("x").send().await.unwrap();
    let start = Instant::now();
    rig.shutdown.signal();
    // its connection stays idle in the client's pool; without a GOAWAY this would take the whole minute
    assert_eq!(rig.ended().await, Ended::Drained { cut: 0 });
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn readiness_falls_at_once_and_the_admin_port_stays() {
    let drain = DrainConfig { drain: Duration::from_secs(10), ..quick_drain() };
    let rig = Rig::start(Limits::default(), drain).await;
    assert!(rig.readiness.is_ready());
    rig.shutdown.signal();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.readiness.get(SHUTDOWN), Some(Condition::Failed("terminating".to_owned())));
    let mut stream = TcpStream::connect(rig.admin).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("terminating"), "{text}");
    // and admission goes on
    assert_eq!(rig.http1().await.post("x").await.unwrap().status, 200);
}

#[tokio::test]
async fn what_never_ends_is_cut_at_the_bound_and_counted() {
    let drain = DrainConfig {
        drain: Duration::from_millis(50),
        linger: Duration::from_millis(50),
        in_flight: Duration::from_millis(400),
    };
    let rig = Rig::start(Limits::default(), drain).await;
    let mut http = rig.http1().await;
    http.send("GET", "/sleep", "").await.unwrap();
    rig.reached_handlers(1).await;
    let start = Instant::now();
    rig.shutdown.signal();
    let ended = rig.ended().await;
    assert_eq!(ended, Ended::Drained { cut: 1 });
    assert!(start.elapsed() >= Duration::from_millis(450) && start.elapsed() < Duration::from_secs(20));
    assert!(http.reply().await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let rig = Rig::start(Limits::default(), DrainConfig::default()).await;
    let mut http = rig.http1().await;
    http.send("GET", "/sleep", "").await.unwrap();
    rig.reached_handlers(1).await;
    let start = Instant::now();
    rig.shutdown.signal();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.shutdown.signal();
    assert_eq!(rig.ended().await, Ended::Aborted);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(http.ends_within(Duration::from_secs(5)).await, "its connections are gone too");
}

//! Versions, protocols, names, and a certificate that changes under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use seawall::certs::{self, issue};
use seawall::server::Limits;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::rig::{DAY, Http1, Rig, client, connect, quick_drain};

#[tokio::test]
async fn both_versions_of_tls_and_nothing_older() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    for (version, expected) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let config = client(rig.roots(), &[version], &["http/1.1"]);
        let stream = connect(rig.address, config, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        let reply = Http1 { stream }.post("hello").await.unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.closes), (200, "hello", false));
    }
}

#[tokio::test]
async fn http2_is_chosen_when_offered_and_http1_otherwise() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    for (offered, expected) in [
        (vec!["h2", "http/1.1"], Some(b"h2".as_slice())),
        (vec!["http/1.1"], Some(b"http/1.1".as_slice())),
        (vec![], None),
    ] {
        let stream = connect(rig.address, rig.client(&offered), "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected);
    }
    let response = rig.http2().post(rig.url("/echo")).body("two").send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), "two");
    // a client without ALPN, as old ones are, speaks HTTP/1.1
    let stream = connect(rig.address, rig.client(&[]), "localhost").await.unwrap();
    assert_eq!(Http1 { stream }.post("one").await.unwrap().body, "one");
}

#[tokio::test]
async fn no_server_name_and_addresses_are_served_and_wrong_names_do_not_verify() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    // an address is never sent as a server name (RFC 6066, section 3)
    let stream = connect(rig.address, rig.client(&["http/1.1"]), "127.0.0.1").await.unwrap();
    assert_eq!(Http1 { stream }.post("probe").await.unwrap().status, 200);
    let mut config = rig.client(&["http/1.1"]);
    config.enable_sni = false;
    assert!(connect(rig.address, config, "localhost").await.is_ok());
    let error = connect(rig.address, rig.client(&[]), "example.com").await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_client_that_refuses_the_certificate_is_counted_as_that() {
    let rig = Rig::start(Limits::default(), quick_drain()).await;
    let stranger = issue::authority(certs::now(), DAY).unwrap();
    let config = client(crate::rig::roots(&stranger.certificate.pem), rustls::ALL_VERSIONS, &[]);
    assert!(connect(rig.address, config, "localhost").await.is_err());
    rig.metric_reaches("seawall_tls_handshake_failures_total{reason=\"certificate_refused\"}", 1.0).await;
    // plain HTTP on the TLS port
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut plain = TcpStream::connect(rig.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    rig.metric_reaches("seawall_tls_handshake_failures_total{reason=\"protocol\"}", 1.0).await;
}

/// 50 rotations 10 ms apart while 16 clients do full handshakes with name and chain checks: none may fail, and running
/// connections go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_fails_no_handshake() {
    let rig = Arc::new(Rig::start(Limits::default(), quick_drain()).await);
    let mut kept = rig.http1().await;
    kept.post("before").await.unwrap();

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let serials = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (rig, stop, done, serials) = (rig.clone(), stop.clone(), done.clone(), serials.clone());
            tokio::spawn(async move {
                let connector = TlsConnector::from(Arc::new(rig.client(&["http/1.1"])));
                while !stop.load(Ordering::SeqCst) {
                    let tcp = TcpStream::connect(rig.address).await.unwrap();
                    let name = ServerName::try_from("localhost").unwrap();
                    let stream = connector.connect(name, tcp).await.expect("no handshake may fail");
                    let served = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                    serials.lock().unwrap().insert(served);
                    assert_eq!(Http1 { stream }.post("x").await.unwrap().status, 200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..50 {
        let before = done.load(Ordering::SeqCst);
        let pair = issue::leaf(&rig.authority, &issue::local_names(), certs::now(), DAY).unwrap();
        rig.resolver.swap(pair.key);
        tokio::time::sleep(Duration::from_millis(10)).await;
        while done.load(Ordering::SeqCst) == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let (handshakes, certificates) = (done.load(Ordering::SeqCst), serials.lock().unwrap().len());
    assert!(handshakes >= 50 && certificates >= 25, "{handshakes} handshakes saw {certificates} certificates");
    assert_eq!(kept.post("after").await.unwrap().body, "after", "a running connection does not notice");
}

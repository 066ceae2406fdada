//! Bodies that no API server sends: each has a defined answer, and the next good review still gets its verdict.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::serve::{Answered, Serve, replicas, review};

fn serve(config: Option<&str>) -> Serve {
    Serve::with_policies(&[("p.rego", &replicas(3))], config)
}

/// The process is as good as before.
async fn healthy(serve: &Serve, after: &str) {
    let bad = serve.validate(&review("after-1", json!({"replicas": 1}))).await;
    assert_eq!((&bad["allowed"], &bad["uid"]), (&json!(false), &json!("after-1")), "after {after}");
    let good = serve.validate(&review("after-2", json!({"replicas": 3}))).await;
    assert_eq!(good, json!({"uid": "after-2", "allowed": true}), "after {after}");
    assert_eq!(serve.admin("/readyz").await.0, 200, "after {after}");
}

/// A review whose spec is this JSON text.
fn with_spec(spec: &str) -> String {
    review("h-1", json!("SPEC")).to_string().replace("\"SPEC\"", spec)
}

#[tokio::test]
async fn unreadable_bodies_are_denied_with_their_uid() {
    let serve = serve(None);
    let nested = |depth: usize| with_spec(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    let good = with_spec("{\"replicas\": 3}");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("depth 129", nested(129).into()),
        ("depth 1,000,000", nested(1_000_000).into()),
        ("depth 1,000,000, never closed", with_spec(&"{\"a\":".repeat(1_000_000)).into()),
        ("a lone surrogate", with_spec("{\"a\": \"\\ud800\"}").into()),
        ("a reversed pair", with_spec("{\"a\": \"\\udc00\\ud800\"}").into()),
        ("NaN", with_spec("{\"replicas\": NaN}").into()),
        ("Infinity", with_spec("{\"replicas\": -Infinity}").into()),
        ("1e400", with_spec("{\"replicas\": 1e400}").into()),
        ("a number of a million digits", with_spec(&format!("{{\"replicas\": {}}}", "9".repeat(1_000_000))).into()),
        ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat()),
        ("a raw NUL in a text", with_spec("{\"a\": \"\0\"}").into()),
        ("NULs behind it", [good.as_bytes(), &[0; 64]].concat()),
        (
            "text that is not UTF-8",
            with_spec("{\"a\": \"RAW\"}")
                .replace("RAW", "\u{1}")
                .into_bytes()
                .into_iter()
                .map(|b| if b == 1 { 0xff } else { b })
                .collect(),
        ),
        ("half of it", good[..good.len() / 2].into()),
        ("two of them", format!("{good}{good}").into()),
        ("a comment", format!("{good}// the end").into()),
    ];
    for (name, body) in cases {
        for path in ["/validate/enforce", "/validate/observe", "/mutate"] {
            let answered = serve.send(path, body.clone()).await;
            assert!(answered.took < Duration::from_secs(5), "{name}: {:?}", answered.took);
            let message = answered.unreadable("h-1", 400);
            assert!(message.contains("not readable JSON"), "{name}: {message}");
        }
        healthy(&serve, name).await;
    }
    assert!(serve.metric("seawall_handler_panics_total").await < 1.0);
}

#[tokio::test]
async fn without_a_uid_the_call_as_a_whole_fails() {
    let serve = serve(None);
    let good = with_spec("{\"replicas\": 3}");
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let no_uid = {
        let mut review = review("x", json!({"replicas": 3}));
        review["request"].as_object_mut().unwrap().remove("uid");
        review
    };
    let with_uid = |uid: Value| {
        let mut review = no_uid.clone();
        review["request"]["uid"] = uid;
        review.to_string().into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an empty body", vec![]),
        ("only NULs", vec![0; 4096]),
        ("UTF-16", wide),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("no JSON", b"<html>".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("no request", br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#.to_vec()),
        ("request null", br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}"#.to_vec()),
        ("request a text", br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":"x"}"#.to_vec()),
        ("an empty request", br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}"#.to_vec()),
        // the user and the object have a uid of their own, which must not be taken for the request's
        ("no uid", no_uid.to_string().into()),
        ("an empty uid", with_uid(json!(""))),
        ("a uid that is a number", with_uid(json!(7))),
    ];
    for (name, body) in cases {
        for path in ["/validate/enforce", "/mutate"] {
            let answered = serve.send(path, body.clone()).await;
            assert_eq!(answered.status, 400, "{name}: {}", answered.text);
            assert!(answered.text.starts_with("seawall could not read the request: "), "{name}: {}", answered.text);
        }
        healthy(&serve, name).await;
    }
}

#[tokio::test]
async fn requests_that_contradict_the_protocol_are_denied_with_their_uid() {
    let serve = serve(None);
    let changed = |pointer: &str, value: Value| {
        let mut review = review("p-1", json!({"replicas": 3}));
        *review.pointer_mut(pointer).unwrap() = value;
        review
    };
    let object = review("", json!({"replicas": 3}))["request"]["object"].clone();
    let mut old_only = changed("/request/object", Value::Null);
    old_only["request"]["oldObject"] = object.clone();
    let mut no_kind = review("p-1", json!({}));
    no_kind["request"].as_object_mut().unwrap().remove("kind");
    let cases = [
        ("v1beta1", changed("/apiVersion", json!("admission.k8s.io/v1beta1")), "admission.k8s.io/v1beta1"),
        ("another kind", changed("/kind", json!("TokenReview")), "TokenReview"),
        ("a kind that is a number", changed("/kind", json!(1)), "(none)"),
        ("CREATE with object null", changed("/request/object", Value::Null), "request.object"),
        ("CREATE with a list", changed("/request/object", json!([])), "request.object"),
        ("CREATE with only oldObject", old_only, "request.object"),
        ("UPDATE without oldObject", changed("/request/operation", json!("UPDATE")), "request.oldObject"),
        ("DELETE without oldObject", changed("/request/operation", json!("DELETE")), "request.oldObject"),
        ("an unknown operation", changed("/request/operation", json!("PATCH")), "request.operation"),
        ("an operation in lower case", changed("/request/operation", json!("create")), "request.operation"),
        ("an operation that is a number", changed("/request/operation", json!(1)), "request.operation"),
        ("no kind", no_kind, "request.kind is missing"),
        ("a resource that is a text", changed("/request/resource", json!("statefulsets")), "request.resource"),
    ];
    for (name, review, told) in cases {
        for path in ["/validate/enforce", "/mutate"] {
            let message = serve.send(path, review.to_string()).await.unreadable("p-1", 400);
            assert!(message.contains(told), "{name}: {message}");
        }
        healthy(&serve, name).await;
    }
}

#[tokio::test]
async fn what_is_odd_but_readable_gets_its_verdict() {
    let serve = serve(None);
    // the last of two equal keys counts, as in Go
    let last = serve.send("/validate/enforce", with_spec("{\"replicas\": 1, \"replicas\": 3}")).await.response();
    assert_eq!(last["allowed"], true);
    let last = serve.send("/validate/enforce", with_spec("{\"replicas\": 3, \"replicas\": 1}")).await.response();
    assert_eq!(last["allowed"], false);
    let twice = |first: u32, second: u32| {
        let part = |n: u32| review("h-1", json!({"replicas": n}))["request"]["object"].to_string();
        with_spec("0").replacen(
            "\"object\":",
            &format!("\"object\":{},\"object\":{},\"rest\":", part(first), part(second)),
            1,
        )
    };
    for (first, second, allowed) in [(1, 3, true), (3, 1, false)] {
        let answer = serve.send("/validate/enforce", twice(first, second)).await.response();
        assert_eq!(answer["allowed"], allowed, "{first} then {second}");
    }
    // escapes, emptiness, large and small numbers, 100 levels
    for spec in [
        "{\"replicas\": 3, \"a\": \"\\u0000\\ud83d\\ude00\"}".to_owned(),
        "{\"replicas\": 3, \"\": {\"\": []}}".to_owned(),
        "{\"replicas\": 3.0, \"a\": 1e-400, \"b\": -0.0, \"c\": 18446744073709551615, \"d\": 1e308}".to_owned(),
        format!("{{\"replicas\": 3, \"a\": {}{}}}", "[".repeat(100), "]".repeat(100)),
        "\n\t {\"replicas\":\r\n 2147483647}  ".to_owned(),
    ] {
        let answer = serve.send("/validate/enforce", with_spec(&spec)).await.response();
        assert_eq!(answer, json!({"uid": "h-1", "allowed": true}), "{spec}");
    }
    // the body decides, not the header
    let client = serve.client();
    for content_type in ["text/plain", "application/yaml", "application/json; charset=utf-8", "x"] {
        let body = with_spec("{\"replicas\": 1}");
        let answer = serve.send_by(&client, "/validate/enforce", body, content_type).await.response();
        assert_eq!((&answer["allowed"], &answer["uid"]), (&json!(false), &json!("h-1")), "{content_type}");
    }
    // other methods and paths
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(client.get(serve.url("/validate/enforce"))).await, 405);
    assert_eq!(status(client.put(serve.url("/mutate")).body("{}")).await, 405);
    assert_eq!(status(client.post(serve.url("/validate")).body("{}")).await, 404);
    assert_eq!(status(client.post(serve.url("/metrics")).body("{}")).await, 404);
    healthy(&serve, "all of it").await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_denied_with_its_uid() {
    let serve = serve(Some("defaults: {mode: enforce}\nlimits: {maxBodyBytes: 100000}\n"));
    let padded = |bytes: usize| {
        let empty = with_spec("{\"replicas\": 3, \"pad\": \"\"}");
        with_spec(&format!("{{\"replicas\": 3, \"pad\": \"{}\"}}", "x".repeat(bytes - empty.len())))
    };
    let exact = padded(100_000);
    assert_eq!(exact.len(), 100_000);
    let over = |answered: &Answered| {
        let message = answered.unreadable("h-1", 413);
        assert!(message.contains("100000 bytes (limits.maxBodyBytes)"), "{message}");
    };
    // HTTP/2 and HTTP/1.1
    let one = serve.client();
    for path in ["/validate/enforce", "/mutate"] {
        assert_eq!(serve.send(path, exact.clone()).await.response()["allowed"], true);
        for bytes in [100_001, 2_000_000, 30_000_000] {
            over(&serve.send(path, padded(bytes)).await);
            over(&serve.send_by(&one, path, padded(bytes), "application/json").await);
        }
        let answered = serve.send(path, "x".repeat(200_000)).await;
        assert_eq!(answered.status, 413, "without a uid: {}", answered.text);
    }
    healthy(&serve, "large bodies").await;
}

/// A chunked gigabyte: the answer comes after the limit, the rest is not read.
#[tokio::test]
async fn a_chunked_gigabyte_is_stopped_early() {
    let serve = serve(Some("defaults: {mode: enforce}\nlimits: {maxBodyBytes: 1000000}\n"));
    let (mut read, mut write) = tokio::io::split(serve.http1().await.stream);
    let sending = tokio::spawn(async move {
        let head = "POST /validate/enforce HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        write.write_all(head.as_bytes()).await.unwrap();
        let start = "{\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"big-1\",\"pad\":\"";
        write.write_all(format!("{:x}\r\n{start}\r\n", start.len()).as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
        let mut sent = 0;
        while sent < 1024 && write.write_all(chunk.as_bytes()).await.is_ok() && write.flush().await.is_ok() {
            sent += 1;
        }
        sent
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut answer)).await.expect("it is cut");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("big-1") && answer.contains("413"), "{answer}");
    let sent = tokio::time::timeout(Duration::from_secs(30), sending).await.expect("nobody takes the rest").unwrap();
    assert!(sent < 128, "{sent} MiB were read");
    healthy(&serve, "a gigabyte").await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_costs_nothing() {
    let serve = serve(None);
    let body = with_spec("{\"replicas\": 3}");
    for _ in 0..50 {
        let mut http = serve.http1().await;
        let head = format!("POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        http.stream.write_all(head.as_bytes()).await.unwrap();
        http.stream.write_all(&body.as_bytes()[..body.len() / 2]).await.unwrap();
        http.stream.flush().await.unwrap();
    }
    healthy(&serve, "clients that left").await;
    // a shorter length than the body: what is left over is no request
    let mut http = serve.http1().await;
    let head = format!("POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len() / 2);
    http.stream.write_all(head.as_bytes()).await.unwrap();
    let reply = http.reply().await.unwrap();
    assert!(reply.status == 200 && reply.body.contains("\"allowed\":false"), "{reply:?}");
    healthy(&serve, "a wrong length").await;
    // a body that never arrives ends with the API server's own time
    let mut http = serve.http1().await;
    http.stream
        .write_all(b"POST /mutate?timeout=1s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        .await
        .unwrap();
    let reply = tokio::time::timeout(Duration::from_secs(1), http.reply()).await.expect("in time").unwrap();
    assert_eq!(reply.status, 408);
    healthy(&serve, "a body that never came").await;
}

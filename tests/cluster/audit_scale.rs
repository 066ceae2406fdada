//! What an audit of a filled cluster needs: memory, calls, and time beside only listing and decoding the same objects.
//!
//! Here with few objects, so that growth is noticed on every run; `SEAWALL_AUDIT_OBJECTS=5000,20000,60000 cargo test --release
//! --test cluster audit_scale -- --nocapture` prints the figures of [docs/audit.md](../../docs/audit.md).

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;

/// Objects of one namespace: half of them StatefulSets, half claims. Small against the whole, since one namespace is held.
const PER_NAMESPACE: usize = 50;
/// Bytes that no policy reads, in every object where there are few: what is kept by mistake shows.
const BALLAST: usize = 32 * 1024;
/// Objects in a page where there are few: every size below has full pages of each kind, so their memory is the same.
const SMALL_PAGE: usize = 100;
/// What two runs of the same size may differ by, in bytes.
const NOISE: u64 = 12 << 20;
/// What the peak may grow by for each object more, in bytes. Decoded, an object without ballast takes about ten times that.
const GROWTH: u64 = 512;

/// What one audit took.
struct Cost {
    judged: u64,
    listed: u64,
    calls: u64,
    /// Peak resident memory in bytes.
    peak: u64,
    took: Duration,
}

#[test]
fn memory_does_not_grow_with_the_cluster() {
    let Some(plane) = own(&Options::default()) else { return };
    let wanted = std::env::var("SEAWALL_AUDIT_OBJECTS").ok();
    let (ballast, page) = if wanted.is_some() { (0, 500) } else { (BALLAST, SMALL_PAGE) };
    let sizes: Vec<usize> =
        wanted.unwrap_or_else(|| "500,2000".to_owned()).split(',').map(|size| size.trim().parse().unwrap()).collect();
    plane.kubectl_as("admin").apply(&objects::storage_class("standard").to_string(), &[]).ok();
    let mut filled = 0;
    let mut costs = Vec::new();
    println!("objects  judged  calls  peak MiB  audit s  × listing and decoding");
    for size in sizes {
        fill(&plane, filled, size, ballast);
        filled = size;
        let cost = audit(&plane, page);
        let plain = list_and_decode(&plane);
        println!(
            "{size:>7} {:>7} {:>6} {:>9.1} {:>8.1} {:>7.1}",
            cost.judged,
            cost.calls,
            cost.peak as f64 / f64::from(1 << 20),
            cost.took.as_secs_f64(),
            cost.took.as_secs_f64() / plain.as_secs_f64()
        );
        assert!(cost.listed >= size as u64 && cost.judged >= size as u64, "{} of {size} were listed", cost.listed);
        // pages of a dozen kinds, and what the start asks
        assert!(cost.calls <= (size / page) as u64 + 60, "{} calls", cost.calls);
        costs.push((size as u64, cost));
    }
    for pair in costs.windows(2) {
        let [(fewer, before), (more, after)] = pair else { continue };
        let growth = after.peak.saturating_sub(before.peak);
        let objects = more - fewer;
        assert!(growth < NOISE + GROWTH * objects, "{growth} bytes more for {objects} objects: what is kept?");
    }
}

/// Makes the objects number `from` to `to`, many at a time.
fn fill(plane: &ControlPlane, from: usize, to: usize, ballast: usize) {
    let api = plane.api("admin");
    for number in from / PER_NAMESPACE..to.div_ceil(PER_NAMESPACE) {
        let body = json!({"metadata": {"name": namespace(number), "labels": {"seawall.dev/tier": "tier-1"}}});
        let (status, answer) = api.post("/api/v1/namespaces", &body).unwrap();
        assert!(matches!(status, 201 | 409), "{answer}");
    }
    let threads = 8;
    thread::scope(|scope| {
        for thread in 0..threads {
            let api = &api;
            scope.spawn(move || (from + thread..to).step_by(threads).for_each(|number| make(api, number, ballast)));
        }
    });
}

fn namespace(number: usize) -> String {
    format!("team-{number:05}")
}

fn make(api: &Api, number: usize, ballast: usize) {
    let namespace = namespace(number / PER_NAMESPACE);
    let name = format!("db-{number}");
    let (path, object) = if number.is_multiple_of(2) {
        (format!("/apis/apps/v1/namespaces/{namespace}/statefulsets"), objects::stateful_set(&name))
    } else {
        (format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"), objects::claim(&name, "standard"))
    };
    let object = object.with("/metadata/annotations", json!({"example.com/ballast": "x".repeat(ballast)}));
    let (status, answer) = api.post(&path, &object).unwrap();
    assert_eq!(status, 201, "{answer}");
}

/// Runs the audit and looks at the memory of its process until it ends.
fn audit(plane: &ControlPlane, page: usize) -> Cost {
    let report = plane.dir().join("audit.json");
    let started = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["audit", "--format", "json", "--requests-per-second", "1000", "--fail-on", "never"])
        .args(["--page-size", &page.to_string()])
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig("admin"))
        .stdout(Stdio::from(std::fs::File::create(&report).unwrap()))
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        // the high-water mark never falls, so the last look is the peak but for the last milliseconds
        peak = high_water(process.id()).unwrap_or(peak);
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    assert!(status.success(), "{status}");
    let report: Value = serde_json::from_reader(std::fs::File::open(report).unwrap()).unwrap();
    let coverage = &report["coverage"];
    let listed = coverage["listed"].as_array().unwrap().iter().map(|row| row["objects"].as_u64().unwrap()).sum();
    let judged = report["summary"]["resources"].as_u64().unwrap();
    Cost { judged, listed, calls: coverage["calls"].as_u64().unwrap(), peak, took }
}

/// `VmHWM` of a process in bytes, proc_pid_status(5). `None` once it has ended.
fn high_water(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// How long it takes only to list the same objects in pages of the same size, and to decode them.
fn list_and_decode(plane: &ControlPlane) -> Duration {
    let api = plane.api("admin");
    let started = Instant::now();
    for path in ["/apis/apps/v1/statefulsets", "/api/v1/persistentvolumeclaims"] {
        let mut token = String::new();
        loop {
            let (status, page) = api.get(&format!("{path}?limit=500&continue={token}")).unwrap();
            assert_eq!(status, 200, "{page}");
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
    }
    started.elapsed()
}

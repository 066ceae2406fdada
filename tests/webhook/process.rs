//! The server in a process of its own: real signals, real exit codes, a real limit of open files.
//!
//! The child is this test binary again, running only [`child`].

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use seawall::server::{DrainConfig, Ended, Limits};

use crate::rig::{Http1, Rig, client, connect, roots};

const ROLE: &str = "SEAWALL_TEST_CHILD_DRAIN_MS";

/// Exit code of the child after a second signal.
const ABORTED: i32 = 42;

/// Does nothing unless one of the other tests has started it.
#[test]
fn child() {
    let Some(drain) = std::env::var_os(ROLE) else {
        return;
    };
    let drain = Duration::from_millis(drain.to_str().unwrap().parse().unwrap());
    let config = DrainConfig { drain, linger: Duration::from_millis(200), in_flight: Duration::from_secs(60) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async {
        let rig = Rig::start(Limits::default(), config).await;
        tokio::spawn(rig.shutdown.take_signals().unwrap());
        let mut out = std::io::stdout().lock();
        writeln!(out, "\naddress {}", rig.address).unwrap();
        writeln!(out, "{}end of bundle", rig.authority.certificate.pem).unwrap();
        out.flush().unwrap();
        drop(out);
        rig.ended.await.unwrap()
    });
    runtime.shutdown_background();
    std::process::exit(match ended {
        Ended::Drained { .. } => 0,
        Ended::Aborted => ABORTED,
    });
}

struct Process {
    child: Child,
    address: SocketAddr,
    bundle: String,
}

impl Process {
    /// `wrapper` goes before the command, as a shell snippet.
    fn start(drain: Duration, wrapper: &str) -> Self {
        let binary = std::env::current_exe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{wrapper} exec \"$0\" --exact process::child --nocapture")])
            .arg(binary)
            .env(ROLE, drain.as_millis().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut lines = lines.skip_while(|line| !line.starts_with("address "));
        let address = lines.next().expect("the child starts")["address ".len()..].parse().unwrap();
        let bundle: Vec<String> = lines.take_while(|line| line != "end of bundle").collect();
        Self { child, address, bundle: bundle.join("\n") + "\n" }
    }

    fn client(&self) -> ClientConfig {
        client(roots(&self.bundle), rustls::ALL_VERSIONS, &["http/1.1"])
    }

    async fn http1(&self) -> std::io::Result<Http1> {
        Ok(Http1 { stream: connect(self.address, self.client(), "localhost").await? })
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    async fn exit_code(&mut self, within: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still running after {within:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_zero() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(Duration::from_secs(3), "");
        let mut calls = Vec::new();
        for _ in 0..10 {
            let mut http = process.http1().await.unwrap();
            http.send("GET", "/slow", "").await.unwrap();
            calls.push(http);
        }
        process.signal(signal);
        for http in &mut calls {
            let reply = http.reply().await.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, "done"));
        }
        // still open for those who have not heard of it
        assert_eq!(process.http1().await.unwrap().post("late").await.unwrap().status, 200);
        assert_eq!(process.exit_code(Duration::from_secs(20)).await, Some(0));
    }
}

#[tokio::test]
async fn a_second_signal_exits_at_once_and_not_with_zero() {
    let mut process = Process::start(Duration::from_secs(60), "");
    let mut http = process.http1().await.unwrap();
    http.send("GET", "/sleep", "").await.unwrap();
    process.signal("TERM");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(process.child.try_wait().unwrap().is_none(), "one signal alone drains");
    process.signal("TERM");
    assert_eq!(process.exit_code(Duration::from_secs(5)).await, Some(ABORTED));
    assert!(http.reply().await.is_err());
}

/// With all files used up the server neither spins nor dies, and goes on when files are free again.
#[tokio::test]
async fn running_out_of_files_is_survived() {
    let process = Process::start(Duration::ZERO, "ulimit -n 64;");
    let mut first = process.http1().await.unwrap();
    first.post("x").await.unwrap();
    let mut flood = Vec::new();
    for _ in 0..120 {
        flood.push(tokio::net::TcpStream::connect(process.address).await.unwrap());
    }
    // all handshakes hang until their limit; meanwhile whoever is connected is served
    assert_eq!(first.post("still here").await.unwrap().body, "still here");
    let waiting = tokio::time::timeout(Duration::from_millis(500), process.http1()).await;
    assert!(waiting.is_err(), "there cannot have been a file for this one");
    let used = cpu_ticks(process.child.id());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = cpu_ticks(process.child.id()) - used;
    assert!(spent < 50, "{spent} of 100 ticks spent on trying to accept");
    drop(flood);
    let mut again = tokio::time::timeout(Duration::from_secs(20), process.http1()).await.unwrap().unwrap();
    assert_eq!(again.post("again").await.unwrap().body, "again");
}

/// User and system time of a process in ticks of 10 ms (fields 14 and 15 of `/proc/<pid>/stat`, `proc(5)`).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

//! Addresses for several replicas behind one Service: network namespaces where the test may make them, each a node of its own
//! that can be cut off; else the machine's own address.
//!
//! An EndpointSlice takes no loopback address, hence all this.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use std::os::unix::process::CommandExt as _;

/// A network namespace with one veth pair to the host.
pub(crate) struct Node {
    namespace: String,
    host_interface: String,
    /// The address inside, reachable from the host.
    pub(crate) address: Ipv4Addr,
    /// The host's end, by which the inside reaches the host.
    pub(crate) gateway: Ipv4Addr,
    // a shell removes the namespace when this closes, however the test ends
    _lifeline: Option<ChildStdin>,
}

impl Node {
    /// Makes `count` nodes in 198.18.0.0/15, the block for tests of network devices; the reason when that is not possible here.
    pub(crate) fn create(count: u8) -> Result<Vec<Self>, String> {
        (0..count).map(|_| Self::reserve()).collect()
    }

    fn reserve() -> Result<Self, String> {
        let mut last = "no free address block".to_owned();
        // the namespace's name reserves its block among all test runs of this machine
        let start = u8::try_from(std::process::id() % 251).unwrap_or_default();
        for third in (start..=255).chain(0..start) {
            let namespace = format!("seawall-198-18-{third}");
            match ip(&["netns", "add", &namespace]) {
                Ok(()) => return Self::wire(namespace, third),
                Err(why) if why.contains("File exists") => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(last)
    }

    fn wire(namespace: String, third: u8) -> Result<Self, String> {
        let lifeline = remove_at_end(&namespace)?;
        let node = Self {
            host_interface: format!("sw{third}h"),
            address: Ipv4Addr::new(198, 18, third, 2),
            gateway: Ipv4Addr::new(198, 18, third, 1),
            namespace,
            _lifeline: lifeline,
        };
        let inside = format!("sw{third}n");
        let (near, far) = (format!("{}/30", node.gateway), format!("{}/30", node.address));
        ip(&["link", "add", &node.host_interface, "type", "veth", "peer", "name", &inside, "netns", &node.namespace])?;
        ip(&["addr", "add", &near, "dev", &node.host_interface])?;
        ip(&["link", "set", &node.host_interface, "up"])?;
        ip(&["-n", &node.namespace, "addr", "add", &far, "dev", &inside])?;
        ip(&["-n", &node.namespace, "link", "set", &inside, "up"])?;
        ip(&["-n", &node.namespace, "link", "set", "lo", "up"])?;
        Ok(node)
    }

    /// The command line that runs `program` inside, to be continued with its arguments.
    pub(crate) fn enter(&self, program: &Path) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace, &program.display().to_string()].map(str::to_owned).into()
    }

    /// Cuts the cable: packets vanish, as when a node dies.
    pub(crate) fn cut(&self) {
        ip(&["link", "set", &self.host_interface, "down"]).unwrap();
    }

    /// Plugs it in again.
    pub(crate) fn heal(&self) {
        ip(&["link", "set", &self.host_interface, "up"]).unwrap();
    }
}

/// A namespace outlives its last process by its name only; the name is what must go.
fn remove_at_end(namespace: &str) -> Result<Option<ChildStdin>, String> {
    let script = r#"cat >/dev/null; for _ in 1 2 3 4 5; do ip netns del "$1" && exit; sleep 1; done"#;
    let mut janitor = Command::new("sh")
        .args(["-c", script, "janitor", namespace])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("janitor: {e}"))?;
    Ok(janitor.stdin.take())
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output().map_err(|e| format!("ip: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The address by which this machine would speak to others; nothing is sent. Nothing when it has only loopback.
pub(crate) fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() && !address.is_link_local() => Some(address),
        _ => None,
    }
}

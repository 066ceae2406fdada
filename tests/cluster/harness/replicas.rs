//! Two replicas of Seawall behind one Service, as in a cluster: the API server picks a ready endpoint for each connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::binaries::announce;
use super::controlplane::{ControlPlane, Options};
use super::network::{Node, own_address};
use super::own;
use super::seawall::{self, Seawall, await_enforcement};

/// The Service's DNS name, which the certificate must carry.
pub(crate) const SERVICE: &str = "seawall.seawall-system.svc";
const NAMESPACE: &str = "seawall-system";

/// A control plane and two replicas; `nodes` is empty where this machine allows no network namespaces.
pub(crate) struct Replicas {
    pub(crate) seawalls: [Seawall; 2],
    endpoints: [SocketAddr; 2],
    pub(crate) plane: ControlPlane,
    pub(crate) nodes: Vec<Node>,
}

impl Replicas {
    /// Starts everything and waits until it is in force; `None` when the tests are to skip.
    pub(crate) fn start() -> Option<Self> {
        let nodes = Node::create(2).unwrap_or_else(|why| {
            announce(&format!(
                "cluster tests: no network namespaces here ({why}); the two replicas listen on this machine's own address, \
                 and the test that cuts a node off is left out. Run as root with iproute2 for all of it."
            ));
            Vec::new()
        });
        let plane = own(&Options {
            aggregator_routing: true,
            extra_addresses: nodes.iter().map(|node| node.gateway).collect(),
            ..Options::default()
        })?;
        plane.kubectl_as("admin").apply(&service().to_string(), &[]).ok();
        let fallback = if nodes.is_empty() {
            Some(own_address().expect("two replicas need root with iproute2, or an address other than loopback"))
        } else {
            None
        };
        let start = |index: usize| {
            let node = nodes.get(index);
            let kubeconfig = node.map(|node| {
                let server = format!("https://{}:{}", node.gateway, plane.port());
                plane.kubeconfig_for(&format!("replica-{index}"), &server, "admin")
            });
            let options = seawall::Options {
                service: Some("seawall-system/seawall:443"),
                kubeconfig,
                node,
                listen: fallback.map(|address| format!("{address}:0")),
                farewell: Some([3, 10]),
                ..seawall::Options::default()
            };
            Seawall::start(&plane, &format!("seawall-{index}"), &options)
        };
        let seawalls = [start(0), start(1)];
        let endpoints = [0, 1].map(|index| {
            let address: SocketAddr = seawalls[index].admission.trim_start_matches("https://").parse().unwrap();
            let ip = nodes.get(index).map(|node| node.address).or(fallback).unwrap_or(Ipv4Addr::LOCALHOST);
            SocketAddr::new(IpAddr::V4(ip), address.port())
        });
        let replicas = Self { seawalls, endpoints, plane, nodes };
        replicas.publish([true, true]);
        await_enforcement(&replicas.plane, || {
            replicas.seawalls.iter().map(|seawall| seawall.process.log_tail(20)).collect::<Vec<_>>().join("\n")
        });
        Some(replicas)
    }

    /// Plays the EndpointSlice controller: which of the two is ready.
    pub(crate) fn publish(&self, ready: [bool; 2]) {
        let slices: Vec<Value> = (0..2).map(|index| slice(index, self.endpoints[index], ready[index])).collect();
        let flags = ["--server-side", "--force-conflicts"];
        self.plane.kubectl_as("admin").apply(&super::objects::list(&slices), &flags).ok();
    }

    /// Whether each of the two has answered validating calls.
    pub(crate) fn both_were_called(&self) -> bool {
        self.seawalls.iter().all(|seawall| seawall.metric("seawall_admission_requests_total", &[]) > 0.0)
    }
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "seawall", "namespace": NAMESPACE},
         "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}},
    ]})
}

/// One slice for each replica, so that they may differ in port.
fn slice(index: usize, endpoint: SocketAddr, ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("seawall-{index}"), "namespace": NAMESPACE,
                     "labels": {"kubernetes.io/service-name": "seawall"}},
        "ports": [{"name": "https", "port": endpoint.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [endpoint.ip()], "conditions": {"ready": ready}}],
    })
}

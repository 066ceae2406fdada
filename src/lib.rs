//! Seawall: an admission webhook policy enforcer for stateful workloads on Kubernetes.
//!
//! The modules in the order of the flow; `review::review` is the product, every front end calls it and only it.
//!
//! | module | what it is | may import |
//! | --- | --- | --- |
//! | [`admission`] | AdmissionReview on the wire | nothing here |
//! | [`policy`] | what a policy is, which one matches, tiers and modes | `admission`, `engine` |
//! | [`context`] | facts that a policy may ask for | `admission`, `policy`, `engine` |
//! | [`engine`] | Rego; knows nothing of Kubernetes | nothing here |
//! | `patch` | RFC 6902 patches: merged, applied, recorded, restored | `admission`, `engine`, `policy` |
//! | [`decision`] | violations and actions become allow, deny, warn, audit | `admission`, `policy` |
//! | `review` | the pipeline | the above and `config` |
//! | [`server`], `check`, [`audit`], [`policytest`] | front ends | everything but `cli` |
//! | `report` | one result, several formats | everything but front ends |
//! | [`decisions`] | what would have been denied or patched, counted and kept | `decision`, `review`, `kubeapi` |
//! | [`rollout`] | which namespaces can be enforced, worked out from violations and what is recorded | `decision`, `decisions`, `policy` |
//! | [`certs`], [`webhookconfig`] | certificates and webhook configurations | `policy`, `config` |
//! | [`kubeapi`] | the client of the API server | nothing here |
//! | [`yaml`] | errors of YAML in words | nothing here |
//! | [`authoring`] | makes new policies | everything but `cli` |
//! | [`benchmark`] | what policies cost | everything but `cli` |
//! | [`config`], [`telemetry`], `cli` | settings, logs and metrics, flags | |

pub mod admission;
pub mod audit;
pub mod authoring;
pub mod benchmark;
pub mod certs;
pub mod check;
pub mod checklist;
pub mod cli;
pub mod config;
pub mod context;
pub mod decision;
pub mod decisions;
pub mod engine;
pub mod kubeapi;
pub mod patch;
pub mod policy;
pub mod policytest;
pub mod report;
pub mod review;
pub mod rollout;
pub mod server;
pub mod telemetry;
pub mod webhookconfig;
pub mod yaml;

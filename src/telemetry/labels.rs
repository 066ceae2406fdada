//! The labels of the metrics: enums wherever the values are ours, so that no caller can make up a new one.

use super::families::{LabelSet, LabelType, label_set};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// An enum whose variants are label values with the given spelling.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The value as it stands in the metric.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl LabelType for $name {
            const VALUES: &'static [&'static str] = &[$($text),+];
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    };
}

label_values! {
    /// The endpoint that a review came to.
    Webhook {
        /// `/validate/enforce`
        Enforce = "enforce",
        /// `/validate/observe`
        Observe = "observe",
        /// `/mutate`
        Mutate = "mutate",
    }
}

label_values! {
    /// The operation of an admission request, in the API server's own spelling.
    Operation {
        /// An object is made.
        Create = "CREATE",
        /// An object is changed.
        Update = "UPDATE",
        /// An object is deleted.
        Delete = "DELETE",
        /// A connection through the API server, such as `exec`.
        Connect = "CONNECT",
        /// The request had none that we know.
        Unknown = "unknown",
    }
}

label_values! {
    /// Where an exemption is written.
    ExemptionSource {
        /// On the object.
        Annotation = "annotation",
        /// In the configuration file.
        Configuration = "configuration",
    }
}

label_values! {
    /// What was answered to an admission request.
    Outcome {
        /// Allowed without a word.
        Allow = "allow",
        /// Allowed with warnings.
        Warn = "warn",
        /// Denied by a policy.
        Deny = "deny",
        /// Patches were answered.
        Patch = "patch",
        /// The review could not be read (size, version, missing object).
        Unreadable = "unreadable",
        /// A fault of ours, or a policy that failed and whose action denies.
        Error = "error",
    }
}

label_values! {
    /// Why a policy gave no usable result.
    FailureReason {
        /// Evaluation ended with an error (strict builtin errors included).
        Error = "error",
        /// It ran out of its share of the deadline.
        Timeout = "timeout",
        /// It did not get to run before the deadline.
        NotRun = "not_run",
        /// It hit the instruction or memory limit.
        Limit = "limit",
        /// The engine panicked.
        Panic = "panic",
        /// The result does not have the shape of a violation or patch.
        Unreadable = "unreadable",
        /// A declared kind of context is not synced.
        Context = "context",
    }
}

label_values! {
    /// What was done about a violation.
    ViolationAction {
        /// The request was denied.
        Deny = "deny",
        /// The user was warned.
        Warn = "warn",
        /// It was recorded.
        Audit = "audit",
    }
}

label_values! {
    /// Why the patches of a policy were dropped.
    DropReason {
        /// Another policy's patch contradicts it.
        Conflict = "conflict",
        /// No fixpoint was reached within the rounds allowed.
        NoFixpoint = "no_fixpoint",
        /// It does not apply to the object received.
        NotApplicable = "not_applicable",
    }
}

label_values! {
    /// How an attempt to load something ended.
    ReloadResult {
        /// It is in use.
        Success = "success",
        /// It was refused, what was there before stays.
        Failure = "failure",
    }
}

label_values! {
    /// Which certificate a date belongs to.
    CertificateKind {
        /// The certificate that is served.
        Leaf = "leaf",
        /// The CA that signs it.
        Ca = "ca",
    }
}

label_values! {
    /// What ended a connection.
    ConnectionEnd {
        /// The client closed it, or it ended after the last response.
        Finished = "finished",
        /// No request for the idle time.
        IdleTimeout = "idle_timeout",
        /// A request's header did not arrive in time.
        HeaderTimeout = "header_timeout",
        /// A request's body, its answer or the reading of the answer took too long.
        RequestTimeout = "request_timeout",
        /// The TLS handshake failed or took too long.
        Handshake = "handshake",
        /// Its peer has too many connections.
        PeerLimit = "peer_limit",
        /// Idle, and closed because the server ends.
        Drained = "drained",
        /// A request was still running when the server had to end.
        Cut = "cut",
        /// A protocol or transport error.
        Error = "error",
    }
}

label_values! {
    /// Why a TLS handshake failed.
    HandshakeFailure {
        /// It took longer than the limit.
        Timeout = "timeout",
        /// The client does not trust our certificate: the caBundle is wrong or old.
        CertificateRefused = "certificate_refused",
        /// Versions, suites or records did not fit: scanners, plain HTTP, very old clients.
        Protocol = "protocol",
        /// The connection broke: port checks of load balancers.
        Transport = "transport",
    }
}

label_values! {
    /// How a pass of the audit ended.
    AuditPass {
        /// Everything was seen and judged.
        Complete = "complete",
        /// Something was not.
        Incomplete = "incomplete",
        /// The cluster could not be read at all.
        Failed = "failed",
    }
}

label_values! {
    /// What was done with a report.
    ReportWrite {
        /// It is new.
        Create = "create",
        /// It was changed.
        Update = "update",
        /// It was deleted.
        Delete = "delete",
        /// The API server refused, or did not answer.
        Failed = "failed",
    }
}

label_values! {
    /// What became of an Event.
    AuditEvent {
        /// It was sent.
        Sent = "sent",
        /// There were too many.
        Suppressed = "suppressed",
        /// The API server refused, or did not answer.
        Failed = "failed",
    }
}

label_set! {
    pub(super) struct AdmissionLabels {
        pub(super) webhook: Webhook,
        pub(super) operation: Operation,
        pub(super) resource: String,
        pub(super) outcome: Outcome,
    }
}

label_set! {
    pub(super) struct WebhookLabels {
        pub(super) webhook: Webhook,
    }
}

label_set! {
    pub(super) struct PolicyLabels {
        pub(super) policy: String,
    }
}

impl PolicyLabels {
    pub(super) fn new(policy: &str) -> Self {
        Self { policy: policy.to_owned() }
    }
}

label_set! {
    pub(super) struct FailureLabels {
        pub(super) policy: String,
        pub(super) reason: FailureReason,
    }
}

label_set! {
    pub(super) struct ViolationLabels {
        pub(super) policy: String,
        pub(super) action: ViolationAction,
    }
}

label_set! {
    pub(super) struct ExemptionLabels {
        pub(super) policy: String,
        pub(super) source: ExemptionSource,
    }
}

label_set! {
    pub(super) struct DroppedPatchLabels {
        pub(super) policy: String,
        pub(super) reason: DropReason,
    }
}

label_set! {
    pub(super) struct ReloadLabels {
        pub(super) result: ReloadResult,
    }
}

label_set! {
    pub(super) struct PolicySetLabels {
        pub(super) digest: String,
        pub(super) revision: String,
    }
}

label_set! {
    pub(super) struct CertificateLabels {
        pub(super) certificate: CertificateKind,
    }
}

label_set! {
    pub(super) struct ResourceLabels {
        pub(super) resource: String,
    }
}

label_set! {
    pub(super) struct ListenerLabels {
        pub(super) listener: &'static str,
    }
}

label_set! {
    pub(super) struct ConnectionEndLabels {
        pub(super) listener: &'static str,
        pub(super) end: ConnectionEnd,
    }
}

label_set! {
    pub(super) struct HandshakeLabels {
        pub(super) reason: HandshakeFailure,
    }
}

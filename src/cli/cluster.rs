//! Flags of commands that read a cluster as a person: the conventions of `kubectl`.

use crate::kubeapi::{self, ClientError};
use clap::Args;
use kube::Client;
use std::path::PathBuf;

/// Which cluster, as which user.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ClusterArgs {
    /// Kubeconfig of the cluster [default: $KUBECONFIG, ~/.kube/config, or the service account of this Pod]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl ClusterArgs {
    /// Whether a cluster was named.
    pub(super) const fn given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    /// A client. Nothing is sent yet.
    pub(super) async fn client(&self) -> Result<Client, ClientError> {
        kubeapi::user_client(self.kubeconfig.as_deref(), self.context.as_deref()).await
    }
}

/// Runs calls to the API server from a synchronous command.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // global state that kube asks for; already set is as good
    let _ = crate::certs::provider().as_ref().clone().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

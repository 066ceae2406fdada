//! `seawall policy bundle` and `seawall policy push`: a folder of policies as one thing that travels.

use crate::cli::policies::RegistryArgs;
use crate::config::Settings;
use crate::policysource::files::Files;
use crate::policysource::keys::{Algorithm, SigningKey};
use crate::policysource::oci::{Artifact, Client, Reference, layout};
use crate::policysource::pack::{self, Options};
use crate::policysource::{PolicySource, configmap, content, tarball};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What goes into a bundle.
#[derive(Debug, Args)]
struct ContentArgs {
    /// Folder of policies; they are compiled and their cases run first
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The policies are meant to replace the embedded ones, so they are tried without them
    #[arg(long)]
    policies_only: bool,
    /// Leave cases and tests out: the set is smaller, but runs on the slower engine and is not tried when it is loaded
    #[arg(long)]
    without_cases: bool,
    /// Sign the bundle with this private key in PEM
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Algorithm of the signature [default: that of the key]
    #[arg(long, value_name = "ALGORITHM", requires = "signing_key")]
    signing_algorithm: Option<SigningAlgorithm>,
    /// Name of the key, written into the signature
    #[arg(long, value_name = "ID", requires = "signing_key")]
    signing_key_id: Option<String>,
    /// Scope, written into the signature
    #[arg(long, value_name = "SCOPE", requires = "signing_key")]
    signing_scope: Option<String>,
}

/// How a bundle is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SigningAlgorithm {
    /// ECDSA on P-256; each run signs differently
    #[value(name = "ES256")]
    Es256,
    /// RSA, PKCS #1 v1.5
    #[value(name = "RS256")]
    Rs256,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Es256 => Self::Es256,
            SigningAlgorithm::Rs256 => Self::Rs256,
        }
    }
}

/// Flags of `policy bundle`.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    #[command(flatten)]
    content: ContentArgs,
    /// Where to write: a file, a folder for oci-layout, - for standard output
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value = "tarball")]
    format: Format,
    /// configmap: one key with the compressed bundle, instead of one for each file
    #[arg(long)]
    compressed: bool,
    /// configmap: its namespace
    #[arg(long, short, value_name = "NAME", default_value = "seawall-system")]
    namespace: String,
    /// configmap: its name; oci-layout: the tag
    #[arg(long, value_name = "NAME", default_value = "seawall-policies")]
    name: String,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An OPA bundle, bundle.tar.gz
    Tarball,
    /// A ConfigMap for kubectl apply
    Configmap,
    /// A folder in the OCI image layout, for other tools to push
    OciLayout,
}

/// Flags of `policy push`.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    content: ContentArgs,
    /// oci://HOST[:PORT]/REPOSITORY[:TAG]
    #[arg(value_name = "REFERENCE")]
    reference: Reference,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl ContentArgs {
    /// The files of the bundle, when the policies are good.
    fn files(&self) -> anyhow::Result<Files> {
        let algorithm = self.signing_algorithm.map(Algorithm::from);
        let key = self.signing_key.as_deref();
        let key = key.map(|path| SigningKey::load(path, algorithm, self.signing_key_id.clone())).transpose()?;
        if !self.folder.is_dir() {
            bail!("{} is no folder; a bundle is made of a folder of policies", self.folder.display());
        }
        let source = PolicySource::of(Some(self.folder.clone()), self.policies_only);
        let bundle = source.read().context("nothing is bundled: the policies cannot be read")?;
        source.build(&bundle, &Settings::default()).context("nothing is bundled: the policies cannot be used")?;
        let scope = self.signing_scope.as_deref();
        Ok(pack::pack(&self.folder, &Options { without_cases: self.without_cases, key: key.as_ref(), scope })?)
    }
}

/// Writes a bundle. What was made is told on standard error, so that standard output can be the bundle.
pub(super) fn bundle(args: &BundleArgs) -> anyhow::Result<ExitCode> {
    let stdout = args.output.as_deref().is_none_or(|path| path == Path::new("-"));
    if args.compressed && args.format != Format::Configmap {
        bail!("--compressed is for --format configmap; the others are compressed anyway");
    }
    if stdout && args.format != Format::Configmap && (args.format == Format::OciLayout || io::stdout().is_terminal()) {
        bail!("say where to write with --output");
    }
    let files = args.content.files()?;
    let revision = pack::revision(&files).unwrap_or_default();
    let bytes = match args.format {
        Format::Tarball => tarball::write(&files).context("the bundle cannot be packed")?,
        Format::Configmap => {
            let made = configmap::config_map(&files, &args.namespace, &args.name, args.compressed)?;
            let mut stderr = io::stderr().lock();
            made.notes.iter().try_for_each(|note| writeln!(stderr, "{note}"))?;
            made.manifest.into_bytes()
        }
        Format::OciLayout => {
            let artifact = Artifact::new(tarball::write(&files)?, Some(&revision))?;
            let folder = args.output.clone().unwrap_or_default();
            layout::write(&folder, &args.name, &artifact)?;
            writeln!(io::stderr(), "{}: {} files, {}", folder.display(), files.len(), artifact.digest)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    match args.output.as_deref().filter(|_| !stdout) {
        Some(path) => write_file(path, &bytes)?,
        None => {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()?;
        }
    }
    if args.format == Format::Tarball {
        let name = args.output.as_deref().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        let digest = content::sha256(&bytes);
        writeln!(
            io::stderr(),
            "{name}: {} files, {} bytes\ndigest:   {digest}\nrevision: {revision}",
            files.len(),
            bytes.len()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file in one step: whoever watches it never reads half a bundle.
fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("{} cannot be written", path.display());
    let mut file = tempfile::Builder::new().prefix(".seawall-").tempfile_in(folder).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).with_context(failed)?;
    }
    file.persist(path).with_context(failed)?;
    Ok(())
}

/// Pushes a bundle and prints by which digest it is known.
pub(super) fn push(args: &PushArgs) -> anyhow::Result<ExitCode> {
    let files = args.content.files()?;
    let artifact = Artifact::new(tarball::write(&files)?, pack::revision(&files).as_deref())?;
    let client = Client::new(&args.reference, &args.registry.options())?;
    crate::cli::cluster::block_on(async { Ok(client.push(&artifact).await?) })?;
    let reference = args.reference.to_string();
    let mut out = io::stdout().lock();
    writeln!(out, "{reference}@{}", artifact.digest)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

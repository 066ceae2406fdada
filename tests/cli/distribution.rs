//! Policy sets that travel: bundles that OPA reads and verifies, bundles of OPA, ConfigMaps, and artifacts of a registry.

use crate::rig::{Run, binary, fixtures};
use crate::tool::{self, Registry};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const POLICY: &str = "# METADATA
# title: Enough replicas
# description: One replica is none.
# custom:
#   id: enough-replicas
#   checklist: replication
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
package seawall.policies.enough_replicas

violation contains {
	\"msg\": \"too few\",
	\"path\": [\"spec\", \"replicas\"],
	\"wanted\": data.seawall.knowledge.replicas.least,
	\"fix\": \"scale up\",
} if {
	input.request.object.spec.replicas < data.seawall.knowledge.replicas.least
}
";

const TEST: &str = "package seawall.policies.enough_replicas_test

test_true if true
";

const MANIFEST: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {replicas: 1}
";

const ENOUGH: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {replicas: 2}
";

/// A folder of one policy with its knowledge and two cases, and the manifest that it denies.
fn set() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("set/seawall/policies/enough_replicas/policy.rego", POLICY),
        ("set/seawall/policies/enough_replicas/policy_test.rego", TEST),
        ("set/seawall/policies/enough_replicas/README.md", "# Enough replicas\n"),
        ("set/seawall/policies/enough_replicas/cases/one/input.yaml", MANIFEST),
        ("set/seawall/policies/enough_replicas/cases/one/expected.yaml", "violations:\n- path: /spec/replicas\n"),
        ("set/seawall/policies/enough_replicas/cases/two/input.yaml", ENOUGH),
        ("set/seawall/policies/enough_replicas/cases/two/expected.yaml", "violations: []\n"),
        ("set/seawall/knowledge/replicas/data.yaml", "# half of all surprises are numbers\nleast: 2.0\n"),
        ("db.yaml", MANIFEST),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn run(folder: &Path, args: &[&str]) -> Run {
    let output = binary().current_dir(folder).args(args).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn good(folder: &Path, args: &[&str]) -> Run {
    let run = run(folder, args);
    assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    run
}

/// What makes `check` exit with 2, in words.
fn refused(folder: &Path, args: &[&str]) -> String {
    let run = run(folder, args);
    assert_eq!(run.code, 2, "{args:?}: {}{}", run.stdout, run.stderr);
    run.stderr
}

/// `check` with policies from somewhere denies the manifest.
fn denies(folder: &Path, args: &[&str]) {
    let all = [&["check", "--policies-only", "--mode", "enforce", "db.yaml", "--policies"], args].concat();
    let run = run(folder, &all);
    assert!(run.code == 1 && run.stdout.contains("enough-replicas"), "{args:?}: {}{}", run.stdout, run.stderr);
}

fn bundle(folder: &Path, more: &[&str]) -> Run {
    good(folder, &[&["policy", "bundle", "set", "--policies-only", "-o", "bundle.tar.gz"], more].concat())
}

fn opa(program: &Path, folder: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(args).current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn entries(tarball: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(tarball).unwrap()));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = entry.path().unwrap().to_string_lossy().trim_start_matches('/').to_owned();
        found.insert(name, bytes);
    }
    found
}

/// A tarball of these files, by another program than ours.
fn pack(path: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let out = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(out);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

#[test]
fn a_bundle_is_the_same_every_time_and_loads() {
    let folder = set();
    let here = folder.path();
    let first = bundle(here, &[]);
    assert!(
        first.stderr.contains("revision: sha256:") && first.stderr.contains("bundle.tar.gz: 9 files"),
        "{}",
        first.stderr
    );
    let bytes = std::fs::read(path(here, "bundle.tar.gz")).unwrap();
    // another folder, another order of files, other times
    let copy = set();
    std::fs::rename(copy.path().join("set"), here.join("other")).unwrap();
    good(here, &["policy", "bundle", "other", "--policies-only", "-o", "second.tar.gz"]);
    assert_eq!(bytes, std::fs::read(path(here, "second.tar.gz")).unwrap());
    denies(here, &["bundle.tar.gz"]);
    let without = bundle(here, &["--without-cases"]);
    assert!(without.stderr.contains(": 3 files"), "{}", without.stderr);
    assert!(
        entries(&path(here, "bundle.tar.gz")).keys().all(|name| !name.contains("cases") && !name.contains("_test"))
    );
    denies(here, &["bundle.tar.gz"]);
}

#[test]
fn a_broken_set_is_not_bundled() {
    let folder = set();
    let here = folder.path();
    let case = here.join("set/seawall/policies/enough_replicas/cases/one/expected.yaml");
    std::fs::write(case, "violations: []\n").unwrap();
    let error = refused(here, &["policy", "bundle", "set", "--policies-only", "-o", "bundle.tar.gz"]);
    assert!(error.contains("nothing is bundled") && error.contains("1 of 2 cases fail"), "{error}");
    assert!(!path(here, "bundle.tar.gz").exists());
    let error = refused(here, &["policy", "bundle", "db.yaml", "-o", "x"]);
    assert!(error.contains("is no folder"), "{error}");
}

#[test]
fn opa_reads_and_verifies_what_seawall_signs() {
    let folder = set();
    let here = folder.path();
    let (Some(program), Some(())) = (tool::opa(), tool::keys(here)) else { return };
    let query = "data.seawall.knowledge.replicas.least";
    for (key, algorithm) in [("rsa", "RS256"), ("rsa1", "RS256"), ("ec", "ES256"), ("ec1", "ES256")] {
        bundle(here, &["--signing-key", key, "--signing-algorithm", algorithm, "--signing-key-id", "platform"]);
        let public = format!("{key}.pub");
        let verify =
            ["--verification-key", public.as_str(), "--verification-key-id", "platform", "--signing-alg", algorithm];
        // `opa eval` has no flags for keys, `opa build` and `opa run` have; build reads the bundle and writes another
        let build = [&["build", "-b", "bundle.tar.gz", "-o", "again.tar.gz"], &verify[..]].concat();
        let (fine, text) = opa(&program, here, &build);
        assert!(fine, "{key}: {text}");
        let other = if key.starts_with("rsa") { "ec.pub" } else { "rsa.pub" };
        let (fine, text) =
            opa(&program, here, &["build", "-b", "bundle.tar.gz", "-o", "again.tar.gz", "--verification-key", other]);
        assert!(!fine, "{key}: {text}");
        let mut changed = entries(&path(here, "bundle.tar.gz"));
        changed.insert("extra.rego".to_owned(), b"package seawall.extra\n".to_vec());
        pack(&path(here, "changed.tar.gz"), &changed);
        let build = [&["build", "-b", "changed.tar.gz", "-o", "again.tar.gz"], &verify[..]].concat();
        let (fine, text) = opa(&program, here, &build);
        assert!(!fine && text.contains("extra.rego"), "{key}: {text}");
        // and so do we
        denies(here, &["bundle.tar.gz", "--verification-key", &public, "--verification-key-id", "platform"]);
    }
    // the same RSA signature every time
    let bytes = || std::fs::read(path(here, "bundle.tar.gz")).unwrap();
    bundle(here, &["--signing-key", "rsa"]);
    let first = bytes();
    bundle(here, &["--signing-key", "rsa"]);
    assert_eq!(first, bytes());
    let (fine, text) = opa(&program, here, &["eval", "-b", "bundle.tar.gz", query, "-f", "raw"]);
    assert!(fine && text.trim() == "2.0", "{text}");
    let (fine, text) = opa(&program, here, &["inspect", "bundle.tar.gz", "-f", "json"]);
    let shown: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(fine && shown["manifest"]["revision"].as_str().unwrap().starts_with("sha256:"), "{text}");
    assert_eq!(shown["manifest"]["roots"], json!(["seawall"]));
}

#[test]
fn bundles_of_opa_are_read_and_verified() {
    let folder = set();
    let here = folder.path();
    let (Some(program), Some(())) = (tool::opa(), tool::keys(here)) else { return };
    for (key, algorithm) in [("rsa", "RS256"), ("ec", "ES256")] {
        let (fine, text) = opa(
            &program,
            here,
            &["build", "-b", "set", "-o", "opa.tar.gz", "--signing-key", key, "--signing-alg", algorithm],
        );
        assert!(fine, "{text}");
        let public = format!("{key}.pub");
        denies(here, &["opa.tar.gz"]);
        denies(here, &["opa.tar.gz", "--verification-key", &public]);
        // `opa sign` signs a folder as it is, with YAML, pages and cases
        let (fine, text) = opa(
            &program,
            &here.join("set"),
            &["sign", "-b", ".", "--signing-key", &format!("../{key}"), "--signing-alg", algorithm],
        );
        assert!(fine, "{text}");
        denies(here, &["set", "--verification-key", &public]);
        std::fs::write(here.join("set/new.rego"), "package seawall.lib.new\n").unwrap();
        let error = refused(here, &["check", "db.yaml", "--policies", "set", "--verification-key", &public]);
        assert!(error.contains("new.rego was not signed"), "{error}");
        std::fs::remove_file(here.join("set/new.rego")).unwrap();
        std::fs::remove_file(here.join("set/.signatures.json")).unwrap();
    }
}

#[test]
fn bundles_that_are_not_as_signed_are_refused() {
    let folder = set();
    let here = folder.path();
    let Some(()) = tool::keys(here) else { return };
    let with =
        |tarball: &str| refused(here, &["check", "db.yaml", "--policies", tarball, "--verification-key", "ec.pub"]);
    bundle(here, &[]);
    insta::assert_snapshot!(with("bundle.tar.gz"), @"seawall: the policies cannot be read: bundle.tar.gz: it is not signed (no .signatures.json), and --verification-key asks for it; sign it with `seawall policy bundle --signing-key`");
    bundle(here, &["--signing-key", "rsa"]);
    insta::assert_snapshot!(with("bundle.tar.gz"), @r#"
    seawall: the policies cannot be read: bundle.tar.gz: .signatures.json is signed with "RS256"; the key ec.pub is for ES256
    "#);
    bundle(here, &["--signing-key", "ec"]);
    let signed = entries(&path(here, "bundle.tar.gz"));
    let policy = "seawall/policies/enough_replicas/policy.rego";
    let mut changed = signed.clone();
    changed.insert(policy.to_owned(), POLICY.replace("too few", "fine").into_bytes());
    changed.insert("seawall/policies/other/policy.rego".to_owned(), b"package seawall.policies.other\n".to_vec());
    changed.remove("seawall/knowledge/replicas/data.json");
    pack(&path(here, "changed.tar.gz"), &changed);
    insta::assert_snapshot!(with("changed.tar.gz"), @r#"
    seawall: the policies cannot be read: changed.tar.gz: the files are not those that were signed:
      seawall/policies/enough_replicas/policy.rego was changed
      seawall/policies/other/policy.rego was not signed
      seawall/knowledge/replicas/data.json is missing
    "#);
    let mut stripped = signed;
    stripped.remove(".signatures.json");
    pack(&path(here, "stripped.tar.gz"), &stripped);
    assert!(with("stripped.tar.gz").contains("it is not signed"));
    insta::assert_snapshot!(refused(here, &["check", "db.yaml", "--policies", "db.yaml"]), @"seawall: the policies cannot be read: db.yaml is no gzip file; a bundle is a .tar.gz as `seawall policy bundle` or `opa build` writes it");
    insta::assert_snapshot!(refused(here, &["check", "db.yaml", "--policies", "bundle.tar.gz", "--verification-key", "ec"]), @"seawall: ec has a private key, which no server should have; wanted a PEM public key or certificate, P-256, P-384 or RSA with 2048 bits or more; `openssl pkey -in key.pem -pubout -out public.pem` takes it out of a private key");
}

/// The embedded policies have thousands of files, data of every kind and long names.
#[test]
fn the_embedded_policies_travel_and_opa_verifies_them() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (Some(program), Some(())) = (tool::opa(), tool::keys(here)) else { return };
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    // their cases are run by other tests; here a set of that size is packed and signed
    let files = seawall::policysource::pack::pack(
        &embedded,
        &seawall::policysource::pack::Options {
            key: Some(&seawall::policysource::keys::SigningKey::load(&path(here, "rsa"), None, None).unwrap()),
            ..Default::default()
        },
    )
    .unwrap();
    std::fs::write(path(here, "bundle.tar.gz"), seawall::policysource::tarball::write(&files).unwrap()).unwrap();
    let build = ["build", "-b", "bundle.tar.gz", "-o", "again.tar.gz", "--verification-key", "rsa.pub"];
    let (fine, text) = opa(&program, here, &build);
    assert!(fine, "{text}");
    let key = seawall::policysource::keys::VerificationKey::load(&path(here, "rsa.pub"), None, None).unwrap();
    let source = seawall::policysource::PolicySource {
        location: Some(path(here, "bundle.tar.gz").into()),
        only: true,
        verification: Some(std::sync::Arc::new(key)),
        ..Default::default()
    };
    let loaded = source.load().unwrap().bundle;
    let there = seawall::policy::bundle::Bundle::embedded().unwrap();
    assert_eq!(
        (loaded.modules.len(), &loaded.knowledge, &loaded.cases),
        (there.modules.len(), &there.knowledge, &there.cases)
    );
    // a ConfigMap is too small for them, compressed it is not
    let error = seawall::policysource::configmap::config_map(&files, "n", "p", false).unwrap_err().to_string();
    assert!(error.contains("--compressed (") && error.contains("seawall policy push"), "{error}");
}

#[test]
fn a_config_map_is_a_folder_of_files_again() {
    let folder = set();
    let here = folder.path();
    let Some(()) = tool::keys(here) else { return };
    let made =
        good(here, &["policy", "bundle", "set", "--policies-only", "--format", "configmap", "--signing-key", "ec"]);
    let manifest: Value = serde_saphyr::from_str(&made.stdout).unwrap();
    // as the kubelet mounts it
    std::fs::create_dir_all(here.join("mounted/..2026")).unwrap();
    std::os::unix::fs::symlink("..2026", here.join("mounted/..data")).unwrap();
    for (key, text) in manifest["data"].as_object().unwrap() {
        std::fs::write(here.join("mounted/..2026").join(key), text.as_str().unwrap()).unwrap();
        std::os::unix::fs::symlink(format!("..data/{key}"), here.join("mounted").join(key)).unwrap();
    }
    denies(here, &["mounted"]);
    denies(here, &["mounted", "--verification-key", "ec.pub"]);
    // the case came along
    let key = here.join("mounted/..2026/seawall__policies__enough_replicas__cases__one__expected.yaml");
    std::fs::write(key, "violations: []\n").unwrap();
    assert!(
        refused(here, &["check", "db.yaml", "--policies", "mounted", "--policies-only"]).contains("1 of 2 cases fail")
    );
    assert!(
        refused(here, &["check", "db.yaml", "--policies", "mounted", "--verification-key", "ec.pub"])
            .contains("cases/one/expected.yaml was changed")
    );
    let compressed = ["policy", "bundle", "set", "--policies-only", "--format", "configmap", "--compressed"];
    let made = good(here, &compressed);
    let manifest: Value = serde_saphyr::from_str(&made.stdout).unwrap();
    let text = manifest["binaryData"]["bundle.tar.gz"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    std::fs::write(here.join("mounted.tar.gz"), bytes).unwrap();
    denies(here, &["mounted.tar.gz"]);
}

#[test]
fn an_artifact_is_pushed_and_pulled_by_tag_and_digest() {
    let folder = set();
    let here = folder.path();
    let (Some(registry), Some(program), Some(())) = (Registry::start(0), tool::opa(), tool::keys(here)) else { return };
    let reference = registry.reference("team/policies:v1");
    let push = ["policy", "push", "set", &reference, "--policies-only", "--signing-key", "rsa"];
    let first = good(here, &push).stdout;
    assert!(first.starts_with(&format!("{reference}@sha256:")), "{first}");
    assert_eq!(good(here, &push).stdout, first, "the same artifact");
    denies(here, &[&reference]);
    denies(here, &[&reference, "--verification-key", "rsa.pub"]);
    let pinned = first.trim();
    denies(here, &[pinned]);
    let error = refused(here, &["check", "db.yaml", "--policies", &reference, "--verification-key", "ec.pub"]);
    assert!(error.contains("is signed with \"RS256\"; the key ec.pub is for ES256"), "{error}");
    let error = refused(here, &["check", "db.yaml", "--policies", &registry.reference("team/policies:v2")]);
    assert!(error.contains("the registry has no oci://localhost") && error.contains("policy push"), "{error}");
    let error = refused(here, &["policy", "push", "set", pinned, "--policies-only"]);
    assert!(error.contains("push to a tag"), "{error}");
    // OPA's own downloader takes it, and verifies it
    let config = json!({
        "services": {"registry": {"url": format!("http://localhost:{}", registry.port), "type": "oci"}},
        "keys": {"platform": {"algorithm": "RS256", "key": std::fs::read_to_string(path(here, "rsa.pub")).unwrap()}},
        "bundles": {"set": {
            "service": "registry",
            "resource": format!("localhost:{}/team/policies:v1", registry.port),
            "signing": {"keyid": "platform"},
        }},
        "persistence_directory": here.join("opa"),
    });
    std::fs::write(here.join("opa.json"), config.to_string()).unwrap();
    let output = Command::new(&program)
        .args([
            "exec",
            "--config-file",
            "opa.json",
            "--decision",
            "seawall/knowledge/replicas/least",
            "db.yaml",
            "--timeout",
            "60s",
        ])
        .current_dir(here)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("\"result\": 2"), "{text}");
    // an image layout has the same artifact for tools of others
    good(
        here,
        &[
            "policy",
            "bundle",
            "set",
            "--policies-only",
            "--signing-key",
            "rsa",
            "--format",
            "oci-layout",
            "-o",
            "layout",
            "--name",
            "v1",
        ],
    );
    let index: Value = serde_json::from_slice(&std::fs::read(here.join("layout/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], pinned.rsplit('@').next().unwrap());
    drop(registry);
    let error = refused(here, &["check", "db.yaml", "--policies", &reference]);
    assert!(error.contains("cannot be reached: Connection refused"), "{error}");
}

#[test]
fn flags_that_make_no_sense_say_so() {
    let error = |args: &[&str]| refused(&fixtures(), args);
    assert!(error(&["policy", "bundle", "policies", "--compressed", "-o", "x"]).contains("--compressed is for"));
    assert!(error(&["policy", "bundle", "policies", "--format", "oci-layout"]).contains("--output"));
    assert!(
        error(&["check", "clean.yaml", "--policies", "https://r.example/a"]).contains("is not read; give a folder")
    );
    assert!(error(&["check", "clean.yaml", "--policies", "oci://r.example"]).contains("it has no repository"));
}

//! What a person reads.

use crate::rig::{binary, check, check_files, fixtures, seawall};

#[test]
fn violations_patches_and_unknown_answers() {
    let run = check_files(&["shop.yaml"]);
    insta::assert_snapshot!(run.stdout, @r"
    shop.yaml:2:1: StorageClass fast
      deny    [class-retain] reclaimPolicy: the class deletes volumes with their data
              found   Delete
              wanted  Retain
              fix     reclaimPolicy: Retain
              at      shop.yaml:2:1

    shop.yaml:8:1: StatefulSet shop/db
      warning [claim-class] spec.volumeClaimTemplates[0].spec.storageClassName: class fast deletes its volumes
              found   fast
              wanted  a class that retains
              fix     name another class
              at      shop.yaml:30:7
      warning [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
              found   10
              wanted  120
              fix     terminationGracePeriodSeconds: 120
              at      shop.yaml:21:7
      ?       [governing-service] unknown: too little is known of services; give them with --snapshot or --live

    shop.yaml:33:1: StatefulSet shop/cache
      patch   [grace-period] safe defaults, written when it is applied:
        @@
               containers:
               - name: cache
                 image: redis:7
        +      terminationGracePeriodSeconds: 120
      ?       [governing-service] unknown: too little is known of services; give them with --snapshot or --live

    3 objects: 1 denial, 2 warnings, 0 audited; 1 patched, 2 unknown, 0 errors
    ");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn where_patches_are_not_permitted_they_are_told() {
    let run = check_files(&["shop.yaml", "--mode", "warn", "--tier", "tier-0"]);
    insta::assert_snapshot!(run.stdout, @r"
    shop.yaml:2:1: StorageClass fast
      warning [class-retain] reclaimPolicy: the class deletes volumes with their data
              found   Delete
              wanted  Retain
              fix     reclaimPolicy: Retain
              at      shop.yaml:2:1
              note    Deny in tier-0, here Warn: mode warn
      patch   [class-retain] safe defaults, would be written where mode is enforce or patch is enabled:
        @@
         metadata:
           name: fast
         provisioner: ebs.csi.aws.com
        +reclaimPolicy: Retain

    shop.yaml:8:1: StatefulSet shop/db
      warning [claim-class] spec.volumeClaimTemplates[0].spec.storageClassName: class fast deletes its volumes
              found   fast
              wanted  a class that retains
              fix     name another class
              at      shop.yaml:30:7
              note    Deny in tier-0, here Warn: mode warn
      warning [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
              found   10
              wanted  120
              fix     terminationGracePeriodSeconds: 120
              at      shop.yaml:21:7
      ?       [governing-service] unknown: too little is known of services; give them with --snapshot or --live

    shop.yaml:33:1: StatefulSet shop/cache
      warning [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
              found   30
              wanted  120
              fix     terminationGracePeriodSeconds: 120
              at      shop.yaml:44:5
      patch   [grace-period] safe defaults, would be written where mode is enforce or patch is enabled:
        @@
               containers:
               - name: cache
                 image: redis:7
        +      terminationGracePeriodSeconds: 120
      ?       [governing-service] unknown: too little is known of services; give them with --snapshot or --live

    3 objects: 0 denials, 4 warnings, 0 audited; 0 patched, 2 unknown, 0 errors
    ");
    assert_eq!(run.code, 0);
}

#[test]
fn a_patched_class_counts_as_patched_for_the_claims_beside_it() {
    let run = check_files(&["shop.yaml", "--tier", "tier-0"]);
    assert!(!run.stdout.contains("[claim-class]"), "{}", run.stdout);
    assert!(run.stdout.contains("+reclaimPolicy: Retain"), "{}", run.stdout);
    assert_eq!(run.code, 0);
    // in tier-1 the class is denied, not patched, and the claim with it
    let run = check_files(&["shop.yaml", "--tier", "tier-1"]);
    assert!(run.stdout.contains("[claim-class]"), "{}", run.stdout);
    assert_eq!(run.code, 1);
}

#[test]
fn a_snapshot_is_known_and_not_judged() {
    let run = check_files(&["shop.yaml", "--snapshot", "cluster.yaml"]);
    assert!(!run.stdout.contains("unknown:") && !run.stdout.contains("known-but-not-judged"), "{}", run.stdout);
    assert!(run.stdout.ends_with("3 objects: 1 denial, 2 warnings, 0 audited; 1 patched, 0 unknown, 0 errors\n"));
}

#[test]
fn modes_from_labels_are_those_of_the_namespaces() {
    let run = check_files(&["shop.yaml", "--mode", "from-labels", "--snapshot", "cluster.yaml"]);
    insta::assert_snapshot!(run.stdout, @r"
    shop.yaml:2:1: StorageClass fast
      warning [class-retain] reclaimPolicy: the class deletes volumes with their data
              found   Delete
              wanted  Retain
              fix     reclaimPolicy: Retain
              at      shop.yaml:2:1
              note    Deny in tier-2, here Warn: mode warn

    shop.yaml:8:1: StatefulSet shop/db
      audit   [claim-class] spec.volumeClaimTemplates[0].spec.storageClassName: class fast deletes its volumes
              found   fast
              wanted  a class that retains
              fix     name another class
              at      shop.yaml:30:7
              note    Deny in tier-1, here Audit: mode audit
      audit   [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
              found   10
              wanted  120
              fix     terminationGracePeriodSeconds: 120
              at      shop.yaml:21:7
              note    Warn in tier-1, here Audit: mode audit

    shop.yaml:33:1: StatefulSet shop/cache
      audit   [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
              found   30
              wanted  120
              fix     terminationGracePeriodSeconds: 120
              at      shop.yaml:44:5
              note    Warn in tier-1, here Audit: mode audit
      patch   [grace-period] safe defaults, would be written where mode is enforce or patch is enabled:
        @@
               containers:
               - name: cache
                 image: redis:7
        +      terminationGracePeriodSeconds: 120

    3 objects: 0 denials, 1 warning, 3 audited; 0 patched, 0 unknown, 0 errors
    ");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    // without the snapshot nothing is known of the namespace, and that is told
    let run = check_files(&["shop.yaml", "--mode", "from-labels"]);
    assert_eq!(
        run.stderr,
        "note: namespace shop: its labels are not known, so tier-2 and mode warn hold; give it with --snapshot or --live\n"
    );
    assert_eq!(run.code, 0);
}

#[test]
fn the_labels_of_a_namespace_do_not_overrule_a_mode_given_by_hand() {
    let run = check_files(&["shop.yaml", "cluster.yaml"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("  deny    [class-retain]"), "{}", run.stdout);
}

#[test]
fn exit_codes_follow_fail_on() {
    assert_eq!(check_files(&["clean.yaml", "--fail-on", "warn"]).code, 0);
    assert_eq!(check_files(&["shop.yaml", "--mode", "warn"]).code, 0);
    assert_eq!(check_files(&["shop.yaml", "--mode", "warn", "--fail-on", "warn"]).code, 1);
    assert_eq!(check_files(&["shop.yaml", "--mode", "audit", "--fail-on", "warn"]).code, 0);
    assert_eq!(check_files(&["shop.yaml", "--mode", "off"]).code, 0);
    assert_eq!(check_files(&["shop.yaml", "--tier", "dev"]).code, 0);
}

#[test]
fn a_json_list_is_shown_as_json() {
    let run = check_files(&["list.json", "--tier", "tier-0"]);
    insta::assert_snapshot!(run.stdout, @r#"
    list.json:5:5: StorageClass json
      patch   [class-retain] safe defaults, written when it is applied:
        @@
             "name": "json"
           },
           "provisioner": "ebs.csi.aws.com",
        -  "reclaimPolicy": "Delete"
        +  "reclaimPolicy": "Retain"
         }

    1 object: 0 denials, 0 warnings, 0 audited; 1 patched, 0 unknown, 0 errors
    "#);
    assert_eq!(run.code, 0);
}

#[test]
fn a_folder_is_read_and_what_is_left_out_is_told() {
    let run = check_files(&["app"]);
    insta::assert_snapshot!(format!("{}---\n{}", run.stdout, run.stderr), @r#"
    app/notes.yaml:1:3: error: not readable as YAML: "-" is only valid inside a block; a Helm template? check what `helm template` prints

    1 object: 0 denials, 0 warnings, 0 audited; 0 patched, 0 unknown, 1 error
    ---
    note: app/Chart.yaml: skipped, it describes a chart: helm template app | seawall check -
    note: app/base/kustomization.yaml: skipped, it is built into objects: kustomize build app/base | seawall check -
    note: app/values.yaml: skipped, it holds values of a chart
    note: app/system.yaml:1:1: apps/v1beta2 StatefulSet is no longer served; judged as apps/v1
    note: app/system.yaml:1:1: skipped, objects of kube-system are never judged
    "#);
    assert_eq!(run.code, 2);
}

#[test]
fn standard_input_and_files_together_in_the_order_given() {
    let text = std::fs::read_to_string(fixtures().join("clean.yaml")).unwrap().replace("Retain", "Delete");
    let run = check(&["clean.yaml", "-", "--mode", "warn"], &text);
    assert!(run.stdout.starts_with("stdin:1:1: StorageClass safe\n"), "{}", run.stdout);
    assert!(run.stdout.contains("2 objects: "), "{}", run.stdout);
    assert!(run.stdout.contains("          at      stdin:5:1\n"), "{}", run.stdout);
}

#[test]
fn two_runs_print_the_same() {
    let args = ["shop.yaml", "broken.yaml", "app", "list.json", "--format", "json"];
    assert_eq!(check_files(&args).stdout, check_files(&args).stdout);
}

#[test]
fn no_colour_in_a_pipe_and_nothing_from_a_manifest_drives_the_terminal() {
    let name = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: \"x\\e[31m\\n\"}\nprovisioner: p\n";
    let run = check(&["-"], name);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    assert!(run.stdout.starts_with("stdin:1:1: StorageClass x\u{fffd}[31m\u{fffd}\n"), "{}", run.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut many = String::new();
    for index in 0..300 {
        many.push_str(&format!(
            "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: c{index}}}\nprovisioner: p\n"
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.yaml");
    std::fs::write(&file, many).unwrap();
    for format in ["text", "json"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(["check", "--policies", "policies", "--policies-only", "--format", format])
            .arg(&file)
            .current_dir(fixtures())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn the_help_tells_all_flags() {
    let run = seawall(&["check", "--help"], "");
    insta::assert_snapshot!(run.stdout, @r"
    Judge manifests as the API server would have them judged

    Usage: seawall check [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files or folders of manifests (YAML, JSON), or - for standard input

    Options:
          --mode <MODE>
              enforce, warn, audit or off for every object, or from-labels: that of the namespaces in
              the input, the snapshot or the cluster
              
              [default: enforce]

          --tier <TIER>
              tier-0 to tier-3 for every object that raises it no higher [default: that of the
              configuration, tier-2]

          --fail-on <ACTION>
              What makes the exit code 1

              Possible values:
              - deny: A violation that rejects
              - warn: Also one that only warns
              
              [default: deny]

          --snapshot <FILE>
              What is known of the cluster but not judged: a file of `seawall snapshot`, or manifests
              (kubectl get … -o yaml); may be repeated

          --live
              Read what policies need from the cluster of the current kubeconfig; --kubeconfig and
              --context mean it as well

          --kubeconfig <FILE>
              Kubeconfig of the cluster [default: $KUBECONFIG, ~/.kube/config, or the service account of
              this Pod]

          --context <NAME>
              Context of the kubeconfig [default: its current one]

      -n, --namespace <NAME>
              Namespace of objects that name none [default: default, with a cluster that of the context]

          --config <FILE>
              Configuration file
              
              [env: SEAWALL_CONFIG=]

          --policies <LOCATION>
              Policies that extend the embedded ones: a folder, a bundle.tar.gz, or
              oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]
              
              [env: SEAWALL_POLICIES=]

          --policies-only
              The policies of --policies replace the embedded ones

          --verification-key <FILE>
              Refuse --policies that the private half of this PEM key or certificate did not sign
              
              [env: SEAWALL_VERIFICATION_KEY=]

          --verification-key-id <ID>
              Name that the signature must give its key

          --verification-scope <SCOPE>
              Scope that the signature must have [default: none]

          --plain-http
              Speak HTTP, not HTTPS, with the registry of oci://; loopback needs no flag
              
              [env: SEAWALL_PLAIN_HTTP=]

          --registry-ca <FILE>
              CA certificates in PEM of the registry of oci://, besides those of this machine
              
              [env: SEAWALL_REGISTRY_CA=]

          --fix
              Write the safe defaults into the files, comments and layout kept; then judge them again

          --diff
              With --fix: print what would be written as a unified diff, and write nothing

          --format <FORMAT>
              How to print

              Possible values:
              - text:         For a person
              - json:         For a program, schemaVersion 1
              - sarif:        SARIF 2.1.0, for code scanning
              - junit:        JUnit XML, for what shows test results
              - github:       Annotations of GitHub Actions
              - markdown:     A comment on a merge request
              - html:         One page for a browser
              - policyreport: PolicyReport manifests, wgpolicyk8s.io/v1alpha2
              - openreports:  The same as openreports.io/v1alpha1
              
              [default: text]

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_eq!(run.code, 0);
}

#[test]
fn the_configuration_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("seawall.yaml");
    let run = |text: &str| {
        std::fs::write(&config, text).unwrap();
        check_files(&["shop.yaml", "--config", config.to_str().unwrap()])
    };
    let off = run("policies:\n  class-retain:\n    actions: {tier-2: \"Off\"}\n");
    assert!(!off.stdout.contains("[class-retain]"), "{}", off.stdout);
    assert_eq!(off.code, 0);
    let excluded = run("excludedNamespaces: [shop]\n");
    assert!(excluded.stderr.contains("skipped, objects of shop are never judged"), "{}", excluded.stderr);
    let wrong = run("defaults:\n  mod: warn\n");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("seawall.yaml:2:3: "), "{}", wrong.stderr);
    let by_variable = binary()
        .args(["check", "--policies", "policies", "--policies-only", "shop.yaml"])
        .env("SEAWALL_CONFIG", &config)
        .output()
        .unwrap();
    assert_eq!(by_variable.status.code(), Some(2));
}

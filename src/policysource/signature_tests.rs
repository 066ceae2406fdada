use super::super::keys::{Algorithm, KeyError};
use super::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use std::path::PathBuf;
use tempfile::TempDir;

struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        std::fs::write(folder.path().join("key"), pair.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("public"), pair.public_key_pem()).unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signing(&self, id: Option<&str>) -> SigningKey {
        SigningKey::load(&self.file("key"), None, id.map(str::to_owned)).unwrap()
    }

    fn verification(&self, id: Option<&str>, scope: Option<&str>) -> VerificationKey {
        VerificationKey::load(&self.file("public"), id.map(str::to_owned), scope.map(str::to_owned)).unwrap()
    }
}

fn set() -> Files {
    [(".manifest", "{\"revision\": \"1\"}"), ("a.rego", "package a"), ("b/data.json", "{\"x\": 1.0}")]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn signed(keys: &Keys, id: Option<&str>, scope: Option<&str>) -> Files {
    let mut files = set();
    files.insert(SIGNATURES.to_owned(), sign(&files, &keys.signing(id), scope).unwrap());
    files
}

#[test]
fn what_was_signed_verifies() {
    let keys = Keys::new();
    verify(&signed(&keys, None, None), &keys.verification(None, None)).unwrap();
    verify(&signed(&keys, Some("k1"), Some("write")), &keys.verification(Some("k1"), Some("write"))).unwrap();
    // OPA hashes values, so their layout may change
    let mut files = signed(&keys, None, None);
    files.insert("b/data.json".to_owned(), b"{\n\"x\":1.0}\n".to_vec());
    verify(&files, &keys.verification(None, None)).unwrap();
    // a P-256 key asked for as such, and a certificate in place of the public key
    assert_eq!(
        SigningKey::load(&keys.file("key"), Some(Algorithm::Es256), None).unwrap().algorithm(),
        Algorithm::Es256
    );
    let pair = KeyPair::from_pem(&std::fs::read_to_string(keys.file("key")).unwrap()).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&pair).unwrap();
    std::fs::write(keys.file("public"), certificate.pem()).unwrap();
    verify(&files, &keys.verification(None, None)).unwrap();
}

#[test]
fn every_file_that_is_not_as_signed_is_named() {
    let keys = Keys::new();
    let mut files = signed(&keys, None, None);
    files.insert("a.rego".to_owned(), b"package b".to_vec());
    files.insert("c.rego".to_owned(), b"package c".to_vec());
    files.insert(".hidden".to_owned(), b"".to_vec());
    files.remove("b/data.json");
    let key = keys.verification(None, None);
    insta::assert_snapshot!(verify(&files, &key).unwrap_err(), @r#"
    the files are not those that were signed:
      .hidden was not signed
      a.rego was changed
      c.rego was not signed
      b/data.json is missing
    "#);
    files.remove(SIGNATURES);
    insta::assert_snapshot!(verify(&files, &key).unwrap_err(), @"it is not signed (no .signatures.json), and --verification-key asks for it; sign it with `seawall policy bundle --signing-key`");
}

#[test]
fn other_keys_ids_scopes_and_algorithms_are_refused() {
    let (keys, others) = (Keys::new(), Keys::new());
    let error = |files: &Files, key: &VerificationKey| {
        verify(files, key).unwrap_err().to_string().replace(&key.path.display().to_string(), "public.pem")
    };
    insta::assert_snapshot!(error(&signed(&others, None, None), &keys.verification(None, None)), @".signatures.json was not made with the private half of public.pem, or was changed since; do not use this set before you know why");
    insta::assert_snapshot!(error(&signed(&keys, None, None), &keys.verification(Some("k1"), None)), @r#"
    .signatures.json has key id ""; wanted "k1" (--verification-key-id)
    "#);
    insta::assert_snapshot!(error(&signed(&keys, None, Some("write")), &keys.verification(None, None)), @r#"
    .signatures.json has scope "write"; wanted "" (--verification-scope)
    "#);
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    std::fs::write(keys.file("public"), p384.public_key_pem()).unwrap();
    insta::assert_snapshot!(error(&signed(&keys, None, None), &keys.verification(None, None)), @r#"
    .signatures.json is signed with "ES256"; the key public.pem is for ES384
    "#);
}

/// The attacks on JSON Web Tokens that have names.
#[test]
fn forged_tokens_are_refused() {
    let keys = Keys::new();
    let key = keys.verification(None, None);
    let good = signed(&keys, None, None);
    let document: Document = serde_json::from_slice(&good[SIGNATURES]).unwrap();
    let parts: Vec<&str> = document.signatures[0].split('.').collect();
    let with = |tokens: Value| {
        let mut files = good.clone();
        files.insert(SIGNATURES.to_owned(), json!({"signatures": tokens}).to_string().into_bytes());
        verify(&files, &key).unwrap_err().to_string()
    };
    let header = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
    for alg in ["none", "None", "HS256", "RS256", "ES384", ""] {
        let token = format!("{}.{}.{}", header(alg), parts[1], parts[2]);
        assert!(with(json!([token])).contains("is signed with"), "{alg}");
    }
    assert!(with(json!([format!("{}.{}.", parts[0], parts[1])])).contains("was not made with"));
    let payload = URL_SAFE_NO_PAD.encode(json!({"files": []}).to_string());
    assert!(with(json!([format!("{}.{payload}.{}", parts[0], parts[2])])).contains("was not made with"));
    assert!(with(json!([])).contains("has 0 signatures"));
    assert!(with(json!([document.signatures[0], document.signatures[0]])).contains("has 2 signatures"));
    assert!(with(json!(["a.b"])).contains("three parts"));
    assert!(with(json!(["?.b.c"])).contains("base64url"));
    assert!(with(json!("x")).contains("not as OPA writes it"));
}

#[test]
fn keys_that_cannot_be_used_say_so() {
    let keys = Keys::new();
    let put = |text: &str| std::fs::write(keys.file("odd"), text).unwrap();
    let verification = || VerificationKey::load(&keys.file("odd"), None, None).unwrap_err().to_string();
    let signing = |algorithm| SigningKey::load(&keys.file("odd"), algorithm, None).unwrap_err().to_string();
    assert!(matches!(SigningKey::load(&keys.file("none"), None, None), Err(KeyError::Read { .. })));
    put("no key");
    assert!(verification().contains("has no PEM block; wanted a PEM public key"));
    assert!(signing(None).contains("has no PEM block; wanted a PEM private key"));
    put(&std::fs::read_to_string(keys.file("key")).unwrap());
    assert!(verification().contains("a private key, which no server should have"));
    assert!(signing(Some(Algorithm::Rs256)).contains("is no key for RS256"));
    put(&std::fs::read_to_string(keys.file("public")).unwrap());
    assert!(signing(None).contains("a block \"PUBLIC KEY\""));
    assert!(!format!("{:?}", keys.signing(None)).contains("PRIVATE"));
}

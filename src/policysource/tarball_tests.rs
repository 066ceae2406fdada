use super::*;

fn files(of: &[(&str, &str)]) -> Files {
    of.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = GzBuilder::new().write(Vec::new(), Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

/// A tarball of entries whose names no builder would write.
fn hostile(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

fn problems(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<EntryProblem> {
    match read("b.tar.gz", &hostile(entries)) {
        Err(TarballError::Entries { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read_and_always_the_same() {
    let long = format!("a/{}/policy.rego", "very-long-name".repeat(10));
    let set = files(&[(".manifest", "{}"), (&long, "package a"), ("z.rego", "package z"), ("umlaut-ä.rego", "")]);
    let first = write(&set).unwrap();
    assert_eq!(read("b", &first).unwrap(), set);
    assert_eq!(write(&set).unwrap(), first);
    // a fixed header: no flags, no time, strongest compression, unknown system
    assert_eq!(&first[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    let digest = ring::digest::digest(&ring::digest::SHA256, &write(&files(&[("a.rego", "package a\n")])).unwrap());
    // the bytes of one machine are those of all; a change of this digest changes every user's artifacts
    insta::assert_snapshot!(crate::policysource::content::hex(digest.as_ref()), @"895a992cf39d96ad3d9ff9ebea50af1865a88ec74a03f0ac3e1a3e891f5530a2");
}

#[test]
fn the_leading_slash_that_opa_writes_is_the_root() {
    let read = read(
        "b",
        &hostile(&[(b"/policy.rego", EntryType::Regular, b"package a"), (b"./b/", EntryType::Directory, b"")]),
    );
    assert_eq!(read.unwrap(), files(&[("policy.rego", "package a")]));
}

#[test]
fn every_hostile_entry_is_named() {
    let file = EntryType::Regular;
    let found = problems(&[
        (b"../../etc/cron.d/x", file, b"x"),
        (b"a/../../x", file, b"x"),
        (b"//etc/passwd", file, b"x"),
        (b"link", EntryType::Symlink, b""),
        (b"hard", EntryType::Link, b""),
        (b"disk", EntryType::Block, b""),
        (b"tty", EntryType::Char, b""),
        (b"pipe", EntryType::Fifo, b""),
        (b"same.rego", file, b"1"),
        (b"/same.rego", file, b"2"),
        (b"\xff\xfe.rego", file, b""),
        (b"red\x1b[31m", file, b""),
        (b"../folder", EntryType::Directory, b""),
    ]);
    let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @r#"
    "../../etc/cron.d/x": its name leads out of the bundle (`..`)
    "a/../../x": its name leads out of the bundle (`..`)
    "//etc/passwd": its name has an empty part, a `.` between slashes, a backslash or a control character
    "link" is a symbolic link; a bundle has files only
    "hard" is a hard link; a bundle has files only
    "disk" is a block device; a bundle has files only
    "tty" is a character device; a bundle has files only
    "pipe" is a named pipe; a bundle has files only
    "/same.rego" is there twice, so programs would read different files
    "��.rego": its name is not UTF-8
    "red\u{1b}[31m": its name has an empty part, a `.` between slashes, a backslash or a control character
    "../folder": its name leads out of the bundle (`..`)
    "#);
    let error = TarballError::Entries { archive: "b.tar.gz".to_owned(), problems: found };
    insta::assert_snapshot!(error, @r#"
    b.tar.gz cannot be trusted, so nothing of it is used:
      "../../etc/cron.d/x": its name leads out of the bundle (`..`)
      "a/../../x": its name leads out of the bundle (`..`)
      "//etc/passwd": its name has an empty part, a `.` between slashes, a backslash or a control character
      "link" is a symbolic link; a bundle has files only
      "hard" is a hard link; a bundle has files only
      and 7 more
    "#);
}

#[test]
fn a_file_that_is_too_large_is_named() {
    let large = vec![b'x'; 2 << 20];
    let found = problems(&[(b"a.rego", EntryType::Regular, &large)]);
    assert_eq!(found, [EntryProblem::TooLarge { entry: "\"a.rego\"".to_owned(), size: 2 << 20, most: 1 << 20 }]);
    // a header that promises more than there is
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_path("a.rego").unwrap();
    header.set_size(1000);
    header.set_cksum();
    builder.append(&header, &b"short"[..]).unwrap();
    let mut plain = builder.into_inner().unwrap();
    plain.truncate(700);
    assert!(matches!(read("b", &gzip(&plain)), Err(TarballError::Damaged { .. })));
}

#[test]
fn bombs_end() {
    let zeros = gzip(&vec![0; usize::try_from(MOST_BYTES).unwrap() + 1]);
    assert!(zeros.len() < 1 << 20);
    assert!(matches!(read("b", &zeros), Err(TarballError::TooLarge { .. })));
    let mut builder = Builder::new(Vec::new());
    for number in 0..=MOST_FILES {
        let mut header = Header::new_gnu();
        header.set_path(format!("{number}")).unwrap();
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }
    assert!(matches!(read("b", &gzip(&builder.into_inner().unwrap())), Err(TarballError::TooMany { .. })));
}

#[test]
fn what_is_no_tarball_is_told_apart() {
    let text = |bytes: &[u8]| read("b.tar.gz", bytes).unwrap_err().to_string();
    assert!(text(b"package a").contains("b.tar.gz is no gzip file"));
    assert!(text(b"").contains("is no gzip file"));
    let good = write(&files(&[("a.rego", &"package a\n".repeat(100))])).unwrap();
    assert!(text(&good[..good.len() - 4]).contains("cut off or damaged"));
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x10;
    assert!(text(&flipped).contains("cut off or damaged"));
    assert!(text(&gzip(b"no tar at all, and too short to be one")).contains("damaged"), "{}", text(&gzip(b"no")));
    assert!(text(&gzip(&[0; 1024])).contains("has no file in it"));
}

/// Whatever the bytes are, there is an answer.
#[test]
fn damaged_bytes_never_panic() {
    let plain = unzip(&write(&files(&[("a.rego", "package a"), ("b/c.yaml", "a: 1")])).unwrap()).unwrap().unwrap();
    for at in 0..512.min(plain.len()) {
        for byte in [0, b'/', b'9', 0xff] {
            let mut bytes = plain.clone();
            bytes[at] = byte;
            let _ = read("b", &gzip(&bytes));
        }
    }
}

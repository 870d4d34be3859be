//! What was packed is unpacked; what was meant to harm is not.

use std::fs;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use testbed_model::hint::Hint as _;

use super::{BundleError, Content, INDEX, Index, Member, SCHEMA, pack, unpack};

struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let record = root.path().join("run");
        fs::create_dir_all(record.join("services/mocker")).unwrap();
        for (name, text) in
            [("manifest.json", "{}"), ("events.jsonl", "a\nb\n"), ("services/mocker/nats.log", "")]
        {
            fs::write(record.join(name), text).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn packed(&self, name: &str) -> PathBuf {
        let into = self.path(name);
        pack("20261121-143005-a1b2c3", &self.path("run"), &[], &into).unwrap();
        into
    }

    /// A bundle with the given members behind an index that tells what `told` says of each.
    fn forged(&self, told: &[(&str, &[u8])], members: &[(&str, EntryType, &[u8])]) -> PathBuf {
        let content = |bytes: &[u8]| Content {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        };
        let files = told.iter().map(|(name, bytes)| ((*name).to_owned(), content(bytes))).collect();
        let index = Index { schema: SCHEMA, run: "x".to_owned(), files };
        let json = serde_json::to_vec(&index).unwrap();
        let mut all = vec![(INDEX, EntryType::Regular, json.as_slice())];
        all.extend(members);
        self.archive(&all)
    }

    fn archive(&self, members: &[(&str, EntryType, &[u8])]) -> PathBuf {
        let path = self.path("forged.tar.zst");
        let mut archive = Builder::new(zstd::Encoder::new(fs::File::create(&path).unwrap(), 1).unwrap());
        for (name, kind, bytes) in members {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            if *kind != EntryType::Regular {
                header.set_link_name("/etc/passwd").unwrap();
            }
            // The library would refuse names that leave the folder, which are what is tried here.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        path
    }

    fn refusal(&self, bundle: &Path) -> String {
        let folder = tempfile::tempdir_in(self.root.path()).unwrap();
        let error = unpack(bundle, folder.path()).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        format!("{error}\nhint: {hint}").replace(&self.root.path().to_string_lossy().into_owned(), "ROOT")
    }
}

#[test]
fn a_bundle_is_unpacked_as_it_was_packed_and_equal_records_give_equal_bytes() {
    let world = World::new();
    let image = world.path("image.tar");
    fs::write(&image, vec![7; 100_000]).unwrap();
    let further = [Member { name: "images/nats.tar".to_owned(), path: image }];
    let (first, second) = (world.path("a.tar.zst"), world.path("b.tar.zst"));
    pack("r", &world.path("run"), &further, &first).unwrap();
    // What a file system keeps besides contents is no part of it.
    let journal = fs::File::open(world.path("run/events.jsonl")).unwrap();
    journal.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    pack("r", &world.path("run"), &further, &second).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let folder = world.path("out");
    fs::create_dir(&folder).unwrap();
    let index = unpack(&first, &folder).unwrap();
    assert_eq!(index.run, "r");
    assert_eq!(fs::read_to_string(folder.join("record/events.jsonl")).unwrap(), "a\nb\n");
    assert_eq!(fs::read(folder.join("record/services/mocker/nats.log")).unwrap(), b"");
    assert_eq!(fs::read(folder.join("images/nats.tar")).unwrap().len(), 100_000);
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let world = World::new();
    let bundle = world.packed("a.tar.zst");
    let whole = fs::read(&bundle).unwrap();
    let tried = world.path("tried.tar.zst");
    let opens = |bytes: &[u8]| {
        fs::write(&tried, bytes).unwrap();
        let folder = tempfile::tempdir_in(world.root.path()).unwrap();
        let opened = unpack(&tried, folder.path());
        opened.map(|_| fs::read(folder.path().join("record/events.jsonl")).unwrap())
    };
    assert_eq!(opens(&whole).unwrap(), b"a\nb\n");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        // A bit that the format leaves unused may be anything; what is read is what was packed.
        assert!(opens(&changed).map_or(true, |text| text == b"a\nb\n"), "byte {at}");
    }
    for cut in 0..whole.len() {
        assert!(opens(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn what_would_harm_is_refused_and_named() {
    let world = World::new();
    let plain = EntryType::Regular;
    let mut told = Vec::new();
    let mut tell = |bundle: PathBuf| told.push(world.refusal(&bundle));
    tell(world.forged(&[("../out", b"x")], &[("../out", plain, b"x")]));
    tell(world.forged(&[("/etc/x", b"x")], &[("/etc/x", plain, b"x")]));
    tell(world.forged(&[("record/l", b"")], &[("record/l", EntryType::Symlink, b"")]));
    tell(world.forged(&[("record/l", b"")], &[("record/l", EntryType::Link, b"")]));
    tell(world.forged(&[("record/a", b"1")], &[("record/a", plain, b"2")]));
    tell(world.forged(&[("record/a", b"1")], &[("record/a", plain, &[b'1'; 9000])]));
    tell(world.forged(&[("record/a", b"1")], &[("record/b", plain, b"1")]));
    tell(world.forged(&[("record/a", b"1")], &[("record/a", plain, b"1"), ("record/a", plain, b"1")]));
    tell(world.forged(&[("record/a", b"1"), ("record/b", b"1")], &[("record/a", plain, b"1")]));
    tell(world.forged(&[("record", b"1"), ("record/b", b"1")], &[]));
    tell(world.archive(&[("other.json", plain, b"{}")]));
    tell(world.archive(&[(INDEX, plain, b"{\"schema\": 99}")]));
    tell(world.archive(&[(INDEX, plain, b"no json")]));
    tell(world.archive(&[]));
    let huge = format!(
        "{{\"schema\":1,\"run\":\"x\",\"files\":{{\"a\":{{\"bytes\":{},\"blake3\":\"\"}}}}}}",
        u64::MAX
    );
    tell(world.archive(&[(INDEX, plain, huge.as_bytes())]));
    fs::write(world.path("text"), "hello").unwrap();
    tell(world.path("text"));
    insta::assert_snapshot!(told.join("\n\n"));
    assert!(!world.path("out").exists());
}

#[test]
fn a_bomb_is_not_unpacked_beyond_what_its_index_says() {
    let world = World::new();
    let bomb = vec![0_u8; 50 << 20];
    let bundle = world.forged(&[("record/a", b"1")], &[("record/a", EntryType::Regular, &bomb)]);
    let folder = tempfile::tempdir_in(world.root.path()).unwrap();
    let error = unpack(&bundle, folder.path()).unwrap_err();
    assert!(matches!(error, BundleError::Refused { .. }), "{error}");
    assert!(fs::metadata(folder.path().join("record/a")).unwrap().len() <= 2);
}

#[test]
fn a_bundle_that_cannot_be_written_leaves_nothing() {
    let world = World::new();
    let into = world.path("no/such/folder/a.tar.zst");
    let error = pack("r", &world.path("run"), &[], &into).unwrap_err();
    assert!(error.to_string().starts_with("cannot write"), "{error}");
}

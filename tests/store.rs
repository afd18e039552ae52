//! Tests of `store`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use saerun::error::{Code, Result};
use saerun::progress::Checkpoint;
use saerun::store::{self, Cache, FileCheckpoint, Key, Results, RowFile};
use serde_json::json;

fn key() -> Key {
    let inputs = vec![("activations".to_string(), "ab".repeat(32))];
    Key { function: "sae::train".into(), version: 1, options: json!({"lr": 3e-4, "d_sae": 64}), inputs }
}

fn fill(dir: &Path) -> Result<()> {
    store::write_atomic(&dir.join("a.bin"), &[7; 1000])?;
    store::write_atomic(&dir.join("b.json"), b"{}")
}

fn no_warning(message: &str) {
    panic!("unexpected warning: {message}");
}

/// Paths of everything below `dir`, hidden things included.
fn everything(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for item in fs::read_dir(dir).expect("the folder is there") {
        let path = item.expect("readable").path();
        if path.is_dir() {
            all.extend(everything(&path));
        }
        all.push(path);
    }
    all
}

#[test]
fn digests_depend_on_content_and_on_nothing_else() {
    let base = key().digest();
    let mut same = key();
    same.options = json!({"d_sae": 64.0, "lr": 0.0003});
    assert_eq!(base, same.digest(), "the order of options, and 64 for 64.0, do not matter");
    let changed: [fn(&mut Key); 5] = [
        |k| k.options["lr"] = json!(3.0000000000000003e-4),
        |k| k.version = 2,
        |k| k.function = "sae::load".into(),
        |k| k.inputs[0].1 = "ac".repeat(32),
        |k| k.inputs.clear(),
    ];
    for change in changed {
        let mut other = key();
        change(&mut other);
        assert_ne!(base, other.digest(), "{other:?}");
    }
    // Pinned: a change of the canonical form would throw every user's cache away.
    assert_eq!(
        store::canonical_json(&json!({"b": [1.5, -0.0, null, true], "a": {"d": "x\n", "c": 2.0}})),
        r#"{"a":{"c":2,"d":"x\n"},"b":[1.5,0,null,true]}"#
    );
}

#[test]
fn an_entry_comes_back_as_it_was_put() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().join("cache"), true);
    assert!(cache.get(&key(), &no_warning).is_none());
    let put = cache.put(&key(), &mut |dir| fill(dir)).expect("stored");
    let got = cache.get(&key(), &no_warning).expect("remembered");
    assert_eq!(put.digest(), got.digest());
    assert_eq!(put.files(), got.files());
    assert_eq!(got.files().keys().collect::<Vec<_>>(), ["a.bin", "b.json"]);
    assert_eq!(got.bytes(), 1002);
    assert_eq!(fs::read(got.verified("a.bin").expect("whole")).expect("readable"), [7; 1000]);
    assert_eq!(got.verified("c").expect_err("not there").code, Code::MissingFile);
    assert!(everything(root.path()).iter().all(|path| !path.to_string_lossy().contains(".tmp-")));
    assert!(cache.get(&Key { version: 2, ..key() }, &no_warning).is_none());

    // A cache that is switched off finds nothing and replaces what is there.
    let off = Cache::open(root.path().join("cache"), false);
    assert!(off.get(&key(), &no_warning).is_none());
    off.put(&key(), &mut |dir| store::write_atomic(&dir.join("a.bin"), b"new")).expect("replaced");
    let got = cache.get(&key(), &no_warning).expect("remembered");
    assert_ne!(put.digest(), got.digest());
}

#[test]
fn every_kind_of_damage_means_computing_again() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("truncated", |dir| fs::write(dir.join("a.bin"), [7; 999]).expect("written")),
        ("one bit", |dir| {
            let mut bytes = fs::read(dir.join("a.bin")).expect("readable");
            bytes[500] ^= 1;
            fs::write(dir.join("a.bin"), bytes).expect("written");
        }),
        ("no manifest", |dir| fs::remove_file(dir.join("manifest.json")).expect("removed")),
        ("empty manifest", |dir| fs::write(dir.join("manifest.json"), "").expect("written")),
        ("no file", |dir| fs::remove_file(dir.join("b.json")).expect("removed")),
        ("a file for a folder", |dir| {
            fs::remove_dir_all(dir).expect("removed");
            fs::write(dir, "").expect("written");
        }),
        ("another key's entry", |dir| {
            let text = fs::read_to_string(dir.join("manifest.json")).expect("readable");
            fs::write(dir.join("manifest.json"), text.replace("\"d_sae\": 64", "\"d_sae\": 65")).expect("written");
        }),
    ];
    for (what, damage) in damages {
        let root = tempfile::tempdir().expect("a temporary folder");
        let cache = Cache::open(root.path().to_path_buf(), true);
        let entry = cache.put(&key(), &mut |dir| fill(dir)).expect("stored");
        damage(entry.dir());
        let warnings = Mutex::new(Vec::new());
        let warn = |message: &str| warnings.lock().expect("not poisoned").push(message.to_string());
        assert!(cache.get(&key(), &warn).is_none(), "{what}");
        let warnings = warnings.into_inner().expect("not poisoned");
        assert_eq!(warnings.len(), 1, "{what}");
        assert!(warnings[0].contains("sae::train") && warnings[0].contains("damaged"), "{}", warnings[0]);
        assert!(!entry.dir().exists(), "{what}");
        assert!(cache.get(&key(), &no_warning).is_none(), "{what}: gone, so nothing to warn of");
        cache.put(&key(), &mut |dir| fill(dir)).expect("stored again");
        assert!(cache.get(&key(), &no_warning).is_some(), "{what}");
    }
}

#[test]
fn a_large_file_is_hashed_when_it_is_used() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().to_path_buf(), true);
    let bytes = (64 << 20) + 8;
    let entry = cache
        .put(&key(), &mut |dir| {
            let mut rows = RowFile::create(&dir.join("rows.bin"), bytes)?;
            rows.f32s_mut()[5] = 1.5;
            rows.bytes_mut()[bytes as usize - 1] = 9;
            rows.finish()
        })
        .expect("stored");
    let map = store::map_file(&entry.verified("rows.bin").expect("whole")).expect("mapped");
    assert_eq!(map.len() as u64, bytes);
    assert_eq!(f32::from_ne_bytes([map[20], map[21], map[22], map[23]]), 1.5);
    drop(map);
    use std::io::{Seek, SeekFrom, Write};
    let mut file = fs::OpenOptions::new().write(true).open(entry.dir().join("rows.bin")).expect("opened");
    file.seek(SeekFrom::Start(40 << 20)).expect("sought");
    file.write_all(&[1]).expect("written");
    let found = cache.get(&key(), &no_warning).expect("not read yet, so not found damaged yet");
    assert_eq!(found.verified("rows.bin").expect_err("damaged").code, Code::DamagedFile);
    assert!(cache.get(&key(), &no_warning).is_none(), "removed");
    assert_eq!(RowFile::create(&root.path().join("rows"), 1 << 60).expect_err("no such disk").code, Code::TooLarge);
    assert!(!root.path().join("rows").exists());
}

#[test]
fn a_row_file_goes_on_where_a_run_broke_off_and_belongs_to_one_process() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let (partial, home) = (root.path().join("partial.rows"), root.path().join("rows"));
    let open = |bytes| RowFile::resume(&partial, bytes).expect("a file");
    let mut first = open(8).expect("nobody else's");
    assert!(!first.resumed);
    first.bytes_mut()[..3].copy_from_slice(b"abc");
    first.sync().expect("synced");
    assert!(open(8).is_none(), "another process fills it");
    drop(first);
    let mut again = open(8).expect("nobody else's");
    assert!(again.resumed && &again.bytes_mut()[..3] == b"abc");
    drop(again);
    // Of another length, it is not what was asked for.
    let other = open(16).expect("nobody else's");
    assert!(!other.resumed);
    other.finish_as(&home).expect("renamed");
    assert!(home.exists() && !partial.exists());
}

#[test]
fn many_threads_may_put_the_same_entry() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().to_path_buf(), true);
    let digests = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let entry = cache.put(&key(), &mut |dir| fill(dir)).expect("stored");
                    let found = cache.get(&key(), &no_warning).expect("an entry is always there");
                    digests.lock().expect("not poisoned").extend([entry.digest().to_string(), found.digest().into()]);
                }
            });
        }
    });
    let mut digests = digests.into_inner().expect("not poisoned");
    digests.dedup();
    assert_eq!(digests.len(), 1);
    assert!(everything(root.path()).iter().all(|path| !path.to_string_lossy().contains(".tmp-")));
}

#[test]
fn a_failed_fill_leaves_nothing() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().to_path_buf(), true);
    let failed = cache.put(&key(), &mut |dir| {
        fill(dir)?;
        Err(saerun::error::Error::new(Code::Interrupted, "interrupted"))
    });
    assert_eq!(failed.expect_err("the fill's error").code, Code::Interrupted);
    assert!(everything(root.path()).iter().all(|path| path.is_dir()));
    assert!(cache.get(&key(), &no_warning).is_none());
}

#[test]
fn checkpoints_survive_and_damaged_ones_count_as_none() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().to_path_buf(), true);
    let mut checkpoint = cache.checkpoint(&key());
    assert!(checkpoint.keeps() && checkpoint.load().is_none());
    checkpoint.save(b"step 10").expect("saved");
    checkpoint.save(b"step 20").expect("saved");
    assert_eq!(cache.checkpoint(&key()).load().as_deref(), Some(b"step 20".as_slice()));
    assert!(Cache::open(root.path().to_path_buf(), false).checkpoint(&key()).load().is_none());
    cache.put(&key(), &mut |dir| fill(dir)).expect("stored");
    assert!(checkpoint.load().is_none(), "the result is there, the checkpoint is not needed");

    let path = root.path().join("state");
    let mut checkpoint = FileCheckpoint::new(path.clone(), true);
    checkpoint.save(b"state").expect("saved");
    let whole = fs::read(&path).expect("readable");
    for n in 0..whole.len() {
        fs::write(&path, &whole[..n]).expect("written");
        assert!(checkpoint.load().is_none(), "cut at {n}");
        let mut flipped = whole.clone();
        flipped[n] ^= 0x10;
        fs::write(&path, flipped).expect("written");
        assert!(checkpoint.load().is_none(), "flipped at {n}");
    }
}

#[test]
fn results_stay_in_their_folder() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let results = Results::new(root.path(), "peaks").expect("a plain stem");
    results.write("scores.csv", b"a\n1\n").expect("written");
    let path = results.dir().join("scores.csv");
    assert_eq!(path, root.path().join("results/peaks/scores.csv"));
    for taken in ["scores.csv", "Scores.CSV", "run.yaml", "Report.html"] {
        assert_eq!(results.write(taken, b"a\n2\n").expect_err(taken).code, Code::Failed, "{taken}");
    }
    assert_eq!(fs::read(path).expect("readable"), b"a\n1\n");
    let written = results.clone().written();
    assert_eq!(written["scores.csv"].bytes, 4);
    assert_eq!(written["scores.csv"].blake3, blake3::hash(b"a\n1\n").to_hex().to_string());
    for name in ["", ".", "..", "../x", "a/b", "a\\b", "/etc/x", ".hidden", "a\0b", "c:x"] {
        assert_eq!(results.write(name, b"").expect_err(name).code, Code::OutsideProject, "{name:?}");
    }
    // A later run removes what it did not write again, but for what somebody has changed.
    results.write("a.csv", b"a").expect("written");
    results.write("b.csv", b"b").expect("written");
    let earlier = results.written();
    let later = Results::new(root.path(), "peaks").expect("a plain stem");
    later.write("c.csv", b"c").expect("written");
    std::fs::write(later.dir().join("b.csv"), "mine").expect("changed by hand");
    later.commit(&earlier).expect("committed");
    let there = |name: &str| later.dir().join(name).exists();
    assert_eq!([there("a.csv"), there("b.csv"), there("c.csv")], [false, true, true]);
    assert!(Results::new(root.path(), "../peaks").is_err());
}

#[test]
fn folders_are_replaced_whole() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let dir = root.path().join("sae");
    let config = || "config.json".to_string();
    store::write_dir_atomic(&dir, &[(config(), vec![1]), ("model.safetensors".into(), vec![2])]).expect("written");
    store::write_dir_atomic(&dir, &[(config(), vec![3])]).expect("replaced");
    assert_eq!(everything(root.path()).len(), 2);
    assert_eq!(fs::read(dir.join("config.json")).expect("readable"), [3]);
    assert!(store::write_dir_atomic(&dir, &[("../d".into(), vec![])]).is_err());
    // A folder with something of its own would be lost.
    fs::write(dir.join("thesis.tex"), "").expect("written");
    let lost = store::write_dir_atomic(&dir, &[(config(), vec![4])]).expect_err("a thesis is in it");
    assert_eq!(lost.code, Code::WriteFailed);
    assert_eq!(fs::read(dir.join("config.json")).expect("readable"), [3]);
    let blocked = store::write_atomic(&dir.join("config.json").join("d"), b"").expect_err("a file is no folder");
    assert_eq!(blocked.code, Code::WriteFailed);
}

#[test]
fn cleaning_gives_the_room_back_and_touches_nothing_else() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(root.path().to_path_buf(), true);
    cache.put(&key(), &mut |dir| fill(dir)).expect("stored");
    cache.checkpoint(&Key { version: 2, ..key() }).save(b"state").expect("saved");
    fs::write(root.path().join("sae.train/mine.txt"), "mine").expect("written");
    let bytes = store::cache_bytes(root.path());
    assert!(bytes > 1002);
    assert_eq!(store::clean(root.path()).expect("cleaned"), bytes - 4);
    assert_eq!(store::cache_bytes(root.path()), 4);
    assert_eq!(store::clean(&root.path().join("nowhere")).expect("nothing to clean"), 0);
}

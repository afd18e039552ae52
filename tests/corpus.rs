//! Corpora: what is embedded, files, splits.

use std::fs;
use std::io::Write;

use saerun::corpus::{Corpus, SplitOptions, list};
use saerun::error::Code;

#[test]
fn embedded_corpora_are_what_the_list_says() {
    for embedded in list() {
        let corpus = Corpus::load(embedded.name).expect("an embedded corpus");
        assert_eq!(corpus.bytes(), embedded.bytes, "{}", embedded.name);
        assert!(corpus.documents().len() >= 249);
    }
}

#[test]
fn a_split_holds_out_whole_documents_and_loses_none() {
    let corpus = Corpus::new("c", (0..100).map(|i| format!("{i} {}", "word ".repeat(10 + i % 7))).collect());
    let split = |options: &SplitOptions| corpus.split(options).expect("two parts");
    let (train, test) = split(&SplitOptions { test_fraction: 0.2, seed: 3, ..SplitOptions::default() });
    assert!(test.bytes() * 5 >= corpus.bytes() && test.bytes() * 4 < corpus.bytes());
    let mut all: Vec<_> = train.documents().iter().chain(test.documents()).collect();
    all.sort();
    let mut expected: Vec<_> = corpus.documents().iter().collect();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(
        split(&SplitOptions { test_fraction: 0.2, seed: 3, ..SplitOptions::default() }).1.digest(),
        test.digest()
    );
    assert_ne!(
        split(&SplitOptions { test_fraction: 0.2, seed: 4, ..SplitOptions::default() }).1.digest(),
        test.digest()
    );

    let one = Corpus::new("one", vec!["first line\nsecond line\nthird line\n".into()]);
    let (train, test) =
        one.split(&SplitOptions { test_fraction: 0.3, seed: 0, ..SplitOptions::default() }).expect("two parts");
    assert_eq!(train.documents()[0], "first line\nsecond line\n");
    assert_eq!(test.documents()[0], "third line\n");
    for fraction in [0.0, 1.0, -1.0, f64::NAN] {
        let error = corpus
            .split(&SplitOptions { test_fraction: fraction, seed: 0, ..SplitOptions::default() })
            .expect_err("an error");
        assert_eq!(error.code, Code::OutOfRange);
    }
}

#[test]
fn files_are_read_by_their_ending() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
    let load = |name: &str| Corpus::load(&folder.path().join(name).to_string_lossy());
    write("a.txt", b"one\ntwo\n<|endoftext|>\nthree\n");
    assert_eq!(load("a.txt").expect("text").documents(), ["one\ntwo\n", "three\n"]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"packed").expect("gzip");
    write("b.txt.gz", &gz.finish().expect("gzip"));
    assert_eq!(load("b.txt.gz").expect("gzip").documents(), ["packed\n"]);
    write("c.jsonl", b"{\"text\": \"first\"}\n\n{\"text\": \"second\", \"id\": 2}\n");
    assert_eq!(load("c.jsonl").expect("JSON lines").documents(), ["first", "second"]);
    assert_eq!(load("").expect("a folder").documents().len(), 5, "files in the order of their names");

    write("bad.jsonl", b"{\"txt\": 1}\n");
    write("bad.txt", &[0xff, 0xfe]);
    write("bad.txt.gz", b"no gzip");
    write("d.pdf", b"x");
    let code = |name: &str| load(name).expect_err("an error").code;
    assert_eq!(code("bad.jsonl"), Code::DamagedFile);
    assert_eq!(code("bad.txt"), Code::DamagedFile);
    assert_eq!(code("bad.txt.gz"), Code::DamagedFile);
    assert_eq!(code("d.pdf"), Code::Unsupported);
    assert_eq!(code("none.txt"), Code::MissingFile);
    assert_eq!(
        Corpus::load("porse").expect_err("an error").help.as_deref(),
        Some("did you mean the embedded corpus `prose`?")
    );
}

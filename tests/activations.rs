//! Activations: the harvest against the model's own rows, the file, the shuffle.

use std::collections::BTreeSet;
use std::fs;

use saerun::activations::{Activations, Dtype, Harvest, HarvestOptions, SECTION};
use saerun::corpus::Corpus;
use saerun::error::{Code, Error, Result};
use saerun::model::{TargetModel, TrainOptions, train};
use saerun::progress::{NoCheckpoint, Silent};

fn corpus() -> Corpus {
    let line = "It was the best of times, it was the worst of times; ";
    Corpus::new("times", (0..30).map(|i| format!("{i} {}", line.repeat(4 + i % 5))).collect())
}

fn model() -> Result<TargetModel> {
    let options = TrainOptions {
        n_layers: 1,
        d_model: 8,
        n_heads: 2,
        d_mlp: 16,
        n_ctx: 8,
        d_vocab: 280,
        tokens: 320,
        batch_size: 32,
        ..TrainOptions::default()
    };
    train(&corpus(), &options, &mut NoCheckpoint, &Silent)
}

fn options(tokens: Option<usize>, dtype: Dtype) -> HarvestOptions {
    HarvestOptions { hook: "blocks.0.hook_mlp_out".into(), tokens, dtype, ..HarvestOptions::default() }
}

fn harvest(options: &HarvestOptions) -> Result<Vec<u8>> {
    let model = model()?;
    let harvest = Harvest::new(&model, &corpus(), options)?;
    let mut file = vec![0; harvest.file_bytes()];
    fill(&harvest, 0, &mut file)?;
    Ok(file)
}

fn fill(harvest: &Harvest, done: usize, file: &mut [u8]) -> Result<()> {
    let places = harvest.places();
    (done..harvest.parts()).try_for_each(|part| harvest.fill(part, &places, file, &Silent))
}

fn open(bytes: &[u8]) -> Result<Activations> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.safetensors");
    fs::write(&path, bytes).expect("a file");
    Activations::open(&path, None, Box::new(|| Ok(())))
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_harvest_holds_every_row_of_the_model_once() -> Result<()> {
    let rows = open(&harvest(&options(None, Dtype::F32))?)?;
    let model = model()?;
    let contexts = model.contexts(&corpus(), None, 0)?;
    let mut expected = Vec::new();
    model.rows_at(&contexts, "blocks.0.hook_mlp_out", &mut |values| {
        for context in values.chunks_exact(8 * 8) {
            expected.extend(context.chunks_exact(8).skip(1).map(bits));
        }
        Ok(())
    })?;
    let mut all = vec![0.0; rows.len() * 8];
    rows.read(0, &mut all)?;
    let given: Vec<Vec<u32>> = all.chunks_exact(8).map(bits).collect();
    assert_ne!(given, expected, "the rows are shuffled");
    assert_eq!(given.len(), expected.len());
    assert_eq!(given.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    assert_eq!((rows.hook(), rows.model(), rows.header().n_ctx), ("blocks.0.hook_mlp_out", "trained", 8));
    Ok(())
}

#[test]
fn a_harvest_in_parts_puts_each_row_in_its_place() -> Result<()> {
    let line = "it was the age of wisdom, it was the age of foolishness; ";
    let long = Corpus::new("long", (0..400).map(|i| format!("{i} {}", line.repeat(8))).collect());
    let model = model()?;
    let harvest = Harvest::new(&model, &long, &options(None, Dtype::F32))?;
    assert!(harvest.parts() > 1, "only {} part", harvest.parts());
    let mut file = vec![0; harvest.file_bytes()];
    // Whatever order they were done in, and however often.
    let places = harvest.places();
    (0..harvest.parts()).rev().chain([0]).try_for_each(|part| harvest.fill(part, &places, &mut file, &Silent))?;
    let rows = open(&file)?;
    let contexts = model.contexts(&long, None, 0)?;
    let mut all = vec![0.0; rows.len() * 8];
    rows.read(0, &mut all)?;
    let mut next = 0;
    model.rows_at(&contexts, "blocks.0.hook_mlp_out", &mut |values| {
        for context in values.chunks_exact(8 * 8) {
            for row in context.chunks_exact(8).skip(1) {
                let place = places[next] as usize;
                next += 1;
                assert_eq!(bits(row), bits(&all[place * 8..(place + 1) * 8]));
            }
        }
        Ok(())
    })?;
    assert_eq!(next, rows.len());
    Ok(())
}

#[test]
fn the_same_call_gives_the_same_bytes_and_halves_are_near() -> Result<()> {
    let full = harvest(&options(Some(50), Dtype::F32))?;
    assert_eq!(full, harvest(&options(Some(50), Dtype::F32))?);
    assert_ne!(full, harvest(&HarvestOptions { seed: 1, ..options(Some(50), Dtype::F32) })?);
    let (full, half) = (open(&full)?, open(&harvest(&options(Some(50), Dtype::F16))?)?);
    assert_eq!(full.len(), 50);
    let (mut a, mut b) = (vec![0.0; 50 * 8], vec![0.0; 50 * 8]);
    full.read(0, &mut a)?;
    half.read(0, &mut b)?;
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-3 * a.abs() + 1e-6));
    Ok(())
}

#[test]
fn rows_from_memory_survive_a_file() -> Result<()> {
    let a = Activations::from_rows((0..12).map(|x| x as f32).collect(), 3, "somewhere")?;
    assert_eq!(a.mean()?, [4.5, 5.5, 6.5]);
    let b = open(&a.to_bytes()?)?;
    assert_eq!((b.len(), b.d_in(), b.hook()), (4, 3, "somewhere"));
    assert_eq!(a.digest()?, b.digest()?);
    let sample = b.sample(4, 1)?;
    let rows: BTreeSet<Vec<u32>> = sample.chunks_exact(3).map(bits).collect();
    assert_eq!(rows.len(), 4, "a sample draws different rows");
    assert_eq!(b.sample(5, 1).err().map(|e| e.code), Some(Code::OutOfRange));
    assert_eq!(b.read(3, &mut [0.0; 6]).err().map(|e| e.code), Some(Code::OutOfRange));
    assert_eq!(Activations::from_rows(vec![f32::NAN], 1, "").err().map(|e| e.code), Some(Code::OutOfRange));
    assert_eq!(Activations::from_rows(vec![1.0; 5], 2, "").err().map(|e| e.code), Some(Code::ShapeMismatch));
    Ok(())
}

#[test]
fn damaged_files_and_failed_checks_are_errors() -> Result<()> {
    let bytes = Activations::from_rows(vec![1.0; 6], 2, "")?.to_bytes()?;
    for cut in [0, 4, 9, 40, bytes.len() - 1] {
        assert_eq!(open(&bytes[..cut]).err().map(|e| e.code), Some(Code::DamagedFile), "cut at {cut}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.safetensors");
    fs::write(&path, &bytes).expect("a file");
    let failing = Box::new(|| Err(Error::new(Code::DamagedFile, "the hash differs")));
    let a = Activations::open(&path, None, failing)?;
    assert_eq!(a.len(), 3, "the header can be seen before the check");
    assert_eq!(a.read(0, &mut [0.0; 2]).err().map(|e| e.code), Some(Code::DamagedFile));
    Ok(())
}

#[test]
fn impossible_harvests_are_refused() {
    let refused = |options: &HarvestOptions| harvest(options).expect_err("an error").code;
    assert_eq!(refused(&HarvestOptions::default()), Code::UnknownName);
    assert_eq!(refused(&options(Some(10_000_000), Dtype::F32)), Code::OutOfRange);
    assert_eq!(refused(&HarvestOptions { skip_first: 8, ..options(None, Dtype::F32) }), Code::OutOfRange);
}

/// A stream of one section is the stored harvest, and of several the same rows, wherever the reading begins.
#[test]
fn a_stream_is_the_harvest_without_the_file() -> Result<()> {
    for dtype in [Dtype::F32, Dtype::F16] {
        let stored = open(&harvest(&options(Some(300), dtype))?)?;
        let stream = Activations::stream(Harvest::new(&model()?, &corpus(), &options(Some(300), dtype))?)?;
        let (mut expected, mut found) = (vec![0.0; 300 * 8], vec![0.0; 300 * 8]);
        stored.read(0, &mut expected)?;
        stream.read(0, &mut found)?;
        assert_eq!(bits(&found), bits(&expected));
        assert_eq!(stream.sample(20, 3)?, stored.sample(20, 3)?);
        assert_ne!(stream.digest()?, stored.digest()?);
    }

    let line = "It was the age of wisdom, it was the age of foolishness; ";
    let long = Corpus::new("long", (0..3000).map(|i| format!("{i} {}", line.repeat(6))).collect());
    let tokens = 2 * SECTION + 1000;
    let stream = || Activations::stream(Harvest::new(&model()?, &long, &options(Some(tokens), Dtype::F32))?);
    let (whole, parts) = (stream()?, stream()?);
    let mut all = vec![0.0; tokens * 8];
    whole.read(0, &mut all)?;
    // Backwards, across the border of two sections, and again from the front.
    for (from, rows) in [(tokens - 10, 10), (SECTION - 50, 100), (0, 70)] {
        let mut some = vec![0.0; rows * 8];
        parts.read(from, &mut some)?;
        assert_eq!(bits(&some), bits(&all[from * 8..(from + rows) * 8]));
    }
    assert_eq!(whole.digest()?, parts.digest()?);
    let too_many = parts.sample(SECTION + 1, 0).expect_err("more than a section");
    assert_eq!(too_many.code, Code::OutOfRange);
    Ok(())
}

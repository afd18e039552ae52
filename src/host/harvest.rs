//! `m.activations`: harvested once, part by part, and remembered; an interrupted harvest goes on where it broke off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::activations::{Activations, Harvest, HarvestOptions, Store, origin};
use crate::corpus::Corpus;
use crate::error::Result;
use crate::host::remember::{key, resolved};
use crate::host::session::Session;
use crate::model::TargetModel;
use crate::store;

/// Version of what is remembered: raised when the same arguments would give another result.
const ACTIVATIONS_VERSION: u32 = 3;

/// How much work a crash may cost. Rows go to random places of the file, so each time the disk takes up most of it again.
const KEEP_EVERY: Duration = Duration::from_secs(120);

const ROWS: &str = "activations.safetensors";

/// Harvests, or takes what the same call harvested before. Its rows are hashed when they are first read.
pub(super) fn harvest(
    session: &Arc<Session>,
    model: &TargetModel,
    corpus: &Corpus,
    options: &HarvestOptions,
) -> Result<Activations> {
    model.hook_width(&options.hook)?;
    if options.store == Store::Stream {
        let stream = Activations::stream(Harvest::new(model, corpus, options)?)?;
        return Ok(stream.with_origin(origin::of_harvest(model, corpus, options)));
    }
    let inputs = [("model", model.digest()?), ("model name", model.name()), ("corpus", corpus.digest())];
    let key = key("m.activations", ACTIVATIONS_VERSION, resolved(options, &["store"]), &inputs);
    let partial = format!("{}.rows", key.digest());
    let entry = session.remember(key, &mut |folder, checkpoint| {
        let harvest = Harvest::new(model, corpus, options)?;
        let bytes = harvest.file_bytes() as u64;
        // Where another process harvests the same, the file and the checkpoint are its own.
        let shared = store::RowFile::resume(&folder.with_file_name(&partial), bytes)?;
        let ours = shared.is_some();
        let mut file = match shared {
            Some(file) => file,
            None => store::RowFile::create(&folder.join(&partial), bytes)?,
        };
        let resumed = checkpoint.load().filter(|_| file.resumed);
        let done = resumed.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes) as usize;
        let places = harvest.places();
        let (mut kept, mut since) = (done, Instant::now());
        for part in done..harvest.parts() {
            let filled = harvest.fill(part, &places, file.bytes_mut(), session.monitor());
            let whole = part + usize::from(filled.is_ok());
            if ours && whole > kept && (filled.is_err() || since.elapsed() > KEEP_EVERY) {
                file.sync()?;
                checkpoint.save(&(whole as u64).to_le_bytes())?;
                (kept, since) = (whole, Instant::now());
            }
            filled?;
        }
        file.finish_as(&folder.join(ROWS))
    })?;
    let checked = entry.clone();
    let check = Box::new(move || checked.verified(ROWS).map(|_| ()));
    // How the rows were made follows from the call. It stays out of the file, whose bytes name the rows in the locks of old runs.
    let rows = Activations::open(&entry.dir().join(ROWS), Some(entry.digest().to_string()), check)?;
    Ok(rows.with_origin(origin::of_harvest(model, corpus, options)))
}

//! `geometry::packing`, remembered. Part of the namespace `geometry`.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rhai::plugin::*;
use rhai::{Dynamic, INT, Map, Module, NativeCallContext, exported_module};

use crate::error::{Code, Error, Result};
use crate::geometry::{PackingOptions, PackingStep, packing};
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count};
use crate::host::remember::{self, key, resolved};
use crate::host::session::{Session, session};
use crate::host::tensor_file;
use crate::report::table::{Table, Value};
use crate::store;

/// Version of what is remembered: raised when the same arguments would give another result.
const VERSION: u32 = 1;

const VECTORS: &str = "vectors.safetensors";
/// All but the vectors.
const REST: &str = "packing.json";

/// The functions of this file.
pub fn module() -> Module {
    exported_module!(packings)
}

/// Packs, or takes what the same call packed before.
fn pack(session: &Arc<Session>, n: usize, d: usize, options: &PackingOptions) -> Result<Map> {
    let mut all = resolved(options, &[]);
    (all["n"], all["d"]) = (n.into(), d.into());
    let entry = session.remember(key("geometry::packing", VERSION, all, &[]), &mut |folder, _| {
        let found = packing(n, d, options, session.monitor())?;
        let rest = remember::to_value(&(&found.history, found.mean_max_cos, found.max_max_cos))?.to_string();
        let vectors = Tensor::from_vec(found.vectors, (n, d), &Device::Cpu)?;
        tensor_file::write(&folder.join(VECTORS), VECTORS, "vectors", &vectors)?;
        store::write_atomic(&folder.join(REST), rest.as_bytes())
    })?;
    let damaged = |why: String| Error::new(Code::DamagedFile, "a cached packing is damaged").fact("reason", why);
    let rest = std::fs::read(entry.verified(REST)?).map_err(|e| damaged(e.to_string()))?;
    let (history, mean_max_cos, max_max_cos): (Vec<PackingStep>, f64, f64) =
        serde_json::from_slice(&rest).map_err(|e| damaged(e.to_string()))?;
    let vectors = tensor_file::read(&entry.verified(VECTORS)?, VECTORS, None)?;
    Ok(Map::from([
        ("vectors".into(), Dynamic::from(vectors)),
        ("history".into(), Dynamic::from(to_table(&history)?)),
        ("mean_max_cos".into(), mean_max_cos.into()),
        ("max_max_cos".into(), max_max_cos.into()),
    ]))
}

fn to_table(history: &[PackingStep]) -> Result<Table> {
    let columns = ["step", "mean_max_cos", "max_max_cos", "width", "neighbors"].map(String::from).to_vec();
    let row = |s: &PackingStep| {
        let floats = [s.mean_max_cos, s.max_max_cos, s.width, s.neighbors].map(Value::Float);
        std::iter::once(Value::Int(s.step as INT)).chain(floats).collect()
    };
    Table::from_rows(columns, history.iter().map(row).collect())
}

/// The functions that pack.
#[export_module]
pub mod packings {
    #[rhai_fn(return_raw)]
    pub fn packing(ctx: NativeCallContext, n: INT, d: INT) -> Raised<Map> {
        packing_with(ctx, n, d, Map::new())
    }

    /// Spreads n unit vectors in d dimensions as far from their nearest neighbors as gradient descent can. Remembered by its arguments.
    ///
    /// From random directions, pairs whose cosine comes near the mean nearest-neighbor cosine push each other apart; how near
    /// shrinks from wide to almost touching over the run. So this is the floor for a penalty on these cosines when nothing else holds the rows.
    ///
    /// * `n`: how many vectors, 2 or more.
    /// * `d`: the dimension, 2 or more.
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` to spread lines; `steps`: 1000, more come closer; `seed`: 0, of the start;
    ///   `objective`: `"hinge"` (default), the sum over pairs of max(0, c - nu + g)^2 with nu the least mean nearest-neighbor cosine so far and g the width, or
    ///   `"log_sum_exp"`, a smooth maximum of temperature g.
    ///
    /// Returns a map: `vectors` (Tensor [n, d] of unit rows), `mean_max_cos` (mean cosine to the nearest, as `sign` counts it), `max_max_cos`
    /// (the largest of a pair), `history` (Table: `step`, `mean_max_cos`, `max_max_cos`, `width` g, `neighbors` that push a vector on average).
    /// Errors: `out-of-range` for smaller numbers and more than ten million steps, `too-large` before the work starts, `unknown-name` for another objective.
    ///
    /// ```rhai
    /// let p = geometry::packing(12, 4, #{ steps: 200 });
    /// assert_eq(p.vectors.shape, [12, 4]);
    /// assert(p.mean_max_cos < geometry::random_null(12, 4).mean);
    /// assert(p.max_max_cos > geometry::levenshtein_bound(12, 4));
    /// ```
    #[rhai_fn(name = "packing", return_raw)]
    pub fn packing_with(ctx: NativeCallContext, n: INT, d: INT, options: Map) -> Raised<Map> {
        let options = Options::new("geometry::packing", options).read().at(&ctx)?;
        let (n, d) = (count(n, "n").at(&ctx)?, count(d, "d").at(&ctx)?);
        pack(&session(&ctx), n, d, &options).at(&ctx)
    }
}

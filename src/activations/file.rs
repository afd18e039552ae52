//! The file of activations: safetensors with one tensor `activations`, so that other tools read it too.

use std::fs::File;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;
use safetensors::tensor::{Dtype as Stored, Metadata, SafeTensors, TensorInfo};
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::error::{Code, Error, Result};

/// How values are stored. They are read and trained on as f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 4 bytes, exact.
    #[default]
    F32,
    /// 2 bytes, rounded to 11 significant bits.
    F16,
}

impl Dtype {
    /// Bytes a value.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
        }
    }

    /// Stores `values` into `bytes`.
    pub fn encode(self, values: &[f32], bytes: &mut [u8]) {
        match self {
            Dtype::F32 => {
                bytes.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(b, x)| *b = x.to_le_bytes());
            }
            Dtype::F16 => {
                let halves: Vec<half::f16> = values.iter().map(|&x| half::f16::from_f32(x)).collect();
                bytes.as_chunks_mut::<2>().0.iter_mut().zip(&halves).for_each(|(b, x)| *b = x.to_le_bytes());
            }
        }
    }

    /// Reads `bytes` into `values`.
    pub fn decode(self, bytes: &[u8], values: &mut [f32]) {
        const CHUNK: usize = 1 << 16;
        match self {
            Dtype::F32 => {
                let parts = values.par_chunks_mut(CHUNK).zip(bytes.par_chunks(4 * CHUNK));
                parts.for_each(|(values, bytes)| {
                    let stored = bytes.as_chunks::<4>().0;
                    values.iter_mut().zip(stored).for_each(|(x, b)| *x = f32::from_le_bytes(*b));
                });
            }
            Dtype::F16 => {
                let parts = values.par_chunks_mut(CHUNK).zip(bytes.par_chunks(2 * CHUNK));
                parts.for_each(|(values, bytes)| {
                    let stored: Vec<half::f16> =
                        bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b)).collect();
                    stored.convert_to_f32_slice(values);
                });
            }
        }
    }
}

/// What is known of activations without reading them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// How many rows.
    pub rows: usize,
    /// How long a row is.
    pub d_in: usize,
    /// How values are stored.
    pub dtype: Dtype,
    /// The hook; empty when unknown.
    pub hook: String,
    /// The target model's name; empty when unknown.
    pub model: String,
    /// Positions a context of the target model; 0 when unknown.
    pub n_ctx: usize,
    /// What else is known of how they were made; empty when nothing is.
    #[serde(default)]
    pub origin: Origin,
}

impl Header {
    /// Bytes of the rows.
    pub fn data_bytes(&self) -> usize {
        self.rows * self.d_in * self.dtype.size()
    }

    /// The beginning of the file: the header's length and the header, padded to 8 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let dtype = match self.dtype {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
        };
        let mut facts = serde_json::json!({ "hook": self.hook, "model": self.model, "n_ctx": self.n_ctx.to_string() });
        if !self.origin.is_empty() {
            // Metadata of safetensors is text.
            facts["origin"] = serde_json::to_string(&self.origin).unwrap_or_default().into();
        }
        let json = serde_json::json!({
            "__metadata__": facts,
            "activations": { "dtype": dtype, "shape": [self.rows, self.d_in], "data_offsets": [0, self.data_bytes()] },
        });
        let mut text = json.to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        [&(text.len() as u64).to_le_bytes(), text.as_slice()].concat()
    }
}

/// Maps the file: its header, where its rows begin, and its bytes.
pub(super) fn map(path: &Path) -> Result<(Header, usize, memmap2::Mmap)> {
    let damaged = |why: String| {
        Error::new(Code::DamagedFile, format!("`{}` holds no activations", path.display())).fact("reason", why)
    };
    let file = File::open(path).map_err(|e| {
        Error::new(Code::MissingFile, format!("no activations at `{}`", path.display()))
            .fact("reason", e.to_string().to_lowercase())
    })?;
    // SAFETY: the map is read-only, and saerun replaces its files by rename, never in place. Another program that truncates
    // the file while it is mapped would stop this one.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| damaged(e.to_string()))?;
    let (length, metadata): (usize, Metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let info: &TensorInfo = metadata.info("activations").ok_or_else(|| damaged("no tensor `activations`".into()))?;
    let dtype = match info.dtype {
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        other => return Err(damaged(format!("values are {other:?}, not F32 or F16"))),
    };
    let &[rows, d_in] = info.shape.as_slice() else { return Err(damaged(format!("shape {:?}", info.shape))) };
    if rows == 0 || d_in == 0 {
        return Err(damaged("no rows".into()));
    }
    let facts = metadata.metadata().as_ref();
    let fact = |name: &str| facts.and_then(|f| f.get(name)).cloned().unwrap_or_default();
    let n_ctx = fact("n_ctx").parse().unwrap_or(0);
    let origin = serde_json::from_str(&fact("origin")).unwrap_or_default();
    let header = Header { rows, d_in, dtype, hook: fact("hook"), model: fact("model"), n_ctx, origin };
    Ok((header, 8 + length + info.data_offsets.0, bytes))
}

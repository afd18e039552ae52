//! The file of activations: safetensors with one tensor `activations`, so that other tools read it too.

use std::collections::BTreeMap;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;
use safetensors::tensor::{Metadata, SafeTensors, TensorInfo};
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::error::{Code, Error, Result};
use crate::ops::element::Element;
use crate::{input, memory, npy};

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

/// A file that is mapped: its bytes, what they are, and where the rows begin.
pub(super) struct Mapped {
    pub header: Header,
    /// How values are stored, which other tools do in more ways than saerun.
    pub element: Element,
    pub offset: usize,
    pub bytes: memmap2::Mmap,
}

impl Mapped {
    /// Reads the values from number `from` on.
    pub fn read(&self, from: usize, out: &mut [f32]) {
        let size = self.element.size();
        let begin = self.offset + from * size;
        let stored = &self.bytes[begin..begin + out.len() * size];
        match self.element {
            Element::F32 => Dtype::F32.decode(stored, out),
            Element::F16 => Dtype::F16.decode(stored, out),
            other => out.copy_from_slice(&other.to_f32(stored)),
        }
    }
}

/// Maps a file: safetensors with a tensor `activations` (or one tensor alone), or `.npy`.
pub(super) fn map(path: &Path) -> Result<Mapped> {
    let damaged = |why: String| {
        Error::new(Code::DamagedFile, format!("`{}` holds no activations", path.display())).fact("reason", why)
    };
    let bytes = bytes(path)?;
    let (element, shape, offset, facts) =
        if bytes.starts_with(b"\x93NUMPY") { numpy(&bytes) } else { tensors(&bytes) }.map_err(damaged)?;
    let &[rows, d_in] = shape.as_slice() else {
        return Err(damaged(format!("shape {shape:?}, not rows of one length")));
    };
    if rows == 0 || d_in == 0 {
        return Err(damaged("no rows".into()));
    }
    let fact = |name: &str| facts.get(name).cloned().unwrap_or_default();
    let dtype = if element == Element::F16 { Dtype::F16 } else { Dtype::F32 };
    let n_ctx = fact("n_ctx").parse().unwrap_or(0);
    let origin = serde_json::from_str(&fact("origin")).unwrap_or_default();
    let header = Header { rows, d_in, dtype, hook: fact("hook"), model: fact("model"), n_ctx, origin };
    Ok(Mapped { header, element, offset, bytes })
}

fn bytes(path: &Path) -> Result<memmap2::Mmap> {
    let file = input::open(path).map_err(|error| match error.code {
        Code::MissingFile => Error { message: format!("no activations at `{}`", path.display()), ..error },
        _ => error,
    })?;
    // SAFETY: the map is read-only, and saerun replaces its files by rename, never in place. Another program that truncates
    // the file while it is mapped would stop this one.
    unsafe { memmap2::Mmap::map(&file) }.map_err(|error| {
        Error::new(Code::DamagedFile, format!("`{}` cannot be mapped", path.display())).fact("reason", error)
    })
}

/// Whether a file is one that saerun wrote.
pub(super) fn is_saved(path: &Path) -> bool {
    let metadata = bytes(path).ok().and_then(|bytes| SafeTensors::read_metadata(&bytes).ok());
    metadata.is_some_and(|(_, metadata)| metadata.info("activations").is_some())
}

/// How values are stored, the shape, where the values begin, and what the file says of itself.
type Found = (Element, Vec<usize>, usize, BTreeMap<String, String>);

fn numpy(bytes: &[u8]) -> std::result::Result<Found, String> {
    let (header, offset) = npy::header(bytes)?;
    if header.big_endian || header.column_major {
        return Err(TURNED.to_string());
    }
    Ok((floating(header.element)?, header.shape, offset, BTreeMap::new()))
}

/// Why a file is read into memory in place of being mapped.
const TURNED: &str = "its values stand in another order";

/// The rows of an `.npy` file whose values stand in another order than saerun's; `None` for any other file.
///
/// # Errors
/// `too-large`; `damaged-file` for another number of dimensions.
pub(super) fn turned(path: &Path) -> Result<Option<(Vec<f32>, usize)>> {
    let bytes = bytes(path)?;
    let Ok((header, _)) = npy::header(&bytes) else { return Ok(None) };
    if !header.big_endian && !header.column_major {
        return Ok(None);
    }
    let damaged = |why: String| {
        Error::new(Code::DamagedFile, format!("`{}` holds no activations", path.display())).fact("reason", why)
    };
    floating(header.element).map_err(damaged)?;
    let &[rows, d_in] = header.shape.as_slice() else {
        return Err(damaged(format!("shape {:?}, not rows of one length", header.shape)));
    };
    // The values, their places, and the values in order.
    memory::check(
        "activations in another order",
        20 * rows as u64 * d_in as u64,
        "save them row by row, little-endian",
    )?;
    let (_, values) = npy::read(&bytes).map_err(damaged)?;
    Ok(Some((values, d_in)))
}

fn floating(element: Element) -> std::result::Result<Element, String> {
    match element {
        Element::F32 | Element::F16 | Element::BF16 | Element::F64 => Ok(element),
        other => Err(format!("values are {other:?}, not F32, F16, BF16 or F64")),
    }
}

fn tensors(bytes: &[u8]) -> std::result::Result<Found, String> {
    let (length, metadata): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let mut tensors = metadata.tensors().into_iter();
    let info: TensorInfo = match (metadata.info("activations"), tensors.next(), tensors.next()) {
        (Some(info), ..) => info.clone(),
        (None, Some((_, info)), None) => info.clone(),
        _ => return Err("no tensor `activations`".to_string()),
    };
    let element = Element::of_safetensors(info.dtype).ok_or_else(|| format!("values are {:?}", info.dtype))?;
    let facts = metadata.metadata().iter().flatten().map(|(name, fact)| (name.clone(), fact.clone())).collect();
    Ok((floating(element)?, info.shape.clone(), 8 + length + info.data_offsets.0, facts))
}

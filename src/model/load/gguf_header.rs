//! Whether the beginning of a `.gguf` file is one, looked at before candle reads it: candle divides by the alignment that a file asks
//! for, and makes lists as long as it is told to.

/// The keys and values of the metadata end early.
const SHORT: &str = "it ends early";

/// Arrays inside arrays, at most.
const DEPTH: usize = 8;

/// Dimensions of a tensor, at most.
const DIMENSIONS: u32 = 4;

/// How many values the metadata hold.
///
/// # Errors
/// The reason why the bytes are no such file.
pub(super) fn check(bytes: &[u8]) -> Result<u64, String> {
    let mut file = Walk { bytes, at: 0, wide: true, values: 0 };
    if !matches!(file.take(4)?, b"GGUF" | b"FUGG") {
        return Err("it does not begin as a .gguf file does".to_string());
    }
    let version = file.number(4)?;
    if !(1..=3).contains(&version) {
        return Err(format!("version {version} of .gguf is not known"));
    }
    file.wide = version > 1;
    let (tensors, pairs) = (file.length()?, file.length()?);
    // A pair is a key, a kind and a value; a tensor a name, its dimensions, a kind and a place.
    let least = pairs.saturating_mul(13).saturating_add(tensors.saturating_mul(24));
    if least > 2 * bytes.len() as u64 {
        return Err(format!(
            "it claims {tensors} tensors and {pairs} facts, more than its {} bytes can hold",
            bytes.len()
        ));
    }
    for _ in 0..pairs {
        file.pair()?;
    }
    for _ in 0..tensors {
        file.tensor()?;
    }
    Ok(file.values)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether lengths have 8 bytes; in version 1 they have 4.
    wide: bool,
    values: u64,
}

impl<'a> Walk<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], String> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n)).ok_or(SHORT)?;
        let part = self.bytes.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(part)
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&mut self, width: u64) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn length(&mut self) -> Result<u64, String> {
        self.number(if self.wide { 8 } else { 4 })
    }

    fn text(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length).map_err(|_| format!("a text of {length} bytes, more than are left"))
    }

    fn pair(&mut self) -> Result<(), String> {
        let key = String::from_utf8_lossy(self.text()?).trim_end_matches('\0').to_string();
        let kind = self.number(4)?;
        let begin = self.at;
        self.value(kind, 0).map_err(|reason| format!("`{key}`: {reason}"))?;
        if key == "general.alignment" {
            let value = self.bytes[begin..self.at].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            let whole = matches!(kind, 0..=5 | 10 | 11);
            if !whole || !value.is_power_of_two() || value > 1 << 20 {
                return Err(format!("`{key}` is {value}, not a power of two"));
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: u64, depth: usize) -> Result<(), String> {
        self.values += 1;
        match kind {
            8 => drop(self.text()?),
            9 if depth >= DEPTH => return Err("lists inside lists, too deep".to_string()),
            9 => self.list(depth)?,
            other => drop(self.take(size(other).ok_or_else(|| format!("a value of the unknown kind {other}"))?)?),
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), String> {
        let (kind, length) = (self.number(4)?, self.length()?);
        if let Some(each) = size(kind) {
            self.values = self.values.saturating_add(length);
            let bytes = length.checked_mul(each).ok_or(SHORT)?;
            self.take(bytes).map_err(|_| format!("a list of {length} values, more than are left"))?;
            return Ok(());
        }
        for _ in 0..length {
            self.value(kind, depth + 1)?;
        }
        Ok(())
    }

    fn tensor(&mut self) -> Result<(), String> {
        let name = String::from_utf8_lossy(self.text()?).into_owned();
        let dimensions = self.number(4)? as u32;
        if dimensions > DIMENSIONS {
            return Err(format!("`{name}` has {dimensions} dimensions"));
        }
        for _ in 0..dimensions {
            if self.length()? == 0 {
                return Err(format!("`{name}` has a dimension of length 0"));
            }
        }
        self.values += 1;
        self.take(12).map(|_| ())
    }
}

/// Bytes of a value of a fixed size.
fn size(kind: u64) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

//! The entries of a zip archive that stores them uncompressed, as torch does: slices of the file, so nothing can grow.

/// Most entries that are looked at.
const MAX_ENTRIES: usize = 1 << 20;

/// Names and contents, in the order of the directory. The checksums are not looked at: torch neither checks nor always writes them.
///
/// # Errors
/// The reason why the bytes are no such archive.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<(String, &[u8])>, String> {
    let (count, mut at) = directory(bytes).ok_or("the directory of the archive is missing")?;
    if count > MAX_ENTRIES {
        return Err(format!("the archive claims {count} entries"));
    }
    let mut found = Vec::new();
    for i in 0..count {
        let (entry, next) = entry(bytes, at).ok_or_else(|| format!("entry {i} of the archive is broken"))??;
        found.push(entry);
        at = next;
    }
    Ok(found)
}

/// Number of entries and where the directory begins: from the record at the end, or its 64-bit twin where that one is full.
fn directory(bytes: &[u8]) -> Option<(usize, usize)> {
    let from = bytes.len().saturating_sub(22 + 0xffff);
    let end = (from..bytes.len().checked_sub(21)?).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    let (count, start) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    if count != 0xffff && start != 0xffff_ffff {
        return Some((count, start));
    }
    let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"))?;
    let wide = number(bytes, locator + 8, 8)?;
    bytes.get(wide..)?.starts_with(b"PK\x06\x06").then_some(())?;
    Some((number(bytes, wide.checked_add(32)?, 8)?, number(bytes, wide.checked_add(48)?, 8)?))
}

/// The entry whose directory record is at `at`, and where the next record is.
#[expect(clippy::type_complexity, reason = "broken outside, unsupported inside")]
fn entry(bytes: &[u8], at: usize) -> Option<Result<((String, &[u8]), usize), String>> {
    let field = |offset: usize, width: usize| number(bytes, at.checked_add(offset)?, width);
    bytes.get(at..)?.starts_with(b"PK\x01\x02").then_some(())?;
    let (method, mut packed, mut size) = (field(10, 2)?, field(20, 4)?, field(24, 4)?);
    let (name_length, extra_length, comment_length) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
    let mut offset = field(42, 4)?;
    let name_end = at + 46 + name_length;
    let name = String::from_utf8_lossy(bytes.get(at + 46..name_end)?).into_owned();
    let extra = bytes.get(name_end..name_end + extra_length)?;
    // What does not fit 32 bits stands in the extra field, in this order.
    let mut wide = wide_fields(extra).into_iter();
    for value in [&mut size, &mut packed, &mut offset] {
        if *value == 0xffff_ffff {
            *value = wide.next()?;
        }
    }
    if method != 0 || packed != size {
        return Some(Err(format!("entry `{name}` of the archive is compressed")));
    }
    bytes.get(offset..)?.starts_with(b"PK\x03\x04").then_some(())?;
    let begin = offset + 30 + number(bytes, offset.checked_add(26)?, 2)? + number(bytes, offset.checked_add(28)?, 2)?;
    let content = bytes.get(begin..begin.checked_add(size)?)?;
    Some(Ok(((name, content), name_end + extra_length + comment_length)))
}

/// The 64-bit numbers of the extra field with tag 1.
fn wide_fields(mut extra: &[u8]) -> Vec<usize> {
    while let (Some(tag), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(body) = extra.get(4..4 + length) else { break };
        if tag == 1 {
            return (0..length / 8).filter_map(|i| number(body, 8 * i, 8)).collect();
        }
        extra = &extra[4 + length..];
    }
    Vec::new()
}

/// The little-endian number of `width` bytes at `at`.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    let value = bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

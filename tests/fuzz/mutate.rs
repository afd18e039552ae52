//! Files made worse: by bits, bytes and spans, and by what hurts a parser: lengths, numbers and nesting.

use saerun::rng::Rng;

const LENGTHS: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX - 7, u64::MAX];

const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "-1e400",
    "0.1",
    "1000000007",
];

const WORDS: [&str; 16] =
    ["[", "{", "(", "\"", "'", "}", "]", ",", ":", "\n", "null", "true", "nan", "\\u0000", "&a *a", "\u{feff}"];

/// One of the files, made worse a few times.
pub fn mutated(files: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = files[rng.below(files.len())].clone();
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            bytes.push(rng.bits() as u8);
        }
        // Where a format says what it holds is mostly at its beginning or its end.
        let end = [bytes.len(), bytes.len().min(256), bytes.len()][rng.below(3)];
        let from = if rng.below(6) == 0 { bytes.len().saturating_sub(64) } else { 0 };
        let at = from.max(rng.below(end)).min(bytes.len() - 1);
        change(&mut bytes, at, files, rng);
    }
    bytes.truncate(1 << 20);
    bytes
}

fn change(bytes: &mut Vec<u8>, at: usize, files: &[Vec<u8>], rng: &mut Rng) {
    let longest = 1 << rng.below(9);
    let span = at..(at + 1 + rng.below(longest)).min(bytes.len());
    // What makes a file long is drawn less often than the rest.
    let kind = rng.below(13);
    match if matches!(kind, 5 | 11) && rng.below(5) > 0 { rng.below(5) } else { kind } {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, rng.bits() as u8][rng.below(6)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(span)),
        4 => {
            let copy = bytes[span.clone()].to_vec();
            bytes.splice(at..at, copy.repeat(1 + rng.below(3)));
        }
        5 => {
            let copy = bytes[span].to_vec();
            bytes.splice(at..at, copy.repeat(1 + rng.below(400)).into_iter().take(1 << 16));
        }
        6 | 7 => {
            let value =
                LENGTHS[rng.below(LENGTHS.len())].wrapping_add(rng.below(3) as u64).wrapping_sub(1).to_le_bytes();
            let width = (1 << rng.below(4)).min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
        8 | 9 => number(bytes, at, rng),
        10 => {
            let word = WORDS[rng.below(WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        11 => {
            let open = ["[", "{", "(", "{\"a\":", "- ", "!", "if true {", "[[", "\"${"][rng.below(9)];
            bytes.splice(at..at, open.repeat(1 << rng.below(15)).into_bytes());
        }
        _ => {
            let other = &files[rng.below(files.len())];
            let from = rng.below(other.len().max(1));
            let part = other.get(from..).unwrap_or_default().iter().copied().take(1 + rng.below(200));
            bytes.splice(span, part.collect::<Vec<u8>>());
        }
    }
}

/// Replaces the decimal number at or after a place.
fn number(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let Some(from) = (at..bytes.len()).find(|i| bytes[*i].is_ascii_digit()) else { return };
    let to = (from..bytes.len()).find(|i| !bytes[*i].is_ascii_digit()).unwrap_or(bytes.len());
    bytes.splice(from..to, NUMBERS[rng.below(NUMBERS.len())].bytes());
}

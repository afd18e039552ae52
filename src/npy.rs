//! NumPy's `.npy`: read in versions 1 to 3, of floats, ints and bools in either byte order and both orders of dimensions; written as f32.

use crate::ops::element::Element;

/// Shape and row-major values as f32.
///
/// # Errors
/// The reason why the bytes are no such array.
pub(crate) fn read(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    let (header, offset) = header(bytes)?;
    let data = &bytes[offset..];
    let count: usize = header.shape.iter().product();
    let size = header.element.size();
    let values = if header.big_endian {
        let little: Vec<u8> = data.chunks_exact(size).flat_map(|number| number.iter().rev().copied()).collect();
        header.element.to_f32(&little)
    } else {
        header.element.to_f32(data)
    };
    let values = if header.column_major && count > 0 { row_major(&values, &header.shape) } else { values };
    Ok((header.shape, values))
}

/// What the array is, and where its values begin; they fill the rest.
///
/// # Errors
/// The reason why the bytes are no such array.
pub(crate) fn header(bytes: &[u8]) -> Result<(Header, usize), String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("it does not begin as an .npy file does")?;
    let (version, rest) = rest.split_at_checked(2).ok_or(SHORT)?;
    let (length, rest) = match version[0] {
        1 => rest.split_at_checked(2),
        2 | 3 => rest.split_at_checked(4),
        other => return Err(format!("version {other} of .npy is not known")),
    }
    .ok_or(SHORT)?;
    let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (header, data) = rest.split_at_checked(length).ok_or(SHORT)?;
    let header = Header::parse(std::str::from_utf8(header).map_err(|_| "its header is no text")?)?;
    let count = header.shape.iter().try_fold(1usize, |count, n| count.checked_mul(*n)).ok_or(SHORT)?;
    if count.checked_mul(header.element.size()) != Some(data.len()) {
        return Err(format!("its shape {:?} does not fit its {} bytes", header.shape, data.len()));
    }
    Ok((header, bytes.len() - data.len()))
}

/// NumPy's format 1.0: magic, header padded to 64 bytes, then the values.
pub(crate) fn write(dims: &[usize], values: &[u8]) -> Vec<u8> {
    let shape: String = dims.iter().map(|d| format!("{d}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let padding = 63 - (10 + header.len()) % 64;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((header.len() + padding + 1) as u16).to_le_bytes());
    bytes.extend(header.bytes().chain(std::iter::repeat_n(b' ', padding)).chain([b'\n']));
    bytes.extend(values);
    bytes
}

const SHORT: &str = "it ends early";

/// What an array is.
pub(crate) struct Header {
    /// The type of its numbers.
    pub element: Element,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// Whether the first index moves fastest.
    pub column_major: bool,
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
}

impl Header {
    /// A Python dict such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Result<Header, String> {
        let after = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}'")).ok_or_else(|| format!("its header has no `{key}`"))?;
            rest.trim_start().strip_prefix(':').map(str::trim_start).ok_or_else(|| format!("its `{key}` has no value"))
        };
        let descr = after("descr")?;
        let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(name, _)| name);
        let descr = descr.ok_or("it holds records, not numbers")?;
        let (order, name) = descr.split_at_checked(1).ok_or("its type has no name")?;
        let element = match name {
            "f2" => Element::F16,
            "f4" => Element::F32,
            "f8" => Element::F64,
            "i1" => Element::I8,
            "i2" => Element::I16,
            "i4" => Element::I32,
            "i8" => Element::I64,
            "b1" | "u1" => Element::U8,
            "u2" => Element::U16,
            "u4" => Element::U32,
            "u8" => Element::U64,
            _ => return Err(format!("its type `{descr}` is not one of f2, f4, f8, i1 to i8, u1 to u8, b1")),
        };
        let order_of_dimensions = after("fortran_order")?;
        let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(shape, _)| shape);
        let lengths = shape.ok_or("its shape is no tuple")?.split(',').map(str::trim).filter(|n| !n.is_empty());
        Ok(Header {
            element,
            big_endian: match order {
                "<" | "|" | "=" => false,
                ">" => true,
                _ => return Err(format!("its type `{descr}` has no byte order")),
            },
            column_major: match order_of_dimensions {
                rest if rest.starts_with("True") => true,
                rest if rest.starts_with("False") => false,
                _ => return Err("its `fortran_order` is neither True nor False".to_string()),
            },
            shape: lengths
                .map(|n| n.parse().map_err(|_| format!("its shape holds `{n}`")))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The first index moves fastest in `values`, the last one in what is returned.
fn row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut places = vec![0usize];
    let mut stride = 1;
    for n in shape {
        places = places.iter().flat_map(|place| (0..*n).map(move |i| place + i * stride)).collect();
        stride *= n;
    }
    places.into_iter().map(|place| values[place]).collect()
}

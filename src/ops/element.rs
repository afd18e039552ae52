//! Numbers as files hold them, to f32.

/// The type of a number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// 8 bits, unsigned; bools too.
    U8,
    /// 16 bits, unsigned.
    U16,
    /// 32 bits, unsigned.
    U32,
    /// 64 bits, unsigned.
    U64,
}

impl Element {
    /// Bytes a number.
    pub fn size(self) -> usize {
        match self {
            Element::I8 | Element::U8 => 1,
            Element::F16 | Element::BF16 | Element::I16 | Element::U16 => 2,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F64 | Element::I64 | Element::U64 => 8,
        }
    }

    /// Little-endian numbers to the nearest f32; bytes that fill no number are left out.
    pub fn to_f32(self, bytes: &[u8]) -> Vec<f32> {
        macro_rules! each {
            ($type:ty, $n:literal, $to:expr) => {
                bytes.as_chunks::<$n>().0.iter().map(|x| $to(<$type>::from_le_bytes(*x))).collect()
            };
        }
        match self {
            Element::F16 => each!(half::f16, 2, half::f16::to_f32),
            Element::BF16 => each!(half::bf16, 2, half::bf16::to_f32),
            Element::F32 => each!(f32, 4, |x| x),
            Element::F64 => each!(f64, 8, |x| x as f32),
            Element::I8 => each!(i8, 1, f32::from),
            Element::I16 => each!(i16, 2, f32::from),
            Element::I32 => each!(i32, 4, |x| x as f32),
            Element::I64 => each!(i64, 8, |x| x as f32),
            Element::U8 => each!(u8, 1, f32::from),
            Element::U16 => each!(u16, 2, f32::from),
            Element::U32 => each!(u32, 4, |x| x as f32),
            Element::U64 => each!(u64, 8, |x| x as f32),
        }
    }

    /// Its name in safetensors.
    pub fn of_safetensors(dtype: safetensors::Dtype) -> Option<Element> {
        use safetensors::Dtype;
        Some(match dtype {
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::BF16,
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            Dtype::I8 => Element::I8,
            Dtype::I16 => Element::I16,
            Dtype::I32 => Element::I32,
            Dtype::I64 => Element::I64,
            Dtype::BOOL | Dtype::U8 => Element::U8,
            Dtype::U16 => Element::U16,
            Dtype::U32 => Element::U32,
            Dtype::U64 => Element::U64,
            _ => return None,
        })
    }
}

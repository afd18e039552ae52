//! One tensor of a file: where its numbers lie among the file's bytes.

use crate::ops::element::Element;

/// One tensor: where its numbers are.
#[derive(Debug)]
pub struct Stored<'a> {
    /// Its name in the file.
    pub name: String,
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
    /// How many numbers lie between neighbors along each dimension.
    pub strides: Vec<usize>,
    /// The type of its numbers.
    pub element: Element,
    /// The numbers, from its first on.
    pub data: &'a [u8],
}

impl Stored<'_> {
    /// The values in row-major order; `None` where it claims more numbers than there are, be it by repeating some.
    pub fn values(&self) -> Option<Vec<f32>> {
        let count = self.shape.iter().try_fold(1usize, |count, n| count.checked_mul(*n))?;
        let size = self.element.size();
        let there = self.data.len() / size;
        if self.strides.len() != self.shape.len() || count > there {
            return None;
        }
        if count == 0 || self.strides == row_major(&self.shape) {
            return Some(self.element.to_f32(&self.data[..count * size]));
        }
        let mut last = 0usize;
        for (n, stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((n - 1).checked_mul(*stride)?)?;
        }
        if last >= there {
            return None;
        }
        let all = self.element.to_f32(&self.data[..(last + 1) * size]);
        let mut places = vec![0usize];
        for (n, stride) in self.shape.iter().zip(&self.strides) {
            places = places.iter().flat_map(|place| (0..*n).map(move |i| place + i * stride)).collect();
        }
        Some(places.into_iter().map(|place| all[place]).collect())
    }
}

/// The strides of a row-major tensor.
pub fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

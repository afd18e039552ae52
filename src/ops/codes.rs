//! Sparse codes: which latents fire on which token, and how strongly. The common currency of every architecture.

/// The codes of `tokens()` tokens over `d_sae` latents, token after token, latents ascending within a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// How many latents there are.
    pub d_sae: usize,
    /// Token `t` owns entries `offsets[t]..offsets[t + 1]`.
    pub offsets: Vec<usize>,
    /// The latent of each entry.
    pub latents: Vec<u32>,
    /// The activation of each entry, above 0.
    pub values: Vec<f32>,
}

impl Codes {
    /// How many tokens.
    pub fn tokens(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many (token, latent) pairs are active.
    pub fn active(&self) -> usize {
        self.latents.len()
    }

    /// The active latents of a token and their activations.
    pub fn token(&self, t: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[t]..self.offsets[t + 1];
        (&self.latents[range.clone()], &self.values[range])
    }

    /// Codes of tokens on which nothing fires.
    pub fn none(tokens: usize, d_sae: usize) -> Codes {
        Codes { d_sae, offsets: vec![0; tokens + 1], latents: Vec::new(), values: Vec::new() }
    }

    /// The same codes but for `tokens` (ascending), which get those of `others` in turn.
    pub fn replaced(&self, tokens: &[usize], others: &Codes) -> Codes {
        let mut codes = Codes { d_sae: self.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
        let mut next = 0;
        for t in 0..self.tokens() {
            let (latents, values) = if tokens.get(next) == Some(&t) {
                next += 1;
                others.token(next - 1)
            } else {
                self.token(t)
            };
            codes.latents.extend_from_slice(latents);
            codes.values.extend_from_slice(values);
            codes.offsets.push(codes.latents.len());
        }
        codes
    }

    /// Keeps every entry of a row-major `[tokens, d_sae]` matrix that is not 0.
    pub fn from_dense(dense: &[f32], d_sae: usize) -> Codes {
        let mut codes = Codes { d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
        for row in dense.chunks_exact(d_sae.max(1)) {
            for (i, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                codes.latents.push(i as u32);
                codes.values.push(*value);
            }
            codes.offsets.push(codes.latents.len());
        }
        codes
    }

    /// The row-major `[tokens, d_sae]` matrix with zeros filled in.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.tokens() * self.d_sae];
        for (t, row) in dense.chunks_exact_mut(self.d_sae.max(1)).enumerate() {
            let (latents, values) = self.token(t);
            for (i, value) in latents.iter().zip(values) {
                row[*i as usize] = *value;
            }
        }
        dense
    }

    /// The entries whose value a rule keeps, with the value that it gives them.
    pub fn filter_map(&self, keep: impl Fn(u32, f32) -> Option<f32>) -> Codes {
        let mut codes = Codes { d_sae: self.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
        for t in 0..self.tokens() {
            let (latents, values) = self.token(t);
            for (i, value) in latents.iter().zip(values) {
                if let Some(value) = keep(*i, *value) {
                    codes.latents.push(*i);
                    codes.values.push(value);
                }
            }
            codes.offsets.push(codes.latents.len());
        }
        codes
    }

    /// The same entries, latent after latent, tokens ascending within a latent. A counting sort: O(active + d_sae).
    pub fn by_latent(&self) -> ByLatent {
        let mut offsets = vec![0usize; self.d_sae + 1];
        for i in &self.latents {
            offsets[*i as usize + 1] += 1;
        }
        for i in 0..self.d_sae {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut tokens = vec![0u32; self.active()];
        let mut values = vec![0.0f32; self.active()];
        for t in 0..self.tokens() {
            let (latents, row) = self.token(t);
            for (i, value) in latents.iter().zip(row) {
                let place = &mut next[*i as usize];
                tokens[*place] = t as u32;
                values[*place] = *value;
                *place += 1;
            }
        }
        ByLatent { offsets, tokens, values }
    }
}

/// The transpose of [`Codes`]: for each latent the tokens it fires on.
#[derive(Debug, Clone, PartialEq)]
pub struct ByLatent {
    /// Latent `i` owns entries `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<usize>,
    /// The token of each entry.
    pub tokens: Vec<u32>,
    /// The activation of each entry.
    pub values: Vec<f32>,
}

impl ByLatent {
    /// The tokens that a latent fires on and its activations there.
    pub fn latent(&self, i: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[i]..self.offsets[i + 1];
        (&self.tokens[range.clone()], &self.values[range])
    }
}

/// The transposition by looking at every pair: what [`Codes::by_latent`] is tested against.
pub fn by_latent_reference(codes: &Codes) -> ByLatent {
    let dense = codes.to_dense();
    let mut by_latent = ByLatent { offsets: vec![0], tokens: Vec::new(), values: Vec::new() };
    for i in 0..codes.d_sae {
        for t in 0..codes.tokens() {
            let value = dense[t * codes.d_sae + i];
            if value != 0.0 {
                by_latent.tokens.push(t as u32);
                by_latent.values.push(value);
            }
        }
        by_latent.offsets.push(by_latent.tokens.len());
    }
    by_latent
}

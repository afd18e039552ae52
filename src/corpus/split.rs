//! A part to train on, and a part that is held out.

use serde::{Deserialize, Serialize};

use super::Corpus;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::rng::Rng;

/// How [`Corpus::split`] divides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitOptions {
    /// Share of the text, by bytes, that is held out.
    pub test_fraction: f64,
    /// Which documents are held out.
    pub seed: u64,
    /// Whether the share is held out of each source by itself: the parts of an embedded corpus, the files of a folder. Off by default: the
    /// embedded models were trained on the split without it, and another one would put some of their training text into the test.
    pub stratify: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        SplitOptions { test_fraction: 0.05, seed: 0, stratify: false }
    }
}

/// Documents and the sources that they come from.
type Part = (Vec<String>, Vec<u32>);

impl Corpus {
    /// Divides into `(train, test)`: whole documents, drawn by `seed` until the share is reached; a single document is cut
    /// into two contiguous parts at a line end, the last being the test. With [`SplitOptions::stratify`] this is done for each source by
    /// itself, so that both parts have the sources in the same shares, as far as whole documents allow.
    ///
    /// # Errors
    /// `out-of-range` when the fraction is not between 0 and 1, or a part would be empty.
    pub fn split(&self, options: &SplitOptions) -> Result<(Corpus, Corpus)> {
        let fraction = options.test_fraction;
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(
                Error::new(Code::OutOfRange, "`test_fraction` must lie between 0 and 1").fact("given", fraction)
            );
        }
        memory::check("the parts of the corpus", self.bytes() as u64, "use some of the corpus")?;
        let groups = if options.stratify { self.groups() } else { vec![(0..self.documents().len()).collect()] };
        let (mut train, mut test) = (Part::default(), Part::default());
        for group in groups {
            self.divide(&group, options, &mut train, &mut test);
        }
        if train.0.is_empty() || test.0.is_empty() {
            return Err(Error::new(Code::OutOfRange, "the corpus is too small to split")
                .fact("documents", self.documents().len())
                .fact("test_fraction", fraction));
        }
        let part = |what: &str, (documents, sources): Part| {
            Corpus::of_parts(&format!("{} ({what})", self.name()), documents, sources)
        };
        Ok((part("train", train), part("test", test)))
    }

    /// The documents of each source, by number, in the order of the sources.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut last = None;
        for (document, source) in self.sources.iter().enumerate() {
            // Documents of one source stand together.
            match groups.last_mut().filter(|_| last == Some(source)) {
                Some(group) => group.push(document),
                None => groups.push(vec![document]),
            }
            last = Some(source);
        }
        groups
    }

    /// Divides some of the documents.
    fn divide(&self, group: &[usize], options: &SplitOptions, train: &mut Part, test: &mut Part) {
        let text = |i: usize| &self.documents()[group[i]];
        let bytes: usize = (0..group.len()).map(|i| text(i).len()).sum();
        let wanted = (bytes as f64 * options.test_fraction) as usize;
        let add = |part: &mut Part, text: String, i: usize| {
            if !text.trim().is_empty() {
                part.0.push(text);
                part.1.push(self.sources[group[i]]);
            }
        };
        if let [_] = group {
            let (first, last) = cut(text(0), bytes - wanted);
            add(train, first, 0);
            add(test, last, 0);
            return;
        }
        // Each source draws on its own, so that a source that is added changes nothing of the others.
        let draw = if options.stratify {
            format!("corpus split of source {}", self.sources[group[0]])
        } else {
            "corpus split".to_string()
        };
        let mut held_out = vec![false; group.len()];
        let (mut has, mut left) = (0, group.len());
        for i in Rng::new(options.seed, &draw).permutation(group.len()) {
            if has >= wanted || (options.stratify && left == 1) {
                break;
            }
            held_out[i as usize] = true;
            has += text(i as usize).len();
            left -= 1;
        }
        for (i, held_out) in held_out.into_iter().enumerate() {
            add(if held_out { &mut *test } else { &mut *train }, text(i).clone(), i);
        }
    }
}

/// Cuts a text in two at the last line end before byte `at` (at a character when there is none).
fn cut(text: &str, at: usize) -> (String, String) {
    let at = (at..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    let at = text[..at].rfind('\n').map_or(at, |line| line + 1);
    (text[..at].to_string(), text[at..].to_string())
}

//! Cross-entropies of a target model, as it is and with the rows at a hook replaced.

use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};

use super::TargetModel;
use super::inference::Pass;
use crate::corpus::Corpus;
use crate::error::Result;
use crate::ops::Rows;
use crate::ops::cross_entropy::{NO_TARGET, compare_rows, cross_entropy, cross_entropy_rows};
use crate::progress::Monitor;

/// Contexts a forward pass, when they are short.
const CONTEXTS: usize = 48;

/// Positions a forward pass at most, when contexts are long.
const POSITIONS: usize = CONTEXTS * 128;

/// What `m.ce_loss` takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossOptions {
    /// Tokens to score; all by default.
    pub tokens: Option<usize>,
    /// A hook whose rows are set to zero, at all positions but the first.
    pub zero_ablate: Option<String>,
    /// Order of the contexts.
    pub seed: u64,
}

/// What takes the place of the rows `[k, d]` at a hook.
pub enum Patch<'a> {
    /// Zeros.
    Zero,
    /// The same row everywhere, such as the mean activation.
    Mean(&'a [f32]),
    /// What the function makes of the rows, in place.
    Replace(&'a (dyn Fn(&mut [f32]) -> Result<()> + Sync)),
}

/// The model's losses with one patch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PatchScore {
    /// Mean cross-entropy, nats a token.
    pub ce_loss: f64,
    /// Mean KL(original || patched) of the next-token distribution, nats a token.
    pub kl_div: f64,
}

/// The model's losses without and with patches, over the same tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatchedLosses {
    /// How many tokens were scored.
    pub tokens: usize,
    /// Mean cross-entropy as the model is, nats a token.
    pub ce_loss: f64,
    /// One score a patch, in order.
    pub patched: Vec<PatchScore>,
    /// For each context, in order, the cross-entropy as the model is, and with each patch: sums over the scored positions, nats.
    pub contexts: Vec<(f64, Vec<f64>)>,
}

impl TargetModel {
    /// Mean cross-entropy on a corpus, nats a token, over every position that has a next token in its context.
    ///
    /// # Errors
    /// As [`TargetModel::contexts`]; `unknown-name` for a hook.
    pub fn ce_loss(&self, corpus: &Corpus, options: &LossOptions, monitor: &dyn Monitor) -> Result<f64> {
        let contexts = self.contexts(corpus, options.tokens, options.seed)?;
        if let Some(hook) = &options.zero_ablate {
            return Ok(self.patched(&contexts, hook, 1, &[Patch::Zero], monitor)?.patched[0].ce_loss);
        }
        let (mut sum, mut count) = (0.0, 0);
        for (ids, targets) in self.batches(&contexts) {
            monitor.check()?;
            let hidden = self.inference().run(self.weights(), ids, Pass::default())?.hidden;
            let (s, c) = self.with_rows(&hidden, |h, w| cross_entropy(h, w, &targets));
            sum += s;
            count += c;
            monitor.update("m.ce_loss", count as u64, contexts.len() as u64, "");
        }
        Ok(sum / f64::from(count.max(1) as u32))
    }

    /// Runs the contexts as they are and with each patch at `hook`. Patches leave the first `skip_first` positions of a
    /// context alone, as `activations` leaves them out, and the losses are over the positions that were patched.
    ///
    /// # Errors
    /// `unknown-name` for a hook; what a patch returns; `interrupted`.
    pub fn patched(
        &self,
        contexts: &[u32],
        hook: &str,
        skip_first: usize,
        patches: &[Patch<'_>],
        monitor: &dyn Monitor,
    ) -> Result<PatchedLosses> {
        let width = self.hook_width(hook)?;
        let n_ctx = self.config().n_ctx;
        let (mut ce, mut scores, mut tokens) = (0.0, vec![(0.0, 0.0); patches.len()], 0);
        let (mut done, mut by_context) = (0, Vec::new());
        for (ids, mut targets) in self.batches(contexts) {
            monitor.check()?;
            targets.chunks_exact_mut(n_ctx).for_each(|t| t[..skip_first.min(n_ctx)].fill(NO_TARGET));
            let original = self.inference().run(self.weights(), ids, Pass { keep: Some(hook), ..Pass::default() })?;
            let (sum, rows) = self.with_rows(&original.hidden, |h, w| cross_entropy_rows(h, w, &targets));
            ce += sum;
            tokens += targets.iter().filter(|&&t| t != NO_TARGET).count();
            let context = |rows: &[f64]| rows.chunks_exact(n_ctx).map(|rows| rows.iter().sum()).collect::<Vec<f64>>();
            let mut batch: Vec<(f64, Vec<f64>)> = context(&rows).into_iter().map(|sum| (sum, Vec::new())).collect();
            for (patch, score) in patches.iter().zip(&mut scores) {
                monitor.check()?;
                let mut rows = original.kept.clone();
                apply(patch, &mut rows, width, n_ctx, skip_first)?;
                let patched = self.inference().run(
                    self.weights(),
                    ids,
                    Pass { replace: Some((hook, &rows)), ..Pass::default() },
                )?;
                let rows = self.with_rows(&original.hidden, |first, w| {
                    compare_rows(first, Rows { data: &patched.hidden, ..first }, w, &targets)
                });
                // In the order and the grouping that `compare` adds in.
                let (sum, kl) = rows.iter().fold((0.0, 0.0), |sums, row| (sums.0 + row.0, sums.1 + row.1));
                score.0 += sum;
                score.1 += kl;
                let losses: Vec<f64> = rows.iter().map(|row| row.0).collect();
                batch.iter_mut().zip(context(&losses)).for_each(|(context, sum)| context.1.push(sum));
            }
            by_context.append(&mut batch);
            done += ids.len();
            monitor.update("evaluate", done as u64, contexts.len() as u64, "");
        }
        let n = tokens.max(1) as f64;
        let patched = scores.iter().map(|(ce, kl)| PatchScore { ce_loss: ce / n, kl_div: kl / n }).collect();
        Ok(PatchedLosses { tokens, ce_loss: ce / n, patched, contexts: by_context })
    }

    /// Calls `f` with the rows `[positions, width]` at a hook, a batch of whole contexts at a time, in order. The model runs on the next
    /// batch meanwhile.
    ///
    /// # Errors
    /// `unknown-name` for the hook; what `f` returns.
    pub fn rows_at(&self, contexts: &[u32], hook: &str, f: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        self.hook_width(hook)?;
        let pass = Pass { keep: Some(hook), stop: true, ..Pass::default() };
        let (send, batches) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(move || {
                for ids in contexts.chunks(self.batch()) {
                    let passed = self.inference().run(self.weights(), ids, pass);
                    // Nobody takes any more after an error.
                    if send.send(passed).is_err() {
                        break;
                    }
                }
            });
            // Gone before the scope ends, so that the model does not wait to hand over what nobody takes.
            batches.into_iter().try_for_each(|passed| f(&passed?.kept))
        })
    }

    /// Batches of whole contexts with their targets.
    fn batches<'a>(&'a self, contexts: &'a [u32]) -> impl Iterator<Item = (&'a [u32], Vec<u32>)> {
        contexts.chunks(self.batch()).map(|ids| (ids, self.targets(ids)))
    }

    /// Positions of a batch: whole contexts.
    pub(crate) fn batch(&self) -> usize {
        let n_ctx = self.config().n_ctx;
        (POSITIONS / n_ctx).clamp(1, CONTEXTS) * n_ctx
    }

    /// Calls `f` with hidden states and the unembedding as rows.
    fn with_rows<R>(&self, hidden: &[f32], f: impl FnOnce(Rows<'_>, Rows<'_>) -> R) -> R {
        let unembedding = self.inference().unembedding(self.weights());
        f(Rows { data: hidden, n: hidden.len() / unembedding.d, d: unembedding.d }, unembedding)
    }
}

fn apply(patch: &Patch<'_>, rows: &mut [f32], width: usize, n_ctx: usize, skip_first: usize) -> Result<()> {
    let patched = |context: &mut [f32], f: &mut dyn FnMut(&mut [f32])| {
        context.chunks_exact_mut(width).skip(skip_first).for_each(f);
    };
    match patch {
        Patch::Zero => rows.chunks_mut(n_ctx * width).for_each(|c| patched(c, &mut |row| row.fill(0.0))),
        Patch::Mean(mean) => {
            rows.chunks_mut(n_ctx * width).for_each(|c| patched(c, &mut |row| row.copy_from_slice(mean)))
        }
        Patch::Replace(f) => {
            let kept: Vec<f32> = rows
                .chunks(n_ctx * width)
                .flat_map(|c| c[(skip_first * width).min(c.len())..].iter().copied())
                .collect();
            let mut changed = kept;
            f(&mut changed)?;
            let mut next = changed.chunks_exact(width);
            rows.chunks_mut(n_ctx * width).for_each(|c| {
                patched(c, &mut |row| {
                    if let Some(new) = next.next() {
                        row.copy_from_slice(new);
                    }
                });
            });
        }
    }
    Ok(())
}

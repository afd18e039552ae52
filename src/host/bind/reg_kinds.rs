//! The penalties of `reg::` that have options: each is registered and documented from its row in the table of the core.

use rhai::{FuncRegistration, Map, Module, NativeCallContext};

use crate::error::Result;
use crate::host::options::Options;
use crate::host::raise::At;
use crate::regularizer::{Entry, Kind, Regularizer as Core};

/// Registers them all.
pub(super) fn register(module: &mut Module) {
    Kind::ALL.into_iter().for_each(|kind| penalty(module, kind));
}

/// The penalty of this kind, from options.
fn build(kind: Kind, options: Map) -> Result<Core> {
    Ok(match kind {
        Kind::MeanCos => Core::mean_cos(Options::new("reg::mean_cos", options).read()?),
        Kind::MeanMaxCos => Core::mean_max_cos(Options::new("reg::mean_max_cos", options).read()?),
        Kind::MaxMaxCos => Core::max_max_cos(Options::new("reg::max_max_cos", options).read()?),
        Kind::ThreeTerm => Core::three_term(Options::new("reg::three_term", options).read()?),
        Kind::Ortsae => Core::ortsae(Options::new("reg::ortsae", options).read()?),
        Kind::SoftOrthogonality => Core::soft_orthogonality(Options::new("reg::soft_orthogonality", options).read()?),
        Kind::DoubleSoftOrthogonality => {
            Core::double_soft_orthogonality(Options::new("reg::double_soft_orthogonality", options).read()?)
        }
        Kind::FramePotential => Core::frame_potential(Options::new("reg::frame_potential", options).read()?),
        Kind::TightFrameGap => Core::tight_frame_gap(Options::new("reg::tight_frame_gap", options).read()?),
        Kind::MutualCoherence => Core::mutual_coherence(Options::new("reg::mutual_coherence", options).read()?),
        Kind::Srip => Core::srip(Options::new("reg::srip", options).read()?),
        Kind::LogSumExp => Core::log_sum_exp(Options::new("reg::log_sum_exp", options).read()?)?,
        Kind::Hinge => Core::hinge(Options::new("reg::hinge", options).read()?)?,
        Kind::Babel => Core::babel(Options::new("reg::babel", options).read()?),
        Kind::None | Kind::Custom => Core::none(),
    })
}

/// What the documentation of a penalty says first, and an example that must hold; those without options are written out
/// below.
fn words(kind: Kind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        Kind::MeanCos => ("the mean cosine between different rows", "assert_eq(reg::mean_cos().value(w), 2.0 / 6.0);"),
        Kind::MeanMaxCos => (
            "the mean over rows of the cosine to the nearest other row",
            "assert_eq(reg::mean_max_cos(#{ sign: \"abs\" }).value(w), 2.0 / 3.0);",
        ),
        Kind::MaxMaxCos => (
            "the largest cosine between different rows",
            "assert_eq(reg::max_max_cos(#{ coefficient: 3 }).value(w), 3.0);",
        ),
        Kind::ThreeTerm => (
            "a weighted sum of mean cosine, mean max cosine and max max cosine",
            "assert_eq(reg::three_term(#{ mean: 0, mean_max: 3 }).value(w), 3.0);",
        ),
        Kind::Ortsae => (
            "the mean squared cosine to the nearest row of the same random chunk",
            "assert_eq(reg::ortsae(#{ coefficient: 1 }).value(w), 2.0 / 3.0);",
        ),
        Kind::SoftOrthogonality => (
            "the squared distance of the inner products of all rows from those of orthonormal ones",
            "assert_eq(reg::soft_orthogonality().value(w), 2.0);",
        ),
        Kind::DoubleSoftOrthogonality => (
            "the soft orthogonality of rows and of columns, which is twice that of rows and a constant",
            "assert_eq(reg::double_soft_orthogonality().value(w), 2.0 * 2.0 + 2.0 - 3.0);",
        ),
        Kind::FramePotential => ("the sum of all squared cosines", "assert_eq(reg::frame_potential().value(w), 5.0);"),
        Kind::TightFrameGap => (
            "the squared distance from a tight frame, which covers all directions alike",
            "assert_eq(reg::tight_frame_gap().value(w), 0.5);",
        ),
        Kind::MutualCoherence => (
            "the largest absolute inner product of two rows, or how far a squared length is from 1 where that is more",
            "assert_eq(reg::mutual_coherence().value(w), 1.0);",
        ),
        Kind::Srip => (
            "the spectral norm of the distance from a frame",
            "assert(abs(reg::srip(#{ target: \"tight\" }).value(w) - 0.5) < 1e-12);",
        ),
        Kind::LogSumExp => (
            "a smooth maximum of the cosines, by the logarithm of a sum of exponentials",
            "assert(abs(reg::log_sum_exp(#{ beta: 50 }).value(w) - 1.0) < 1e-6);",
        ),
        Kind::Hinge => (
            "the mean over pairs of a power of how far the cosine is above a threshold",
            "assert_eq(reg::hinge(#{ tau: 0.5 }).value(w), 2.0 * 0.25 / 6.0);",
        ),
        Kind::Babel => (
            "the largest sum of the k largest absolute cosines of one row",
            "assert_eq(reg::babel(#{ k: 2 }).value(w), 1.0);",
        ),
        Kind::None | Kind::Custom => return None,
    })
}

/// Registers `reg::NAME()` and `reg::NAME(options)`, documented from the table of penalties.
fn penalty(module: &mut Module, kind: Kind) {
    let Some((what, holds)) = words(kind) else { return };
    let Entry { name, formula, options, source } = kind.entry();
    let options: Vec<String> =
        options.iter().map(|(name, default, meaning)| format!("///   `{name}` ({default}): {meaning}")).collect();
    let doc = format!(
        "/// Makes a penalty: {what}.\n///\n/// * `options`, with their defaults:\n{}.\n///\n\
         /// Returns a Regularizer: {formula}, with c_ij the cosines of the N valid rows; 0 for fewer than two rows.\n\
         /// Source: {source}.\n\
         /// Errors: `unknown-option`, `wrong-type`, `out-of-range`, `unknown-name` for a choice that is not there.\n///\n/// ```rhai\n\
         /// let w = tensor::from_rows([[1, 0], [1, 0], [0, 1]]);\n/// {holds}\n/// ```",
        options.join(";\n")
    );
    FuncRegistration::new(name)
        .with_params_info(["Regularizer"])
        .with_comments([doc.as_str()])
        .set_into_module(module, move |ctx: NativeCallContext| build(kind, Map::new()).at(&ctx));
    FuncRegistration::new(name)
        .with_params_info(["options: Map", "Regularizer"])
        .with_comments([doc.as_str()])
        .set_into_module(module, move |ctx: NativeCallContext, options: Map| build(kind, options).at(&ctx));
}

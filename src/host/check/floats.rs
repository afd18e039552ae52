//! `==` and `!=` between floats that come out of arithmetic: they hold only when the last bit agrees.

use rhai::{Expr, Token};

use super::facts::Facts;
use super::{Known, Say, Severity};
use crate::error::{Code, Error};

/// The name of the lint.
const CODE: &str = "float-equality";

/// Says which comparisons hang on the rounding of their sides. Exact ones are left alone: with 0.0, between whole numbers, with
/// a value that was written down and never computed.
pub(super) fn check(facts: &Facts, known: &Known, say: &mut Say) {
    for (call, position) in &facts.comparisons {
        let [left, right] = call.args.as_slice() else { continue };
        // `x != x` asks for NaN.
        if facts.variable(left).is_some() && facts.variable(left) == facts.variable(right) {
            continue;
        }
        let judge = Judge { facts, known };
        let (left, right) = (facts.behind(left), facts.behind(right));
        let rounded = judge.rounds(left) || judge.rounds(right);
        let literal = |expr: &Expr| matches!(expr, Expr::FloatConstant(x, _) if **x != 0.0);
        let hangs = (judge.rounds(left) && (judge.rounds(right) || literal(right)))
            || (literal(left) && judge.rounds(right))
            || (judge.measured(left) && fraction(right))
            || (fraction(left) && judge.measured(right));
        if hangs {
            let why = if rounded { "a side of it is rounded" } else { "a measured value is compared" };
            let error = Error::new(Code::Failed, format!("`{}` between floats, and {why}", call.name))
                .fact("why", "it holds only when both agree to the last bit")
                .help("compare with a tolerance: `(a - b).abs() < 1e-9`");
            say(Severity::Warning, CODE, error, *position);
        }
    }
}

struct Judge<'a, 'b> {
    facts: &'b Facts<'a>,
    known: &'b Known,
}

/// Functions of floats whose results are rounded, whatever they are given.
const ROUNDING: [&str; 14] =
    ["sqrt", "exp", "ln", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "hypot"];

/// The namespaces whose functions measure: what they return as plain values nobody has written down.
const MEASURING: [&str; 5] = ["geometry", "compare", "sae", "synthetic", "model"];

impl<'a> Judge<'a, '_> {
    /// Whether the value is a float that was rounded on the way.
    fn rounds(&self, expr: &'a Expr) -> bool {
        match self.facts.behind(expr) {
            Expr::FnCall(call, _) if call.is_operator_call() => match (&call.op_token, call.args.as_slice()) {
                (Some(Token::Plus | Token::Minus | Token::Multiply), [a, b]) => {
                    let float = |expr| matches!(self.facts.behind(expr), Expr::FloatConstant(..)) || self.rounds(expr);
                    float(a) && float(b) && [a, b].into_iter().any(|x| self.rounds(x) || fraction(self.facts.behind(x)))
                }
                (Some(Token::Divide), [a, b]) => match (self.facts.behind(a), self.facts.behind(b)) {
                    (Expr::FloatConstant(x, _), Expr::FloatConstant(y, _)) => inexact(**x / **y),
                    _ => self.rounds(a) || self.rounds(b),
                },
                (Some(Token::UnaryMinus), [a]) => self.rounds(a),
                _ => false,
            },
            Expr::Dot(sides, _, _) => match &sides.rhs {
                Expr::MethodCall(call, _) if call.args.is_empty() => {
                    let written = matches!(self.facts.behind(&sides.lhs), Expr::FloatConstant(..));
                    ROUNDING.contains(&call.name.as_str()) && (written || self.rounds(&sides.lhs))
                        || call.name == "abs" && self.rounds(&sides.lhs)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the value was measured by saerun: a float that a measuring function returns, or a part of the map it returns.
    fn measured(&self, expr: &'a Expr) -> bool {
        match self.facts.behind(expr) {
            Expr::FnCall(call, _) => match call.namespace.path.as_slice() {
                [space] => self.measures(&space.name, &call.name, call.args.len(), &["float"]),
                _ => false,
            },
            Expr::Dot(sides, _, _) if matches!(sides.rhs, Expr::Property(..)) => {
                match self.facts.behind(&sides.lhs) {
                    Expr::FnCall(call, _) => match call.namespace.path.as_slice() {
                        [space] => self.measures(&space.name, &call.name, call.args.len(), &["any", "map"]),
                        _ => false,
                    },
                    // The only method of several types whose name says that it measures.
                    Expr::Dot(inner, _, _) => {
                        matches!(&inner.rhs, Expr::MethodCall(call, _) if call.name == "evaluate")
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn measures(&self, namespace: &str, name: &str, params: usize, returns: &[&str]) -> bool {
        let same =
            |f: &&crate::host::docs::Function| f.namespace == namespace && f.name == name && f.params.len() == params;
        MEASURING.contains(&namespace)
            && self.known.own.iter().find(same).is_some_and(|f| returns.contains(&f.returns.as_str()))
    }
}

/// A literal that no binary fraction of moderate size equals, such as 0.3.
fn fraction(expr: &Expr) -> bool {
    matches!(expr, Expr::FloatConstant(x, _) if inexact(**x))
}

fn inexact(x: f64) -> bool {
    x.is_finite() && (x * 1_048_576.0).fract() != 0.0
}

//! Arithmetic that means something else than it looks: `-x ** 2.0` squares -x, `1 / 2` is 0, and `x.log()` is base 10 for a float.

use rhai::{Expr, FnCallExpr, Position, Token};

use super::facts::Facts;
use super::{Say, Severity};
use crate::error::{Code, Error};

/// Says which operations these are. `source` is the text of the file.
pub(super) fn check(facts: &Facts, source: &str, say: &mut Say) {
    for (call, position) in &facts.operations {
        let [left, right] = call.args.as_slice() else { continue };
        match call.op_token {
            Some(Token::PowerOf) if negated(source, left, *position) => {
                let error = Error::new(Code::Failed, "`-` binds tighter than `**` here")
                    .fact("why", "`-x ** y` is `(-x) ** y`; in Python it is `-(x ** y)`")
                    .help("write the parentheses that are meant");
                say(Severity::Warning, "power-of-negative", error, *position);
            }
            Some(Token::Divide) => {
                if let (Expr::IntegerConstant(a, _), Expr::IntegerConstant(b, _)) = (left, right)
                    && *b != 0
                    && a.checked_rem(*b).unwrap_or(0) != 0
                {
                    let error = Error::new(Code::Failed, format!("`{a} / {b}` of ints is the int {}", a / b))
                        .fact("why", "the division of two ints leaves the fraction out")
                        .help(format!("write a float: `{a}.0 / {b}`"));
                    say(Severity::Warning, "int-division", error, *position);
                }
            }
            _ => {}
        }
    }
    // A file that speaks of log10 knows.
    if !source.contains("log10") {
        for (_, position) in facts.logs.iter().filter(|(receiver, _)| float(facts, receiver, 0)) {
            let error = Error::new(Code::Failed, "`log` of a float is the logarithm to base 10")
                .fact("why", "of a Tensor, and in Python, it is the natural logarithm")
                .help("write `x.ln()`, or `x.log(10.0)` where base 10 is meant");
            say(Severity::Warning, "log-base", error, *position);
        }
    }
}

/// Whether the left side of `**` begins with a minus that no parentheses keep to it.
fn negated(source: &str, left: &Expr, power: Position) -> bool {
    let minus = match left {
        Expr::FnCall(call, position) if unary_minus(call) => *position,
        Expr::IntegerConstant(x, position) if *x < 0 => *position,
        Expr::FloatConstant(x, position) if x.is_sign_negative() => *position,
        _ => return false,
    };
    let (Some(minus), Some(power)) = (offset(source, minus), offset(source, power)) else { return false };
    let Some(between) = source.get(minus..power) else { return false };
    // Parentheses around the left side close between the minus and the power, and open before.
    let (mut depth, mut least) = (0, 0);
    for c in between.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        least = least.min(depth);
    }
    between.starts_with('-') && least == 0
}

fn unary_minus(call: &FnCallExpr) -> bool {
    // rhai's parser makes a `Minus` of one argument of it.
    matches!(call.op_token, Some(Token::Minus | Token::UnaryMinus)) && call.args.len() == 1
}

/// The byte at a position.
fn offset(source: &str, position: Position) -> Option<usize> {
    let start: usize = source.split_inclusive('\n').take(position.line()?.checked_sub(1)?).map(str::len).sum();
    let (at, _) = source.get(start..)?.char_indices().nth(position.position()?.checked_sub(1)?)?;
    Some(start + at)
}

/// Whether an expression is evidently a float.
fn float<'a>(facts: &Facts<'a>, expr: &'a Expr, depth: usize) -> bool {
    let deeper = |expr| depth < 16 && float(facts, expr, depth + 1);
    match facts.behind(expr) {
        Expr::FloatConstant(..) => true,
        Expr::FnCall(call, _) => match (&call.op_token, call.args.as_slice()) {
            (Some(Token::Plus | Token::Minus | Token::Multiply | Token::Divide | Token::PowerOf), [a, b]) => {
                deeper(a) && (deeper(b) || matches!(b, Expr::IntegerConstant(..)))
                    || deeper(b) && matches!(a, Expr::IntegerConstant(..))
            }
            (Some(Token::Minus | Token::UnaryMinus), [a]) => deeper(a),
            (None, []) => call.namespace.is_empty() && ["PI", "E"].contains(&call.name.as_str()),
            _ => false,
        },
        Expr::Dot(sides, _, _) => match &sides.rhs {
            Expr::MethodCall(call, _) if call.args.is_empty() => match call.name.as_str() {
                "item" | "to_float" => true,
                "sqrt" | "exp" | "ln" | "abs" => deeper(&sides.lhs),
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

//! Closures that methods of arrays, maps and tables call on each element.
//!
//! rhai's own methods take what is no bool as false, and some of them lose the error of a closure. These raise both.

use std::cell::Cell;

use rhai::{Dynamic, EvalAltResult, FnPtr, INT, NativeCallContext};

use crate::error::{Code, Error};
use crate::host::raise::{At, Raised, wrong_type};

/// How a closure takes the element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As `this`.
    This,
    /// As an argument.
    Argument,
    /// As an argument, with the index behind it.
    WithIndex,
}

/// A closure that a method calls on each element.
pub struct Each<'a> {
    ctx: &'a NativeCallContext<'a>,
    function: FnPtr,
    method: &'static str,
    /// The form that fitted the first element.
    form: Cell<Option<Form>>,
}

impl<'a> Each<'a> {
    /// The closure `function` that `method` was given in the call that `ctx` stands for.
    pub fn new(ctx: &'a NativeCallContext<'a>, method: &'static str, function: FnPtr) -> Self {
        Each { ctx, function, method, form: Cell::new(None) }
    }

    /// What the closure gives for an element: of `before` and the element, or of both and the index. A closure without a
    /// parameter for it sees the element as `this`.
    ///
    /// # Errors
    /// What it raises; `wrong-type` when it takes another number of arguments.
    pub fn call(&self, before: &[Dynamic], item: &mut Dynamic, index: Option<usize>) -> Raised<Dynamic> {
        if let Some(form) = self.form.get() {
            return self.call_as(form, before, item, index);
        }
        for form in [Form::This, Form::Argument, Form::WithIndex] {
            if form == Form::WithIndex && index.is_none() {
                continue;
            }
            match self.call_as(form, before, item, index) {
                Err(raised) if self.is_unfit(&raised) => {}
                other => {
                    self.form.set(Some(form));
                    return other;
                }
            }
        }
        Err(self.unfit(before.len() + 1, index.is_some())).at(self.ctx)
    }

    fn call_as(&self, form: Form, before: &[Dynamic], item: &mut Dynamic, index: Option<usize>) -> Raised<Dynamic> {
        let mut arguments = before.to_vec();
        if form == Form::This {
            return self.function.call_raw(self.ctx, Some(item), arguments);
        }
        arguments.push(item.clone());
        if form == Form::WithIndex {
            arguments.extend(index.map(|i| Dynamic::from(i as INT)));
        }
        self.function.call_raw(self.ctx, None, arguments)
    }

    /// Calls the closure with the element as `this`, and perhaps the index.
    ///
    /// # Errors
    /// What it raises; `wrong-type` when it takes other arguments.
    pub fn act(&self, item: &mut Dynamic, index: usize) -> Raised<()> {
        let forms: &[Form] = match self.form.get() {
            Some(Form::This) => &[Form::This],
            Some(_) => &[Form::WithIndex],
            None => &[Form::This, Form::WithIndex],
        };
        for form in forms {
            let index = (*form == Form::WithIndex).then(|| Dynamic::from(index as INT));
            match self.function.call_raw(self.ctx, Some(item), index.into_iter().collect::<Vec<_>>()) {
                Err(raised) if self.is_unfit(&raised) => {}
                other => {
                    self.form.set(Some(*form));
                    return other.map(|_| ());
                }
            }
        }
        Err(self.unfit(0, true)).at(self.ctx)
    }

    /// What a closure of two elements gives.
    ///
    /// # Errors
    /// What it raises; `wrong-type` when it takes another number of arguments.
    pub fn of_two(&self, a: &Dynamic, b: &Dynamic) -> Raised<Dynamic> {
        match self.function.call_raw(self.ctx, None, [a.clone(), b.clone()]) {
            Err(raised) if self.is_unfit(&raised) => Err(self.unfit(2, false)).at(self.ctx),
            other => other,
        }
    }

    /// Whether the closure holds for an element; see [`Each::call`].
    ///
    /// # Errors
    /// What it raises; `wrong-type` when it gives no bool.
    pub fn holds(&self, before: &[Dynamic], item: &mut Dynamic, index: Option<usize>) -> Raised<bool> {
        let value = self.call(before, item, index)?;
        self.bool(value)
    }

    /// A bool that the closure gave.
    ///
    /// # Errors
    /// `wrong-type` when it is none.
    pub fn bool(&self, value: Dynamic) -> Raised<bool> {
        let what = || format!("what the closure of `{}` returns", self.method);
        value
            .as_bool()
            .map_err(|_| {
                let error = wrong_type(&what(), "a bool", &value);
                if value.is_int() { error.help("compare: `x % 2 != 0`") } else { error }
            })
            .at(self.ctx)
    }

    /// Whether the first of two elements comes before the second in the order of a comparator: its value is below 0, or true.
    ///
    /// # Errors
    /// What it raises; `wrong-type` when it gives neither a number nor a bool, `out-of-range` for NaN.
    pub fn before(&self, a: &Dynamic, b: &Dynamic) -> Raised<bool> {
        let value = self.of_two(a, b)?;
        if let Ok(sign) = value.as_int() {
            return Ok(sign < 0);
        }
        if let Ok(first) = value.as_bool() {
            return Ok(first);
        }
        let error = match value.as_float() {
            Ok(sign) if !sign.is_nan() => return Ok(sign < 0.0),
            Ok(_) => Error::new(Code::OutOfRange, format!("the comparator of `{}` gives NaN", self.method))
                .fact("expected", "a number below 0, 0, or above 0")
                .help("without a comparator, `sort` puts NaN last"),
            Err(_) => wrong_type(
                &format!("what the comparator of `{}` returns", self.method),
                "a number below 0, 0, or above 0, or a bool",
                &value,
            ),
        };
        Err(error).at(self.ctx)
    }

    /// Whether the error says that the closure takes other arguments, and not that something in it does.
    fn is_unfit(&self, raised: &EvalAltResult) -> bool {
        let name = self.function.fn_name();
        let signature =
            |text: &str| text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("));
        matches!(raised, EvalAltResult::ErrorFunctionNotFound(text, _) if signature(text))
    }

    fn unfit(&self, n: usize, indexed: bool) -> Error {
        let name = self.function.fn_name();
        let message = match self.function.is_anonymous() {
            true => format!("the closure takes other arguments than `{}` gives it", self.method),
            false => format!("no function `{name}` takes the arguments that `{}` gives it", self.method),
        };
        let given = if indexed { format!("{n}, or {} with the index", n + 1) } else { n.to_string() };
        Error::new(Code::WrongType, message).fact("arguments", given)
    }
}

/// Puts elements in an order by merging, which no comparator can confuse: std's sort may panic when it is given no total
/// order. Equal elements stay as they are. On an error the elements are as they were.
///
/// # Errors
/// The first of the comparator.
pub fn sort(items: &mut Vec<Dynamic>, before: impl Fn(&Dynamic, &Dynamic) -> Raised<bool>) -> Raised<()> {
    let n = items.len();
    let mut order: Vec<usize> = (0..n).collect();
    let mut next = order.clone();
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut left, mut right) = (start, middle);
            for slot in &mut next[start..end] {
                let from_right = left == middle || (right < end && before(&items[order[right]], &items[order[left]])?);
                let from = if from_right { &mut right } else { &mut left };
                *slot = order[*from];
                *from += 1;
            }
        }
        std::mem::swap(&mut order, &mut next);
        width *= 2;
    }
    let mut taken: Vec<Dynamic> = std::mem::take(items);
    items.extend(order.into_iter().map(|i| std::mem::take(&mut taken[i])));
    Ok(())
}

//! The arithmetic of `Tensor`: candle's operations under the names of the script API, all differentiable but `argmax`.

use candle_core::{D, DType, Device};
use rhai::plugin::*;
use rhai::{Array, Dynamic, FLOAT, FuncRegistration, INT, Module, NativeCallContext, exported_module};

use crate::error::{Code, Error, Result};
use crate::host::bind::tensor_work::{room, shape_of, worked};
use crate::host::docs::HIDDEN;
use crate::host::raise::{At, Raised, count};
use crate::host::value::values;

type T = candle_core::Tensor;
type Unary = fn(&T) -> candle_core::Result<T>;
type Binary = fn(&T, &T) -> candle_core::Result<T>;

/// Operators, elementwise functions, reductions and matrix functions.
pub fn module() -> Module {
    let mut module: Module = exported_module!(math);
    operators(&mut module);
    elementwise(&mut module);
    reductions(&mut module);
    module
}

/// A tensor without dimensions, to broadcast.
fn scalar(x: f64) -> candle_core::Result<T> {
    T::from_vec(vec![x as f32], &[] as &[usize], &Device::Cpu)
}

/// The result of an operator, when it fits into memory.
fn broadcast(ctx: &NativeCallContext, op: Binary, a: T, b: T) -> Result<T> {
    let (longer, shorter) = if a.rank() < b.rank() { (b.dims(), a.dims()) } else { (a.dims(), b.dims()) };
    let mut shape = longer.to_vec();
    shape.iter_mut().rev().zip(shorter.iter().rev()).for_each(|(n, m)| *n = (*n).max(*m));
    room(&shape)?;
    worked(ctx, &shape, move || op(&a, &b))
}

/// A registration with its documentation: `what`, then an example that must hold.
fn documented(name: &str, params: &[&str], what: &str, holds: &str) -> FuncRegistration {
    let doc = format!("/// {what}\n///\n/// ```rhai\n/// {holds}\n/// ```");
    FuncRegistration::new(name).with_params_info(params).with_comments([doc]).in_global_namespace()
}

/// `+ - * /` between tensors, and between tensors and numbers.
fn operators(module: &mut Module) {
    let table: [(&str, Binary, &str, &str); 4] = [
        (
            "+",
            |a, b| a.broadcast_add(b),
            "Adds elementwise, broadcasting",
            "assert_eq((1 + tensor::ones([2])).to_array(), [2.0, 2.0]);",
        ),
        (
            "-",
            |a, b| a.broadcast_sub(b),
            "Subtracts elementwise, broadcasting",
            "assert_eq((3 - tensor::ones([2])).to_array(), [2.0, 2.0]);",
        ),
        (
            "*",
            |a, b| a.broadcast_mul(b),
            "Multiplies elementwise, broadcasting",
            "assert_eq((tensor::ones([2]) * 2.5).to_array(), [2.5, 2.5]);",
        ),
        (
            "/",
            |a, b| a.broadcast_div(b),
            "Divides elementwise, broadcasting",
            "assert_eq((1 / (tensor::ones([2]) * 2)).to_array(), [0.5, 0.5]);",
        ),
    ];
    for (name, op, what, holds) in table {
        let what = format!("{what}; a number serves for a tensor.");
        let doc =
            |a: &str, b: &str| documented(name, &[&format!("a: {a}"), &format!("b: {b}"), "Tensor"], &what, holds);
        doc("Tensor", "Tensor")
            .set_into_module(module, move |ctx: NativeCallContext, a: T, b: T| broadcast(&ctx, op, a, b).at(&ctx));
        doc("Tensor", "float").set_into_module(module, move |ctx: NativeCallContext, a: T, b: FLOAT| {
            scalar(b).map_err(Error::from).and_then(|b| broadcast(&ctx, op, a, b)).at(&ctx)
        });
        doc("Tensor", "int").set_into_module(module, move |ctx: NativeCallContext, a: T, b: INT| {
            scalar(b as f64).map_err(Error::from).and_then(|b| broadcast(&ctx, op, a, b)).at(&ctx)
        });
        doc("float", "Tensor").set_into_module(module, move |ctx: NativeCallContext, a: FLOAT, b: T| {
            scalar(a).map_err(Error::from).and_then(|a| broadcast(&ctx, op, a, b)).at(&ctx)
        });
        doc("int", "Tensor").set_into_module(module, move |ctx: NativeCallContext, a: INT, b: T| {
            scalar(a as f64).map_err(Error::from).and_then(|a| broadcast(&ctx, op, a, b)).at(&ctx)
        });
    }
    documented("-", &["a: Tensor", "Tensor"], "Negates elementwise.", "assert_eq((-tensor::ones([1])).item(), -1.0);")
        .set_into_module(module, |ctx: NativeCallContext, a: T| {
            room(a.dims()).at(&ctx)?;
            worked(&ctx, &[a.elem_count()], move || a.neg()).at(&ctx)
        });
    for name in ["==", "!=", "<", "<=", ">", ">="] {
        refuse::<T, FLOAT>(module, name);
        refuse::<T, INT>(module, name);
        refuse::<FLOAT, T>(module, name);
        refuse::<INT, T>(module, name);
    }
    for name in ["<", "<=", ">", ">="] {
        refuse::<T, T>(module, name);
    }
    for (name, wanted) in [("==", true), ("!=", false)] {
        let holds = "assert(tensor::eye(2) == tensor::eye(2)); assert(tensor::eye(2) != tensor::ones([2, 2]));";
        documented(name, &["a: Tensor", "b: Tensor", "bool"], "Whether shape and every value are equal.", holds)
            .set_into_module(module, move |ctx: NativeCallContext, a: T, b: T| {
                worked(&ctx, &[a.elem_count()], move || same(&a, &b)).map(|s| s == wanted).at(&ctx)
            });
    }
}

/// A comparison that rhai would answer with `false`, as it does for values of two types: an error says what was meant.
fn refuse<A: Clone + Send + Sync + 'static, B: Clone + Send + Sync + 'static>(module: &mut Module, name: &'static str) {
    FuncRegistration::new(name).with_comments([HIDDEN]).in_global_namespace().set_into_module(
        module,
        move |ctx: NativeCallContext, _: A, _: B| -> Raised<bool> {
            let error = Error::new(Code::WrongType, format!("`{name}` does not compare tensors"))
                .fact("expected", "numbers")
                .help("`t.item()` is the number in a tensor of one element, such as `t.sum()` or `t.max()`");
            Err(error).at(&ctx)
        },
    );
}

fn same(a: &T, b: &T) -> Result<bool> {
    Ok(a.dims() == b.dims() && values(a)? == values(b)?)
}

/// The functions of one tensor that keep its shape.
fn elementwise(module: &mut Module) {
    let table: [(&str, Unary, &str, f64, f64); 10] = [
        ("abs", |t| t.abs(), "absolute value", -1.5, 1.5),
        ("sqr", |t| t.sqr(), "square", 3.0, 9.0),
        ("sqrt", |t| t.sqrt(), "square root", 9.0, 3.0),
        ("exp", |t| t.exp(), "exponential", 0.0, 1.0),
        ("log", |t| t.log(), "natural logarithm", 1.0, 0.0),
        ("relu", |t| t.relu(), "positive part, max(x, 0)", -2.0, 0.0),
        ("sin", |t| t.sin(), "sine, of radians", 0.0, 0.0),
        ("cos", |t| t.cos(), "cosine, of radians", 0.0, 1.0),
        ("tanh", |t| t.tanh(), "hyperbolic tangent", 0.0, 0.0),
        ("neg", |t| t.neg(), "negative", 2.0, -2.0),
    ];
    for (name, op, what, x, y) in table {
        let holds = format!("assert_eq(tensor::from_values([{x:?}]).{name}().item(), {y:?});");
        documented(name, &["tensor: Tensor", "Tensor"], &format!("Takes the {what} of every element."), &holds)
            .set_into_module(module, move |ctx: NativeCallContext, tensor: T| {
                room(tensor.dims()).at(&ctx)?;
                worked(&ctx, &[tensor.elem_count()], move || op(&tensor)).at(&ctx)
            });
    }
}

/// A reduction along one dimension.
type Reduce = fn(&T, usize) -> candle_core::Result<T>;

/// `sum mean max min`, of everything or along one dimension.
fn reductions(module: &mut Module) {
    let table: [(&str, Reduce, &str, f64); 4] = [
        ("sum", |t, d| t.sum(d), "sum", 6.0),
        ("mean", |t, d| t.mean(d), "mean", 2.0),
        ("max", |t, d| t.max(d), "largest value", 3.0),
        ("min", |t, d| t.min(d), "smallest value", 1.0),
    ];
    for (name, op, what, y) in table {
        let holds = format!("assert_eq(tensor::from_values([1, 2, 3]).{name}().item(), {y:?});");
        let text = format!("Gives the {what} of all elements, as a Tensor of one element; `.item()` makes it a float.");
        documented(name, &["tensor: Tensor", "Tensor"], &text, &holds).set_into_module(
            module,
            move |ctx: NativeCallContext, tensor: T| {
                if name != "sum" {
                    not_empty(&tensor, name).at(&ctx)?;
                }
                worked(&ctx, &[tensor.elem_count()], move || tensor.flatten_all().and_then(|t| op(&t, 0))).at(&ctx)
            },
        );
        let holds = format!("assert_eq(tensor::from_rows([[1, 2, 3]]).{name}(1).to_array(), [{y:?}]);");
        let text = format!("Gives the {what} along the dimension `dim` (from 0), which goes away.");
        documented(name, &["tensor: Tensor", "dim: int", "Tensor"], &text, &holds).set_into_module(
            module,
            move |ctx: NativeCallContext, tensor: T, dim: INT| {
                let dim = dimension(&tensor, dim).at(&ctx)?;
                if name != "sum" {
                    not_empty(&tensor, name).at(&ctx)?;
                }
                worked(&ctx, &[tensor.elem_count()], move || op(&tensor, dim)).at(&ctx)
            },
        );
    }
}

/// A dimension of the tensor.
fn dimension(tensor: &T, dim: INT) -> Result<usize> {
    let rank = tensor.rank();
    count(dim, "the dimension").ok().filter(|dim| *dim < rank).ok_or_else(|| {
        Error::new(Code::OutOfRange, "the tensor has no such dimension")
            .fact("expected", if rank == 0 { "nothing: it has none".to_string() } else { format!("0 to {}", rank - 1) })
            .fact("given", dim)
    })
}

fn not_empty(tensor: &T, what: &str) -> Result<()> {
    if tensor.elem_count() > 0 {
        return Ok(());
    }
    Err(Error::new(Code::OutOfRange, format!("`{what}` of no elements is undefined"))
        .fact("given", format!("{:?}", tensor.dims())))
}

/// The matrix product. candle's leaves what it sums over no elements undefined.
fn product(a: &T, b: &T) -> Result<T> {
    if let ([batch @ .., n, k], [others @ .., l, m]) = (a.dims(), b.dims())
        && (a.elem_count() == 0 || b.elem_count() == 0)
        && (batch, k) == (others, l)
    {
        return Ok(T::zeros([batch, &[*n, *m]].concat(), DType::F32, &Device::Cpu)?);
    }
    Ok(a.contiguous()?.matmul(&b.contiguous()?)?)
}

/// The methods that are no elementwise function and no plain reduction.
#[export_module]
mod math {
    type Tensor = candle_core::Tensor;

    /// Multiplies two matrices.
    ///
    /// * `other`: a Tensor [k, m], for a tensor [n, k].
    ///
    /// Returns a Tensor [n, m].
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let a = tensor::from_rows([[1, 2]]);
    /// assert_eq(a.matmul(a.t()).item(), 5.0);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn matmul(ctx: NativeCallContext, tensor: &mut Tensor, other: Tensor) -> Raised<Tensor> {
        let mut width = 1;
        if let ([batch @ .., n, _], [.., m]) = (tensor.dims(), other.dims()) {
            room(&[batch, &[*n, *m]].concat()).at(&ctx)?;
            width = *m;
        }
        let (a, sizes) = (tensor.clone(), [tensor.elem_count(), width]);
        worked(&ctx, &sizes, move || product(&a, &other)).at(&ctx)
    }

    /// Swaps the two dimensions of a matrix.
    ///
    /// ```rhai
    /// assert_eq(tensor::zeros([2, 3]).t().shape, [3, 2]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn t(ctx: NativeCallContext, tensor: &mut Tensor) -> Raised<Tensor> {
        tensor.t().at(&ctx)
    }

    /// Gives the same values another shape.
    ///
    /// * `shape`: an array of lengths with the same product.
    ///
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// assert_eq(tensor::zeros([2, 3]).reshape([6]).shape, [6]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn reshape(ctx: NativeCallContext, tensor: &mut Tensor, shape: Array) -> Raised<Tensor> {
        let dims = shape_of(&shape).at(&ctx)?;
        tensor.reshape(dims).at(&ctx)
    }

    /// Raises every element to a power.
    ///
    /// * `p`: the exponent.
    ///
    /// ```rhai
    /// assert_eq(tensor::from_values([2]).pow(3.0).item(), 8.0);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn pow(ctx: NativeCallContext, tensor: &mut Tensor, p: FLOAT) -> Raised<Tensor> {
        room(tensor.dims()).at(&ctx)?;
        let t = tensor.clone();
        worked(&ctx, &[t.elem_count()], move || t.powf(p)).at(&ctx)
    }

    /// Raises every element to a whole power.
    ///
    /// * `p`: the exponent.
    ///
    /// ```rhai
    /// assert_eq(tensor::from_values([2]).pow(2).item(), 4.0);
    /// ```
    #[rhai_fn(name = "pow", global, pure, return_raw)]
    pub fn pow_int(ctx: NativeCallContext, tensor: &mut Tensor, p: INT) -> Raised<Tensor> {
        pow(ctx, tensor, p as f64)
    }

    /// Moves every element into an interval.
    ///
    /// * `lo`, `hi`: the bounds, numbers with lo <= hi.
    ///
    /// Errors: `out-of-range` when lo > hi, `wrong-type`.
    ///
    /// ```rhai
    /// assert_eq(tensor::from_values([-3, 0.5, 3]).clamp(0, 1).to_array(), [0.0, 0.5, 1.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn clamp(ctx: NativeCallContext, tensor: &mut Tensor, lo: Dynamic, hi: Dynamic) -> Raised<Tensor> {
        let lo = crate::host::raise::number(&lo, "lo").at(&ctx)?;
        let hi = crate::host::raise::number(&hi, "hi").at(&ctx)?;
        if lo > hi {
            let error = Error::new(Code::OutOfRange, "the bounds are in the wrong order");
            return Err(error.fact("expected", "lo <= hi").fact("given", format!("lo {lo}, hi {hi}"))).at(&ctx);
        }
        room(tensor.dims()).at(&ctx)?;
        let t = tensor.clone();
        worked(&ctx, &[t.elem_count()], move || t.clamp(lo as f32, hi as f32)).at(&ctx)
    }

    /// Gives the index of the largest value along a dimension, which goes away; the lowest index on ties.
    ///
    /// * `dim`: the dimension, from 0.
    ///
    /// Returns a Tensor of whole numbers.
    /// Errors: `out-of-range` when there is no such dimension.
    ///
    /// ```rhai
    /// assert_eq(tensor::from_rows([[1, 5, 2], [9, 9, 0]]).argmax(1).to_array(), [1.0, 0.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn argmax(ctx: NativeCallContext, tensor: &mut Tensor, dim: INT) -> Raised<Tensor> {
        let dim = dimension(tensor, dim).at(&ctx)?;
        not_empty(tensor, "argmax").at(&ctx)?;
        let t = tensor.clone();
        worked(&ctx, &[t.elem_count()], move || t.argmax(dim).and_then(|t| t.to_dtype(DType::F32))).at(&ctx)
    }

    /// Gives the Euclidean norm of every row.
    ///
    /// Returns a Tensor [n] for a tensor [n, d].
    ///
    /// ```rhai
    /// assert_eq(tensor::from_rows([[3, 4]]).norm_rows().to_array(), [5.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn norm_rows(ctx: NativeCallContext, tensor: &mut Tensor) -> Raised<Tensor> {
        room(tensor.dims()).at(&ctx)?;
        let t = tensor.clone();
        worked(&ctx, &[t.elem_count()], move || t.sqr().and_then(|t| t.sum(D::Minus1)?.sqrt())).at(&ctx)
    }

    /// Divides every row by its Euclidean norm; rows of zeros stay as they are.
    ///
    /// Returns a Tensor of the same shape.
    ///
    /// ```rhai
    /// let u = tensor::from_rows([[3, 4], [0, 0]]).normalize_rows();
    /// assert((u.norm_rows() - tensor::from_values([1, 0])).abs().max().item() < 1e-6);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn normalize_rows(ctx: NativeCallContext, tensor: &mut Tensor) -> Raised<Tensor> {
        room(tensor.dims()).at(&ctx)?;
        let t = tensor.clone();
        let norm = |t: &T| t.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(1e-30);
        worked(&ctx, &[t.elem_count()], move || norm(&t).and_then(|norm| t.broadcast_div(&norm))).at(&ctx)
    }
}

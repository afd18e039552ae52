//! Numbers and texts as ints and floats, in place of rhai's: those make 0 of NaN, the largest int of 2^63, an infinity of
//! "1e999", and 0 of `1 << 64`.

use rhai::plugin::*;
use rhai::{FLOAT, INT, NativeCallContext};

use crate::host::number;
use crate::host::raise::{At, Raised};

/// Functions of numbers.
#[export_module]
pub mod numbers {
    /// The whole part of a float, as an int.
    ///
    /// * `x`: a float.
    ///
    /// Errors: `out-of-range` for NaN, infinities and floats beyond an int.
    ///
    /// ```rhai
    /// assert_eq((-2.7).to_int(), -2);
    /// let code = "";
    /// try { (0.0 / 0.0).to_int() } catch (e) { code = e.code; }
    /// assert_eq(code, "out-of-range");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn to_int(ctx: NativeCallContext, x: FLOAT) -> Raised<INT> {
        number::to_int(x).at(&ctx)
    }

    /// Reads an int from its digits.
    ///
    /// * `text`: digits, with a sign or not; blanks around them are left out.
    ///
    /// Errors: `wrong-type` for a text that is no int, `out-of-range` for one beyond an int.
    ///
    /// ```rhai
    /// assert_eq(" -12 ".parse_int(), -12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse_int(ctx: NativeCallContext, text: &str) -> Raised<INT> {
        number::parse_int(text, 10).at(&ctx)
    }

    /// Reads an int from its digits in another base.
    ///
    /// * `text`: digits, with a sign or not.
    /// * `base`: 2 to 36.
    ///
    /// Errors: `wrong-type` for a text that is no int, `out-of-range` for one beyond an int, and for another base.
    ///
    /// ```rhai
    /// assert_eq("ff".parse_int(16), 255);
    /// ```
    #[rhai_fn(name = "parse_int", return_raw)]
    pub fn parse_int_of(ctx: NativeCallContext, text: &str, base: INT) -> Raised<INT> {
        number::parse_int(text, base).at(&ctx)
    }

    /// Reads a float from its digits, or from `inf` or `nan`.
    ///
    /// * `text`: such as `1.5`, `-2e-3` or `7`; blanks around it are left out.
    ///
    /// Errors: `wrong-type` for a text that is no number, `out-of-range` for digits beyond a float.
    ///
    /// ```rhai
    /// assert_eq("-2e-3".parse_float(), -0.002);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse_float(ctx: NativeCallContext, text: &str) -> Raised<FLOAT> {
        number::parse_float(text).at(&ctx)
    }

    /// Moves the bits of an int to the left: times 2 for each place.
    ///
    /// Errors: `out-of-range` for more than 63 places, and when the result is beyond an int.
    ///
    /// ```rhai
    /// assert_eq(3 << 4, 48);
    /// ```
    #[rhai_fn(name = "<<", return_raw)]
    pub fn shift_left(ctx: NativeCallContext, x: INT, places: INT) -> Raised<INT> {
        number::shift_left(x, places).at(&ctx)
    }

    /// Moves the bits of an int to the right: half for each place, rounded down.
    ///
    /// Errors: `out-of-range` for more than 63 places.
    ///
    /// ```rhai
    /// assert_eq(-48 >> 4, -3);
    /// ```
    #[rhai_fn(name = ">>", return_raw)]
    pub fn shift_right(ctx: NativeCallContext, x: INT, places: INT) -> Raised<INT> {
        number::shift_right(x, places).at(&ctx)
    }

    /// Moves the bits of a variable to the left; see `<<`.
    ///
    /// ```rhai
    /// let x = 3;
    /// x <<= 4;
    /// assert_eq(x, 48);
    /// ```
    #[rhai_fn(name = "<<=", return_raw)]
    pub fn shift_left_assign(ctx: NativeCallContext, x: &mut INT, places: INT) -> Raised<()> {
        *x = number::shift_left(*x, places).at(&ctx)?;
        Ok(())
    }

    /// Moves the bits of a variable to the right; see `>>`.
    ///
    /// ```rhai
    /// let x = 48;
    /// x >>= 4;
    /// assert_eq(x, 3);
    /// ```
    #[rhai_fn(name = ">>=", return_raw)]
    pub fn shift_right_assign(ctx: NativeCallContext, x: &mut INT, places: INT) -> Raised<()> {
        *x = number::shift_right(*x, places).at(&ctx)?;
        Ok(())
    }
}

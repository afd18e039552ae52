//! Functions that multiply what they are given, in place of rhai's: they ask first whether the result fits into memory.

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, INT, ImmutableString, NativeCallContext};

use crate::error::{Code, Error, Result};
use crate::host::guard::room;
use crate::host::raise::{At, Raised};

/// How far something of length `n` is to grow; 0 when it is long enough.
fn missing(what: &str, len: INT, n: usize) -> Result<usize> {
    if len <= 0 {
        return Ok(0);
    }
    let len = usize::try_from(len).ok().filter(|len| *len < 1 << 48);
    let error = || Error::new(Code::TooLarge, format!("{what} does not fit into memory"));
    Ok(len.ok_or_else(error)?.saturating_sub(n))
}

/// Lengthens a string by a text over and over, to `len` chars.
fn lengthen(string: &mut ImmutableString, len: INT, padding: &str) -> Result<()> {
    let n = string.chars().count();
    let more = missing("the string", len, n)?;
    let repeated = padding.chars().cycle().take(more);
    room("the string", &Dynamic::UNIT, more.div_ceil(4))?;
    string.make_mut().extend(repeated);
    Ok(())
}

/// The text with every `find` replaced.
fn replaced(string: &ImmutableString, find: &str, by: &str) -> Result<ImmutableString> {
    let grows = string.matches(find).count().saturating_mul(by.len());
    room("the string", &Dynamic::UNIT, grows.div_ceil(16))?;
    Ok(string.replace(find, by).into())
}

/// Asks for the room of a text of `bytes` bytes, beside a copy of it: a string grows by being copied.
fn text_room(bytes: usize) -> Result<()> {
    room("the string", &Dynamic::UNIT, bytes.div_ceil(8))
}

/// Functions that multiply.
#[export_module]
pub mod padding {
    /// Joins two strings.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// assert_eq("a" + "b", "ab");
    /// ```
    #[rhai_fn(name = "+", return_raw)]
    pub fn join_strings(ctx: NativeCallContext, a: ImmutableString, b: ImmutableString) -> Raised<ImmutableString> {
        text_room(a.len() + b.len()).at(&ctx)?;
        Ok(a + b)
    }

    /// Puts a string behind another.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let s = "a";
    /// s += "b";
    /// assert_eq(s, "ab");
    /// ```
    #[rhai_fn(name = "+=", return_raw)]
    pub fn extend_string(ctx: NativeCallContext, a: &mut ImmutableString, b: ImmutableString) -> Raised<()> {
        text_room(a.len() + b.len()).at(&ctx)?;
        *a += b;
        Ok(())
    }

    /// Joins two arrays.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// assert_eq([1] + [2], [1, 2]);
    /// ```
    #[rhai_fn(name = "+", return_raw)]
    pub fn join_arrays(ctx: NativeCallContext, a: Array, b: Array) -> Raised<Array> {
        room("the array", &Dynamic::UNIT, a.len() + b.len()).at(&ctx)?;
        Ok([a, b].concat())
    }

    /// Puts the elements of an array behind those of another.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let a = [1];
    /// a += [2];
    /// assert_eq(a, [1, 2]);
    /// ```
    #[rhai_fn(name = "+=", return_raw)]
    pub fn extend_array(ctx: NativeCallContext, a: &mut Array, b: Array) -> Raised<()> {
        room("the array", &Dynamic::UNIT, 2 * (a.len() + b.len())).at(&ctx)?;
        a.extend(b);
        Ok(())
    }

    /// Lengthens an array with copies of a value.
    ///
    /// * `array`: any array.
    /// * `len`: the length to reach; a longer array stays as it is.
    /// * `item`: the value.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let a = [1];
    /// a.pad(3, 0);
    /// assert_eq(a, [1, 0, 0]);
    /// ```
    #[rhai_fn(name = "pad", return_raw)]
    pub fn pad_array(ctx: NativeCallContext, array: &mut Array, len: INT, item: Dynamic) -> Raised<()> {
        let more = missing("the array", len, array.len()).at(&ctx)?;
        room("the array", &item, more).at(&ctx)?;
        array.extend(std::iter::repeat_n(item, more));
        Ok(())
    }

    /// Lengthens a string with a char.
    ///
    /// * `string`: any string.
    /// * `len`: the length to reach, in chars; a longer string stays as it is.
    /// * `character`: the char.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let s = "a";
    /// s.pad(3, '-');
    /// assert_eq(s, "a--");
    /// ```
    #[rhai_fn(name = "pad", return_raw)]
    pub fn pad_char(ctx: NativeCallContext, string: &mut ImmutableString, len: INT, character: char) -> Raised<()> {
        lengthen(string, len, &character.to_string()).at(&ctx)
    }

    /// Lengthens a string with a text over and over.
    ///
    /// * `string`: any string.
    /// * `len`: the length to reach, in chars; a longer string stays as it is.
    /// * `padding`: the text.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let s = "a";
    /// s.pad(4, "-+");
    /// assert_eq(s, "a-+-");
    /// ```
    #[rhai_fn(name = "pad", return_raw)]
    pub fn pad_text(ctx: NativeCallContext, string: &mut ImmutableString, len: INT, padding: &str) -> Raised<()> {
        lengthen(string, len, padding).at(&ctx)
    }

    /// Lengthens a blob with a byte.
    ///
    /// * `blob`: any blob.
    /// * `len`: the length to reach; a longer blob stays as it is.
    /// * `value`: the byte, 0 to 255; of other ints the lowest 8 bits count.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let b = blob(1);
    /// b.pad(3, 255);
    /// assert_eq(b[2], 255);
    /// ```
    #[rhai_fn(name = "pad", return_raw)]
    pub fn pad_blob(ctx: NativeCallContext, blob: &mut Blob, len: INT, value: INT) -> Raised<()> {
        let more = missing("the blob", len, blob.len()).at(&ctx)?;
        room("the blob", &Dynamic::UNIT, more.div_ceil(16)).at(&ctx)?;
        blob.extend(std::iter::repeat_n(value as u8, more));
        Ok(())
    }

    /// Makes a blob of zeros.
    ///
    /// * `len`: its length in bytes.
    ///
    /// Errors: `too-large` when it does not fit into memory.
    ///
    /// ```rhai
    /// assert_eq(blob(3).len(), 3);
    /// ```
    #[rhai_fn(name = "blob", return_raw)]
    pub fn blob_of(ctx: NativeCallContext, len: INT) -> Raised<Blob> {
        blob_with(ctx, len, 0)
    }

    /// Makes a blob of one byte over and over.
    ///
    /// * `len`: its length in bytes.
    /// * `value`: the byte, 0 to 255; of other ints the lowest 8 bits count.
    ///
    /// Errors: `too-large` when it does not fit into memory.
    ///
    /// ```rhai
    /// assert_eq(blob(3, 7)[2], 7);
    /// ```
    #[rhai_fn(name = "blob", return_raw)]
    pub fn blob_with(ctx: NativeCallContext, len: INT, value: INT) -> Raised<Blob> {
        let mut blob = Blob::new();
        pad_blob(ctx, &mut blob, len, value)?;
        Ok(blob)
    }

    /// Replaces every part of a string.
    ///
    /// * `string`: the string, which changes.
    /// * `find`: the part.
    /// * `substitute`: what takes its place.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let s = "a-b-c";
    /// s.replace("-", ", ");
    /// assert_eq(s, "a, b, c");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn replace(ctx: NativeCallContext, string: &mut ImmutableString, find: &str, substitute: &str) -> Raised<()> {
        *string = replaced(string, find, substitute).at(&ctx)?;
        Ok(())
    }

    /// Replaces every char of a kind by a text.
    ///
    /// * `string`: the string, which changes.
    /// * `find`: the char.
    /// * `substitute`: what takes its place.
    ///
    /// Errors: `too-large` when the result does not fit into memory.
    ///
    /// ```rhai
    /// let s = "a-b";
    /// s.replace('-', ", ");
    /// assert_eq(s, "a, b");
    /// ```
    #[rhai_fn(name = "replace", return_raw)]
    pub fn replace_char(
        ctx: NativeCallContext,
        string: &mut ImmutableString,
        find: char,
        substitute: &str,
    ) -> Raised<()> {
        *string = replaced(string, &find.to_string(), substitute).at(&ctx)?;
        Ok(())
    }
}

//! Tensors out of torch's `.pth` and `.pt`: a zip with a pickle that describes a state dict, and one raw file a storage.
//!
//! candle has a reader of these too. It indexes into what the pickle says without looking, and copies and frees nested values by
//! recursion, so that a file made for the purpose ends the program. Here values are numbers into one list: nothing is called, copied or
//! nested, and memory is bounded by the length of the pickle.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use super::damaged;
use super::tensors::{Tensors, floats};
use crate::error::Result;

/// A value of the pickle; parts are places in the list of all values.
enum Value {
    Nothing,
    Mark,
    Int(i64),
    Text(String),
    /// A class or function, by module and name.
    Global(String),
    Sequence(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A call that is not made: function and arguments.
    Call(usize, usize),
    /// A reference to a storage.
    Storage(usize),
}

/// What a pickle leaves, or why it is none.
type Unpickled<T> = std::result::Result<T, String>;

struct Machine<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    stack: Vec<usize>,
    /// What was put away, by its number.
    memo: BTreeMap<usize, usize>,
}

impl Machine<'_> {
    fn take(&mut self, n: usize) -> Unpickled<&[u8]> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or("the pickle is cut short")?;
        self.bytes = tail;
        Ok(head)
    }

    /// An unsigned little-endian number of `n` bytes, eight at most.
    fn number(&mut self, n: usize) -> Unpickled<usize> {
        Ok(self.take(n)?.iter().rev().fold(0usize, |sum, b| sum << 8 | usize::from(*b)))
    }

    fn text(&mut self, n: usize) -> Unpickled<String> {
        Ok(String::from_utf8_lossy(self.take(n)?).into_owned())
    }

    fn line(&mut self) -> Unpickled<String> {
        let end = self.bytes.iter().position(|b| *b == b'\n').ok_or("the pickle is cut short")?;
        let line = self.text(end)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Unpickled<usize> {
        self.stack.pop().ok_or_else(|| "an empty stack".to_string())
    }

    /// What was pushed since the last mark.
    fn since_mark(&mut self) -> Unpickled<Vec<usize>> {
        let mark = self.stack.iter().rposition(|place| matches!(self.values[*place], Value::Mark)).ok_or("no mark")?;
        let since = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(since)
    }

    fn tuple(&mut self, n: usize) -> Unpickled<()> {
        let from = self.stack.len().checked_sub(n).ok_or("an empty stack")?;
        let parts = self.stack.split_off(from);
        self.push(Value::Sequence(parts));
        Ok(())
    }

    fn remember(&mut self, number: usize) -> Unpickled<()> {
        let top = *self.stack.last().ok_or("an empty stack")?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: usize) -> Unpickled<()> {
        self.stack.push(*self.memo.get(&number).ok_or("nothing under that memo number")?);
        Ok(())
    }

    fn append(&mut self, parts: Vec<usize>) -> Unpickled<()> {
        let last = *self.stack.last().ok_or("an empty stack")?;
        match &mut self.values[last] {
            Value::Sequence(all) => all.extend(parts),
            Value::Dict(all) => all.extend(parts.as_chunks::<2>().0.iter().map(|pair| (pair[0], pair[1]))),
            _ => return Err("items for what has none".to_string()),
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) {
        self.push(Value::Global(format!("{module}.{name}")));
    }

    fn call(&mut self) -> Unpickled<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let ordered = matches!(&self.values[function], Value::Global(name) if name == "collections.OrderedDict");
        self.push(if ordered { Value::Dict(Vec::new()) } else { Value::Call(function, arguments) });
        Ok(())
    }

    /// Runs to the end; the place of the result.
    fn run(&mut self) -> Unpickled<usize> {
        loop {
            match self.number(1)? as u8 {
                // Protocol and frame say nothing that is needed.
                0x80 => _ = self.take(1)?,
                0x95 => _ = self.take(8)?,
                b'.' => return self.pop(),
                b'(' => self.push(Value::Mark),
                b'N' | 0x88 | 0x89 => self.push(Value::Nothing),
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let bits = self.number(4)? as u32;
                    self.push(Value::Int(i64::from(bits as i32)));
                }
                0x8a => {
                    let n = self.number(1)?;
                    if n > 8 {
                        return Err("an int of more than 64 bits".to_string());
                    }
                    self.int(n)?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Nothing);
                }
                b'X' => self.string(4)?,
                0x8c => self.string(1)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name);
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name]) else {
                        return Err("a global without a name".to_string());
                    };
                    let name = format!("{module}.{name}");
                    self.push(Value::Global(name));
                }
                b')' | b']' => self.push(Value::Sequence(Vec::new())),
                b'}' => self.push(Value::Dict(Vec::new())),
                b't' => {
                    let parts = self.since_mark()?;
                    self.push(Value::Sequence(parts));
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b'a' => {
                    let part = self.pop()?;
                    self.append(vec![part])?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.append(vec![key, value])?;
                }
                b'e' | b'u' => {
                    let parts = self.since_mark()?;
                    self.append(parts)?;
                }
                b'q' => {
                    let number = self.number(1)?;
                    self.remember(number)?;
                }
                b'r' => {
                    let number = self.number(4)?;
                    self.remember(number)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' => {
                    let number = self.number(1)?;
                    self.recall(number)?;
                }
                b'j' => {
                    let number = self.number(4)?;
                    self.recall(number)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Value::Storage(id));
                }
                b'R' | 0x81 => self.call()?,
                // The state of an object, such as a dict's attributes: not looked at.
                b'b' => _ = self.pop()?,
                other => return Err(format!("the operation 0x{other:02x}, which state dicts do not need")),
            }
        }
    }

    fn int(&mut self, n: usize) -> Unpickled<()> {
        let number = self.number(n)? as i64;
        self.push(Value::Int(number));
        Ok(())
    }

    fn string(&mut self, n: usize) -> Unpickled<()> {
        let length = self.number(n)?;
        let text = self.text(length)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn sequence(&self, place: usize) -> Unpickled<&[usize]> {
        match &self.values[place] {
            Value::Sequence(parts) => Ok(parts),
            _ => Err("no tuple where one belongs".to_string()),
        }
    }

    fn sizes(&self, place: usize) -> Unpickled<Vec<usize>> {
        let size = |place: &usize| match self.values[*place] {
            Value::Int(i) => usize::try_from(i).map_err(|_| "a negative size".to_string()),
            _ => Err("no size where one belongs".to_string()),
        };
        self.sequence(place)?.iter().map(size).collect()
    }

    /// The arguments of the call at `place` when it calls this function.
    fn arguments(&self, place: usize, function: &str) -> Option<&[usize]> {
        let Value::Call(called, arguments) = self.values[place] else { return None };
        let Value::Global(name) = &self.values[called] else { return None };
        if name == function { self.sequence(arguments).ok() } else { None }
    }

    /// What the value at `place` says of a tensor, when it is one.
    fn tensor(&self, place: usize) -> Option<Unpickled<Described>> {
        let parameter = self.arguments(place, "torch._utils._rebuild_parameter").and_then(|a| a.first());
        let arguments = self.arguments(*parameter.unwrap_or(&place), "torch._utils._rebuild_tensor_v2")?;
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let describe = || {
            let Value::Storage(id) = self.values[*storage] else { return Err("a tensor without storage".to_string()) };
            let [_, class, key, ..] = self.sequence(id)? else { return Err("a storage without a name".to_string()) };
            let (Value::Global(class), Value::Text(key)) = (&self.values[*class], &self.values[*key]) else {
                return Err("a storage without a name".to_string());
            };
            let Value::Int(offset) = self.values[*offset] else { return Err("no offset".to_string()) };
            let (kind, size) = match class.as_str() {
                "torch.FloatStorage" => ("F32", 4),
                "torch.HalfStorage" => ("F16", 2),
                "torch.BFloat16Storage" => ("BF16", 2),
                "torch.DoubleStorage" => ("F64", 8),
                other => (other, 0),
            };
            let offset = usize::try_from(offset).map_err(|_| "a negative offset")?;
            let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
            Ok(Described { kind: kind.to_string(), size, key: key.clone(), offset, shape, strides })
        };
        Some(describe())
    }
}

/// A tensor as the pickle describes it.
struct Described {
    kind: String,
    size: usize,
    key: String,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Described {
    /// Its values, row after row, out of its storage.
    fn values(&self, storage: &[u8]) -> std::result::Result<Vec<f32>, String> {
        let strided = "strides that lead out of the storage";
        let count = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or(strided)?;
        if self.size == 0 || self.strides.len() != self.shape.len() {
            return Err(format!("{} with {} strides", self.kind, self.strides.len()));
        }
        if count > storage.len() / self.size {
            return Err(strided.to_string());
        }
        let all = floats(&self.kind, storage)?;
        let mut place = vec![0usize; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let at = place
                .iter()
                .zip(&self.strides)
                .try_fold(self.offset, |sum, (i, s)| sum.checked_add(i.checked_mul(*s)?));
            values.push(*at.and_then(|at| all.get(at)).ok_or(strided)?);
            for (i, d) in place.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *d {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }
}

/// The tensors in the bytes of a file of this name: those of the dict itself, or of its `state_dict` or `model`.
///
/// # Errors
/// `damaged-file`.
pub fn open(name: &str, bytes: &[u8]) -> Result<Tensors> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(name, e))?;
    let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let pickle = names.iter().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let pickle = pickle.ok_or_else(|| damaged(name, "no data.pkl inside"))?.clone();
    let folder = pickle.trim_end_matches("data.pkl");
    let mut entry = |path: &str| {
        let mut content = Vec::new();
        // No entry is longer than the file: torch does not compress.
        let file = zip.by_name(path).map_err(|e| damaged(name, format!("{path}: {e}")))?;
        file.take(bytes.len() as u64).read_to_end(&mut content).map_err(|e| damaged(name, format!("{path}: {e}")))?;
        Ok::<_, crate::error::Error>(content)
    };
    let content = entry(&pickle)?;
    let mut machine = Machine { bytes: &content, values: Vec::new(), stack: Vec::new(), memo: BTreeMap::new() };
    let top = machine.run().map_err(|why| damaged(name, why))?;
    let Value::Dict(pairs) = &machine.values[top] else { return Err(damaged(name, "no state dict")) };
    let inner = pairs.iter().find_map(|(key, value)| match (&machine.values[*key], &machine.values[*value]) {
        (Value::Text(key), Value::Dict(inner)) if ["state_dict", "model"].contains(&key.as_str()) => Some(inner),
        _ => None,
    });
    let mut tensors = Tensors::new(name);
    for (key, value) in inner.unwrap_or(pairs) {
        let (Value::Text(key), Some(tensor)) = (&machine.values[*key], machine.tensor(*value)) else { continue };
        let tensor = tensor.map_err(|why| damaged(name, format!("`{key}`: {why}")))?;
        let storage = if tensor.size == 0 { Vec::new() } else { entry(&format!("{folder}data/{}", tensor.key))? };
        tensors.add(key, &tensor.shape, tensor.values(&storage));
    }
    Ok(tensors)
}

//! Just enough of Python's pickle to find the tensors in what `torch.save` writes.
//!
//! Nothing is called or imported: a call is recorded. Objects live in one list and point at each other by index, so the memory is linear in
//! the bytes whatever they say, and no recursion follows their nesting. (candle's reader copies an object each time it is recalled, which a
//! file of a few hundred bytes can turn into any amount of memory; it indexes arguments unchecked and has no 32-bit int tensors.)

/// An object's place in the [`Graph`].
pub(super) type Id = usize;

/// A Python object.
#[derive(Debug)]
pub(super) enum Node {
    /// An int.
    Int(i64),
    /// A string.
    Text(String),
    /// A function or class, `module name`.
    Global(String),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dict, in order of insertion.
    Dict(Vec<(Id, Id)>),
    /// The result of a call.
    Call(Id, Id),
    /// What lies outside the pickle under this name.
    Persistent(Id),
    /// None, a bool or a float.
    Other,
}

/// Every object that was made.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// The object.
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// The members of a tuple, where it is one.
    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        if let Node::Tuple(items) = self.node(id) { Some(items) } else { None }
    }

    /// The string, where it is one.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        if let Node::Text(text) = self.node(id) { Some(text) } else { None }
    }

    /// The name, where it is a function or class.
    pub(super) fn global(&self, id: Id) -> Option<&str> {
        if let Node::Global(name) = self.node(id) { Some(name) } else { None }
    }

    /// The int, where it is one that counts something.
    pub(super) fn count(&self, id: Id) -> Option<usize> {
        if let Node::Int(x) = self.node(id) { usize::try_from(*x).ok() } else { None }
    }

    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

/// Reads a pickle up to its end: the objects, and the outermost.
///
/// # Errors
/// The reason why the bytes are no pickle, or which instruction is not known.
pub(super) fn load(bytes: &[u8]) -> Result<(Graph, Id), String> {
    let mut machine =
        Machine { bytes, graph: Graph::default(), stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    loop {
        let code = machine.take(1)?[0];
        if code == b'.' {
            let root = machine.pop()?;
            return Ok((machine.graph, root));
        }
        machine.step(code)?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    graph: Graph,
    stack: Vec<Id>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // Protocol and frame say nothing about the objects.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            b'G' => {
                self.take(8)?;
                self.push(Node::Other);
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()));
            }
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.text(length)?;
            }
            0x8c => {
                let length = self.take(1)?[0].into();
                self.text(length)?;
            }
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.push(Node::Global(name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let both = self.graph.text(module).zip(self.graph.text(name)).map(|(m, n)| format!("{m} {n}"));
                self.push(Node::Global(both.ok_or("a class without a name")?));
            }
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).filter(|from| *from >= self.floor());
                let items = self.stack.split_off(from.ok_or(EMPTY)?);
                self.push(Node::Tuple(items));
            }
            b'd' => {
                let pairs = pairs(&self.pop_mark()?)?;
                self.push(Node::Dict(pairs));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)?;
            }
            b'R' | 0x81 => self.call()?,
            // The state of an object: of a state dict, the versions of its modules.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let name = self.pop()?;
                self.push(Node::Persistent(name));
            }
            b'q' => {
                let place = self.take(1)?[0].into();
                self.remember(place)?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?) as usize;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let place = self.take(1)?[0].into();
                self.recall(place)?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?) as usize;
                self.recall(place)?;
            }
            other => return Err(format!("unknown pickle instruction {other:#04x}")),
        }
        Ok(())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or("the pickle ends early")?;
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "the pickle ends early".to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n').ok_or("the pickle ends early")?;
        let line = String::from_utf8_lossy(&self.take(end + 1)?[..end]).into_owned();
        Ok(line)
    }

    fn push(&mut self, node: Node) {
        let id = self.graph.add(node);
        self.stack.push(id);
    }

    /// Below this the stack belongs to an outer mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() > self.floor() { self.stack.pop().ok_or(EMPTY.into()) } else { Err(EMPTY.into()) }
    }

    fn last(&self) -> Result<Id, String> {
        self.stack.last().copied().filter(|_| self.stack.len() > self.floor()).ok_or(EMPTY.into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("the pickle closes what it has not opened")?;
        Ok(self.stack.split_off(mark))
    }

    fn int(&mut self, width: usize) -> Result<(), String> {
        let value = self.take(width)?.iter().rev().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        self.push(Node::Int(value));
        Ok(())
    }

    /// An int of any length, here of at most 8 bytes.
    fn long(&mut self) -> Result<(), String> {
        let length = self.take(1)?[0].into();
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(format!("an int of {length} bytes"));
        }
        let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
        let value = bytes.iter().rev().fold(sign, |sum: i64, byte| sum << 8 | i64::from(*byte));
        self.push(Node::Int(value));
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Text(text));
        Ok(())
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<(), String> {
        let list = self.last()?;
        match &mut self.graph.nodes[list] {
            Node::List(list) => list.extend(items),
            _ => return Err("an append to what is no list".to_string()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = self.last()?;
        match &mut self.graph.nodes[dict] {
            Node::Dict(dict) => dict.extend(pairs(items)?),
            _ => return Err("an entry for what is no dict".to_string()),
        }
        Ok(())
    }

    /// An ordered dict begins empty; every other call is only recorded.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let dict = self.graph.global(function) == Some("collections OrderedDict");
        self.push(if dict { Node::Dict(Vec::new()) } else { Node::Call(function, arguments) });
        Ok(())
    }

    /// Writers number the places from 0 on.
    fn remember(&mut self, place: usize) -> Result<(), String> {
        let id = self.last()?;
        if place > self.memo.len() + 256 {
            return Err(format!("place {place} of the memo"));
        }
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(id);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let id =
            self.memo.get(place).copied().flatten().ok_or_else(|| format!("nothing at place {place} of the memo"))?;
        self.stack.push(id);
        Ok(())
    }
}

const EMPTY: &str = "the pickle uses what is not there";

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|pair| (pair[0], pair[1])).collect())
    } else {
        Err("a key without a value".into())
    }
}

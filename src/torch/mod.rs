//! What `torch.save` writes of a state dict, since torch 1.6: a zip archive with a pickle that names slices of other entries.
//!
//! candle has a reader of these too; a file made for the purpose can make it panic, overflow the stack or take unbounded memory. Here nothing
//! is called, copied or nested, and memory is bounded by the length of the file.

mod pickle;
mod stored;
mod zip;

use pickle::{Graph, Id, Node};
pub use stored::{Stored, row_major};

use crate::ops::element::Element;

/// The largest pickle that is read: weights are not in it.
const MAX_PICKLE: usize = 64 << 20;

/// The named tensors, in the order of the dict, or of the one that it holds as `state_dict` or `model`; other entries are left out.
///
/// # Errors
/// The reason why the bytes are no such file.
pub fn tensors(bytes: &[u8]) -> Result<Vec<Stored<'_>>, String> {
    let entries = zip::entries(bytes)?;
    let file = |name: &str| entries.iter().find(|(found, _)| found == name).map(|(_, content)| *content);
    let names = entries.iter().map(|(name, _)| name.as_str());
    let mut roots =
        names.filter_map(|name| name.strip_suffix("data.pkl").filter(|root| root.is_empty() || root.ends_with('/')));
    let root = roots.next().ok_or("it holds no data.pkl")?;
    if file(&format!("{root}byteorder")).is_some_and(|order| order != b"little") {
        return Err("its numbers are not little-endian".to_string());
    }
    let content = file(&format!("{root}data.pkl")).unwrap_or_default();
    if content.len() > MAX_PICKLE {
        return Err(format!("its pickle has {} bytes", content.len()));
    }
    let (graph, top) = pickle::load(content)?;
    let Node::Dict(dict) = graph.node(top) else { return Err("it holds no dict of tensors".to_string()) };
    let inner = dict.iter().find_map(|(key, value)| match graph.node(*value) {
        Node::Dict(inner) if matches!(graph.text(*key), Some("state_dict" | "model")) => Some(inner),
        _ => None,
    });
    let mut found: Vec<Stored> = Vec::new();
    for (key, value) in inner.unwrap_or(dict) {
        let (Some(name), Node::Call(..)) = (graph.text(*key), graph.node(*value)) else { continue };
        if found.iter().any(|stored| stored.name == name) {
            return Err(format!("it holds `{name}` twice"));
        }
        let view = view(&graph, *value).ok_or_else(|| format!("`{name}` is no dense tensor that can be read"))?;
        let storage = file(&format!("{root}data/{}", view.storage))
            .ok_or_else(|| format!("the values of `{name}` are missing"))?;
        let from = view.offset.checked_mul(view.element.size());
        let data =
            from.and_then(|from| storage.get(from..)).ok_or_else(|| format!("`{name}` lies outside its values"))?;
        found.push(Stored {
            name: name.to_string(),
            shape: view.shape,
            strides: view.strides,
            element: view.element,
            data,
        });
    }
    Ok(found)
}

/// A tensor as the pickle describes it, in numbers rather than bytes.
struct View<'a> {
    storage: &'a str,
    element: Element,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The tensor that a recorded call would make.
fn view(graph: &Graph, id: Id) -> Option<View<'_>> {
    let Node::Call(mut function, mut arguments) = *graph.node(id) else { return None };
    // Parameters and subclasses of tensors wrap the call.
    for _ in 0..4 {
        let given = graph.tuple(arguments)?;
        match graph.global(function)? {
            "torch._utils _rebuild_parameter" => {
                let Node::Call(inner, inner_arguments) = *graph.node(*given.first()?) else { return None };
                (function, arguments) = (inner, inner_arguments);
            }
            "torch._tensor _rebuild_from_type_v2" => (function, arguments) = (*given.first()?, *given.get(2)?),
            "torch._utils _rebuild_tensor_v2" => return plain(graph, given),
            _ => return None,
        }
    }
    None
}

/// From the storage, the offset, the shape and the strides.
fn plain<'a>(graph: &'a Graph, given: &[Id]) -> Option<View<'a>> {
    let Node::Persistent(place) = *graph.node(*given.first()?) else { return None };
    let place = graph.tuple(place)?;
    let element = match graph.global(*place.get(1)?)? {
        "torch HalfStorage" => Element::F16,
        "torch BFloat16Storage" => Element::BF16,
        "torch FloatStorage" => Element::F32,
        "torch DoubleStorage" => Element::F64,
        "torch CharStorage" => Element::I8,
        "torch ShortStorage" => Element::I16,
        "torch IntStorage" => Element::I32,
        "torch LongStorage" => Element::I64,
        "torch ByteStorage" | "torch BoolStorage" => Element::U8,
        _ => return None,
    };
    let counts = |id: Id| graph.tuple(id)?.iter().map(|item| graph.count(*item)).collect::<Option<Vec<usize>>>();
    Some(View {
        storage: graph.text(*place.get(2)?)?,
        element,
        offset: graph.count(*given.get(1)?)?,
        shape: counts(*given.get(2)?)?,
        strides: counts(*given.get(3)?)?,
    })
}

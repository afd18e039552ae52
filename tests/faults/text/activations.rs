//! Files of activations, and positions that are left out of them.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::{Project, refused, with_tiny};
use crate::faults::fails;

fn safetensors(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).expect("a tensor");
    let none: Option<HashMap<String, String>> = None;
    safetensors::serialize([(name, view)], none).expect("a file")
}

fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values);
    bytes
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

const SHOW: &str = "let a = activations::load(\"FILE\"); print(a.shape); print(a.mean().to_array()); print(a.sample(3, 0).sum().item());";

#[test]
fn activations_of_other_tools_are_read_in_their_types_and_orders() {
    // W5
    let rows = [1.0f32, 2.0, 3.0, 4.0, 5.0, 9.0];
    let turned = [1.0f32, 3.0, 5.0, 2.0, 4.0, 9.0];
    let bf16: Vec<u8> = rows.iter().flat_map(|x| x.to_bits().to_le_bytes()[2..].to_vec()).collect();
    let f16: Vec<u8> = rows.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
    let f64s: Vec<u8> = rows.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
    let big: Vec<u8> = rows.iter().flat_map(|x| x.to_be_bytes()).collect();
    let cases = [
        ("a.safetensors", safetensors("activations", Dtype::F32, &[3, 2], &f32s(&rows))),
        ("b.safetensors", safetensors("activations", Dtype::BF16, &[3, 2], &bf16)),
        ("c.safetensors", safetensors("activations", Dtype::F16, &[3, 2], &f16)),
        ("d.safetensors", safetensors("activations", Dtype::F64, &[3, 2], &f64s)),
        ("e.safetensors", safetensors("x", Dtype::F32, &[3, 2], &f32s(&rows))),
        ("a.npy", npy("<f4", "False", "(3, 2)", &f32s(&rows))),
        ("b.npy", npy("<f2", "False", "(3, 2)", &f16)),
        ("c.npy", npy("<f8", "False", "(3, 2)", &f64s)),
        ("d.npy", npy("<f4", "True", "(3, 2)", &f32s(&turned))),
        ("e.npy", npy(">f4", "False", "(3, 2)", &big)),
    ];
    for (name, bytes) in cases {
        let project = Project::with(&SHOW.replace("FILE", name));
        project.write(name, bytes);
        assert_eq!(project.prints(), "[3, 2]\n[3.0, 5.0]\n24.0\n", "{name}");
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_row_and_column() {
    // W5
    let mut rows = vec![0.5f32; 12];
    rows[7] = f32::NAN;
    let mut wide = [0.5f64; 12];
    wide[7] = 1e300;
    let wide: Vec<u8> = wide.iter().flat_map(|x| x.to_le_bytes()).collect();
    let cases = [
        ("a.safetensors", safetensors("activations", Dtype::F32, &[4, 3], &f32s(&rows))),
        ("a.npy", npy("<f4", "False", "(4, 3)", &f32s(&rows))),
        // Beyond an f32.
        ("b.safetensors", safetensors("activations", Dtype::F64, &[4, 3], &wide)),
    ];
    for (name, bytes) in cases {
        let project = Project::with(&format!("activations::load(\"{name}\");"));
        project.write(name, bytes);
        let stderr = refused(&project, "damaged-file");
        assert!(stderr.contains("row") && stderr.contains("column"), "{stderr}");
        assert!(stderr.contains("not a finite number"), "{stderr}");
    }
    let turned = Project::with("activations::load(\"a.npy\");");
    turned.write("a.npy", npy("<f4", "True", "(2, 2)", &f32s(&[1.0, 2.0, f32::INFINITY, 4.0])));
    refused(&turned, "damaged-file");
    let stderr = fails("activations::from_tensor(tensor::ones([3, 2]) / 0.0);", "out-of-range");
    assert!(stderr.contains("column"), "{stderr}");
}

#[test]
fn special_tokens_inside_contexts_can_be_left_out() {
    let project = with_tiny(
        r#"
        let m = model::load("m");
        let c = corpus::load("docs.jsonl");
        let rows = |options| { options.hook = "blocks.0.hook_mlp_out"; m.activations(c, options).shape[0] };
        let all = rows.call(#{ });
        print(all == rows.call(#{ exclude: [] }));
        // A separator follows each document; those that fall on other positions than the first are left out.
        let left = all - rows.call(#{ exclude: ["eos"] });
        print(left > 0 && left <= c.documents);
        print(rows.call(#{ exclude: ["eos"] }) == rows.call(#{ exclude: [0] }));
        print(rows.call(#{ exclude: ["bos", "<|endoftext|>"] }) == all - left);
        let the = m.tokenize(" the")[0];
        print(rows.call(#{ exclude: [the] }) < all - 100);
        print(rows.call(#{ exclude: [the], tokens: 1000 }));
        let hook = "blocks.0.hook_mlp_out";
        let filed = m.activations(c, #{ hook: hook, exclude: [the, "eos"], tokens: 70_000, seed: 3 });
        let streamed = m.activations(c, #{ hook: hook, exclude: [the, "eos"], tokens: 70_000, seed: 3, store: "stream" });
        print(filed.shape == streamed.shape);
        print((filed.mean() - streamed.mean()).abs().max().item() < 1e-4);
        for wrong in [["<nothing>"], [512]] {
            try { rows.call(#{ exclude: wrong }); } catch (e) { print(e.code); }
        }
    "#,
    );
    assert_eq!(project.prints(), "true\ntrue\ntrue\ntrue\ntrue\n1000\ntrue\ntrue\nunknown-name\nout-of-range\n");
}

//! `tensor::load`: every type of number, both byte orders, both orders of dimensions, and damaged files.

use saerun::host::{Session, run, session::Setup};
use saerun::ops::element::Element;
use saerun::rng::Rng;
use safetensors::{Dtype, tensor::TensorView};

/// An array as numpy writes it: version, type, order of dimensions, shape, values.
fn npy(version: u8, descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let length = (header.len() as u32).to_le_bytes();
    bytes.extend(if version == 1 { &length[..2] } else { &length[..] });
    bytes.extend(header.bytes());
    bytes.extend(values);
    bytes
}

fn script(root: &std::path::Path, text: &str) {
    let setup = Setup { root: root.to_path_buf(), stem: "t".into(), quiet: true, ..Setup::default() };
    let session = std::sync::Arc::new(Session::new(setup).unwrap());
    let done = run::run(&session, "t.rhai", text);
    assert!(done.is_ok(), "{text}: {:?}", done.err());
}

#[test]
fn numbers_of_every_type_become_f32() {
    let five = |bytes: &[u8], element: Element| assert_eq!(element.to_f32(bytes), [5.0], "{element:?}");
    five(&half::f16::from_f32(5.0).to_le_bytes(), Element::F16);
    five(&half::bf16::from_f32(5.0).to_le_bytes(), Element::BF16);
    five(&5f32.to_le_bytes(), Element::F32);
    five(&5f64.to_le_bytes(), Element::F64);
    five(&[5], Element::U8);
    five(&5u16.to_le_bytes(), Element::U16);
    five(&5u32.to_le_bytes(), Element::U32);
    five(&5u64.to_le_bytes(), Element::U64);
    assert_eq!(Element::I8.to_f32(&(-5i8).to_le_bytes()), [-5.0]);
    assert_eq!(Element::I16.to_f32(&(-5i16).to_le_bytes()), [-5.0]);
    assert_eq!(Element::I32.to_f32(&(-5i32).to_le_bytes()), [-5.0]);
    assert_eq!(Element::I64.to_f32(&(-5i64).to_le_bytes()), [-5.0]);
    // The nearest f32, to even.
    assert_eq!(Element::F64.to_f32(&(1.0 + f64::from(f32::EPSILON) / 2.0).to_le_bytes()), [1.0]);
}

#[test]
fn npy_files_of_numpy_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let rows = "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]";
    let c: Vec<f32> = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let cases = [
        npy(1, "<f4", "False", "(2, 3)", &bytes(&c)),
        npy(2, "<f4", "True", "(2, 3)", &bytes(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])),
        npy(3, ">f4", "False", "(2, 3)", &c.iter().flat_map(|x| x.to_be_bytes()).collect::<Vec<u8>>()),
        npy(
            1,
            "<f2",
            "False",
            "(2, 3)",
            &c.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect::<Vec<u8>>(),
        ),
        npy(1, ">f8", "False", "(2, 3)", &c.iter().flat_map(|x| f64::from(*x).to_be_bytes()).collect::<Vec<u8>>()),
        npy(1, "<i8", "False", "(2, 3)", &(1..=6i64).flat_map(i64::to_le_bytes).collect::<Vec<u8>>()),
        npy(1, "|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6]),
    ];
    for case in cases {
        std::fs::write(folder.path().join("a.npy"), case).unwrap();
        script(folder.path(), &format!(r#"assert_eq(tensor::load("a.npy").to_array(), {rows});"#));
    }
    // Three dimensions: a[i][j][k] is 4 i + 2 j + k.
    std::fs::write(folder.path().join("a.npy"), npy(1, "|i1", "True", "(2, 2, 2)", &[0, 4, 2, 6, 1, 5, 3, 7])).unwrap();
    script(
        folder.path(),
        r#"assert_eq(tensor::load("a.npy").reshape([8]).to_array(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);"#,
    );
    std::fs::write(folder.path().join("a.npy"), npy(1, "|b1", "False", "(2,)", &[1, 0])).unwrap();
    script(folder.path(), r#"assert_eq(tensor::load("a.npy").to_array(), [1.0, 0.0]);"#);
    std::fs::write(folder.path().join("a.npy"), npy(1, "<f4", "True", "(9223372036854775808, 0)", &[])).unwrap();
    script(folder.path(), r#"assert_eq(tensor::load("a.npy").shape[1], 0);"#);
    std::fs::write(folder.path().join("a.npy"), npy(1, "<f4", "False", "()", &bytes(&[2.5]))).unwrap();
    script(folder.path(), r#"assert_eq(tensor::load("a.npy").item(), 2.5);"#);
}

#[test]
fn safetensors_of_every_type_are_read_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let halves: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    let ints: Vec<u8> = [1i32, -2].iter().flat_map(|x| x.to_le_bytes()).collect();
    let views = [
        ("a", TensorView::new(Dtype::BF16, vec![2], &halves).unwrap()),
        ("b", TensorView::new(Dtype::I32, vec![2], &ints).unwrap()),
        ("c", TensorView::new(Dtype::F8_E4M3, vec![2], &[0, 0]).unwrap()),
    ];
    std::fs::write(folder.path().join("w.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    script(
        folder.path(),
        r#"
        for name in ["a", "b"] { assert_eq(tensor::load("w.safetensors", #{ name: name }).to_array(), [1.0, -2.0]); }
        let codes = [];
        for name in ["c", "d", "W"] {
            try { tensor::load("w.safetensors", #{ name: name }); codes.push(""); } catch (e) { codes.push(e.code); }
        }
        try { tensor::load("w.safetensors"); codes.push(""); } catch (e) { codes.push(e.code); }
        assert_eq(codes, ["unsupported", "unknown-name", "unknown-name", "unknown-name"]);
        tensor::eye(2).save("x.safetensors", #{ name: "W" });
        assert_eq(tensor::load("x.safetensors", #{ name: "W" }), tensor::load("x.safetensors"));
        "#,
    );
}

#[test]
fn damaged_tensor_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let whole = npy(1, "<f4", "True", "(2, 3)", &[0; 24]);
    let mut cases: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    cases.push(npy(1, "<f4", "False", "(18446744073709551615, 2)", &[0; 24]));
    cases.push(npy(1, "<f4", "False", "(4611686018427387904, 4)", &[]));
    cases.push(npy(1, "<f4", "False", "(-1,)", &[]));
    cases.push(npy(1, "<f4", "True", "(9223372036854775808, 4, 0)", &[]));
    cases.push(npy(1, "<c8", "False", "(1,)", &[0; 8]));
    cases.push(npy(1, "[('a', '<f4')]", "False", "(1,)", &[0; 4]));
    cases.push(npy(9, "<f4", "False", "(1,)", &[0; 4]));
    let mut rng = Rng::new(0, "test npy");
    for i in 0..1500 {
        let mut bytes = whole.clone();
        let at = if i % 3 == 0 { rng.below(bytes.len()) } else { rng.below(80) };
        bytes[at] = rng.bits() as u8;
        cases.push(bytes);
    }
    let names: Vec<String> = (0..cases.len()).map(|i| format!("{i}.npy")).collect();
    for (name, bytes) in names.iter().zip(&cases) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let must = whole.len() + 7;
    script(
        folder.path(),
        &format!(
            r#"for i in 0..{} {{
                let code = "";
                try {{ tensor::load(`${{i}}.npy`); }} catch (e) {{ code = e.code; }}
                assert(code == "damaged-file" || (i >= {must} && code == ""), `${{i}}: ${{code}}`);
            }}"#,
            cases.len()
        ),
    );
}

//! Files of target models.

use super::{Project, refused, with_tiny};

/// A `.gguf` of one fact and the tensors that are given, in the older layout of lengths where `wide` is false.
fn gguf(key: &str, kind: u32, value: &[u8], tensors: &[u8], count: u64) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(key.bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
    bytes.extend(tensors);
    bytes
}

#[test]
fn a_damaged_gguf_is_refused_and_never_a_panic() {
    // A4
    let tensor = |dimensions: &[u64]| {
        let mut bytes = 1u64.to_le_bytes().to_vec();
        bytes.push(b'w');
        bytes.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|d| bytes.extend(d.to_le_bytes()));
        bytes.extend([0; 12]);
        bytes
    };
    let pad = vec![7u8; 64];
    let with = |part: Vec<u8>| [part, pad.clone()].concat();
    let huge_list = [8u32.to_le_bytes().to_vec(), u64::MAX.to_le_bytes().to_vec()].concat();
    let cases = [
        ("alignment 0", gguf("general.alignment", 4, &0u32.to_le_bytes(), &pad, 0), "alignment"),
        ("alignment 0 of one byte", gguf("general.alignment", 0, &[0], &pad, 0), "alignment"),
        ("alignment 0 of eight bytes", gguf("general.alignment", 10, &0u64.to_le_bytes(), &pad, 0), "alignment"),
        ("alignment 12", gguf("general.alignment", 4, &12u32.to_le_bytes(), &pad, 0), "alignment"),
        ("alignment of a text", gguf("general.alignment", 8, &[0; 8], &pad, 0), "alignment"),
        ("alignment 2^31", gguf("general.alignment", 4, &(1u32 << 31).to_le_bytes(), &pad, 0), "alignment"),
        ("a text beyond the file", gguf("a", 8, &(1u64 << 40).to_le_bytes(), &pad, 0), "text"),
        ("a list beyond the file", gguf("a", 9, &huge_list, &pad, 0), "a"),
        ("tensors beyond the file", gguf("a", 0, &[1], &pad, u64::MAX), "tensors"),
        ("a dimension of length 0", gguf("a", 0, &[1], &with(tensor(&[0, 4])), 1), "length 0"),
        ("a hundred dimensions", gguf("a", 0, &[1], &with(tensor(&[1; 100])), 1), "dimensions"),
        ("no gguf", b"GGML0000".to_vec(), "begin"),
        ("nothing", Vec::new(), "early"),
    ];
    for (what, bytes, word) in cases {
        let project = Project::with("model::load(\"x.gguf\");");
        project.write("x.gguf", bytes);
        let stderr = refused(&project, "damaged-file");
        assert!(stderr.contains(word), "{what}: {stderr}");
    }
}

#[test]
fn an_index_that_an_earlier_save_left_beside_the_whole_file_is_passed_over() {
    let project = with_tiny("print(model::load(\"m\").config.d_vocab);");
    let stale = r#"{"metadata": {}, "weight_map": {"wte.weight": "model-00001-of-00002.safetensors"}}"#;
    for index in [stale, "{}", "not JSON"] {
        project.write("m/model.safetensors.index.json", index);
        assert_eq!(project.prints(), "512\n", "{index}");
    }
    // Without the whole file the index counts.
    std::fs::remove_file(project.path().join("m/model.safetensors")).expect("it was there");
    project.write("m/model.safetensors.index.json", stale);
    assert!(refused(&project, "missing-file").contains("model-00001-of-00002"));
}

#[test]
fn a_folder_in_place_of_a_file_and_text_that_is_none_have_the_right_code() {
    let project = with_tiny("model::load(\"m\");");
    std::fs::remove_file(project.path().join("m/tokenizer.json")).expect("it was there");
    std::fs::create_dir(project.path().join("m/tokenizer.json")).expect("a folder");
    assert!(refused(&project, "damaged-file").contains("a folder"));
    let project = with_tiny("model::load(\"m\");");
    project.write("m/config.json", [0xff, 0xfe, b'{']);
    refused(&project, "damaged-file");
    let project = with_tiny("corpus::load(\"docs\");");
    std::fs::create_dir(project.path().join("docs")).expect("a folder");
    refused(&project, "damaged-file");
    let project = Project::with("tensor::load(\"x.npy\");");
    std::fs::create_dir(project.path().join("x.npy")).expect("a folder");
    assert!(refused(&project, "damaged-file").contains("a folder"));
    let project = Project::new();
    std::fs::create_dir(project.path().join("x.rhai")).expect("a folder");
    let ran = project.saerun(&["x.rhai"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("a folder") && ran.stderr.contains("[damaged-file]"),
        "{}",
        ran.stderr
    );
}

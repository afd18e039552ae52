//! The language: closures, order, numbers, parameters, errors that are caught, and what a script may look like.

use super::{Project, fails, prints};

#[test]
fn sort_takes_the_sign_of_a_float() {
    // W8
    let script = r#"
        let a = [#{ v: 0.5 }, #{ v: 0.25 }, #{ v: -0.1 }, #{ v: 0.3 }];
        a.sort(|a, b| a.v - b.v);
        print(a.map(|x| x.v));
        print([3, 1, 2].order(|a, b| (b - a) * 0.001));
        print([3, 1, 2].order_by(|a, b| a < b));
    "#;
    assert_eq!(prints(script), "[-0.1, 0.25, 0.3, 0.5]\n[3, 2, 1]\n[1, 2, 3]\n");
}

#[test]
fn errors_of_a_closure_come_through_with_their_line() {
    // W8
    let report = fails("let a = [#{ v: 2 }, #{ v: 1 }];\na.sort(|a, b|\n  a.v - b.w);", "unknown-name");
    assert!(report.contains("case.rhai:3:"), "{report}");
    for method in ["sort", "order_by", "dedup"] {
        let report = fails(&format!("let a = [1, 2];\na.{method}(|a, b|\n  a.nothing);"), "unknown-name");
        assert!(report.contains("case.rhai:3:"), "{report}");
    }
    for method in ["filter", "some", "all", "find", "find_map", "index_of", "retain", "drain", "map"] {
        let report = fails(&format!("let a = [1, 2];\na.{method}(|x|\n  [x][5]);"), "out-of-range");
        assert!(report.contains("case.rhai:3:"), "{method}: {report}");
    }
    let report = fails("table::from_columns([[\"v\", [1]]]).filter(|r|\n  r.w > 1);", "unknown-name");
    assert!(report.contains("case.rhai:2:"), "{report}");
}

#[test]
fn a_predicate_gives_a_bool() {
    // W8
    for call in ["filter", "some", "all", "find", "index_of", "retain", "drain"] {
        fails(&format!("let a = [1, 2, 3, 4]; a.{call}(|x| x % 2);"), "wrong-type");
        fails(&format!("fn odd(x) {{ x % 2 }} let a = [1, 2]; a.{call}(Fn(\"odd\"));"), "wrong-type");
    }
    for call in ["filter", "retain", "drain"] {
        fails(&format!("let m = #{{ a: 1 }}; m.{call}(|k, v| v);"), "wrong-type");
    }
    fails("let a = [1, 1]; a.dedup(|a, b| a - b);", "wrong-type");
    fails("[2, 1].order(|a, b| \"a\");", "wrong-type");
    fails("table::from_columns([[\"v\", [1]]]).filter(|r| r.v);", "wrong-type");
    fails("let a = [1, 2]; a.filter(|x, y, z| true);", "wrong-type");
}

#[test]
fn methods_with_closures_do_what_they_did() {
    // W8
    let script = r#"
        let a = [1, 2, 3, 4, 4, 5];
        print(a.filter(|x| x % 2 == 0)); print(a.filter(|x, i| i > 3)); print(a.filter(|| this > 4));
        print(a.map(|x| x * x)); print(a.map(|x, i| x * i));
        print(a.some(|x| x > 4)); print(a.all(|x| x > 4)); print(a.find(|x| x > 2)); print(a.index_of(|x| x > 2));
        print(a.index_of(4)); print(a.reduce(|s, x| s + x, 0)); print(a.reduce_rev(|s, x| `${s}${x}`, ""));
        print(a.find_map(|x| if x > 3 { x * 10 })); print(a.zip([1, 1], |x, y| x + y));
        let b = a; print(b.drain(|x| x > 3)); print(b); print(b.retain(|x| x > 1)); print(b);
        a.dedup(); print(a); a.for_each(|| this += 1); print(a);
        let m = #{ a: 1, b: 2 }; print(m.map(|k, v| `${k}${v}`).b); print(m.filter(|k, v| v > 1)); print(m.drain(|k| this > 1)); print(m);
        print([3.5, 1].order(|x, y| x - y)); print(["b", "a"].order()); print([true, false].order_desc());
    "#;
    let expected = "[2, 4, 4]\n[4, 5]\n[5]\n[1, 4, 9, 16, 16, 25]\n[0, 2, 6, 12, 16, 25]\ntrue\nfalse\n3\n2\n3\n19\n544321\n40\n[2, 3]\n\
        [4, 4, 5]\n[1, 2, 3]\n[1]\n[2, 3]\n[1, 2, 3, 4, 5]\n[2, 3, 4, 5, 6]\nb2\n#{\"b\": 2}\n#{\"b\": 2}\n#{\"a\": 1}\n[1, 3.5]\n\
        [\"a\", \"b\"]\n[true, false]\n";
    assert_eq!(prints(script), expected);
}

#[test]
fn sort_puts_nan_last_and_never_panics() {
    // W9
    let script = r#"
        let nan = 0.0 / 0.0;
        let a = [];
        for i in 0..64 { a.push(if i % 5 == 0 { if i % 2 == 0 { nan } else { -nan } } else { (i * 37 % 64).to_float() }); }
        a.sort();
        print(a.extract(0, 3)); print(a.filter(|x| x.is_nan).len()); print(a[50].is_nan || a[51].is_nan); print(a[63].is_nan);
        let down = [1.0, nan, 3, 2.5].order_desc();
        print(down.extract(0, 3)); print(down[3].is_nan);
        let odd = []; for i in 0..200 { odd.push(i * 7919 % 200); }
        odd.sort(|a, b| if (a * b) % 3 == 0 { 1 } else { -1 }); print(odd.len());
        odd.sort(|a, b| 1); odd.sort(|a, b| -1); odd.sort(|a, b| true);
        odd.sort(); print(odd == (0..200).map(|x| x)) ;
    "#;
    let script = script.replace("print(odd == (0..200).map(|x| x)) ;", "print(odd[0] == 0 && odd[199] == 199);");
    assert_eq!(prints(&script), "[2.0, 3.0, 4.0]\n13\ntrue\ntrue\n[3, 2.5, 1.0]\ntrue\n200\ntrue\n");
}

#[test]
fn ints_and_floats_sort_together_and_nothing_else_does() {
    // W9
    let script =
        "let a = [2.5, 1, 3]; a.sort(); print(a); print([2, 1.5, -3, 9007199254740993, 9007199254740992.0].order());";
    assert_eq!(prints(script), "[1, 2.5, 3]\n[-3, 1.5, 2, 9007199254740992.0, 9007199254740993]\n");
    for array in ["[1, \"a\"]", "[[2], [1]]", "[(), 1]", "[#{}, #{}]", "['a', \"b\"]"] {
        fails(&format!("let a = {array}; a.sort();"), "wrong-type");
    }
    fails("let a = [2.0, 0.0 / 0.0, 1.0]; a.sort(|x, y| x - y);", "out-of-range");
}

#[test]
fn to_int_of_what_is_no_int_is_an_error() {
    // W16
    for x in
        ["(0.0 / 0.0)", "(1.0 / 0.0)", "(-1.0 / 0.0)", "1e20", "9223372036854775808.0", "1e308", "(0.0 / 0.0).floor()"]
    {
        fails(&format!("print({x}.to_int());"), "out-of-range");
    }
    let script =
        "print((-9223372036854775808.0).to_int()); print(2.9.to_int()); print((-2.9).to_int()); print(-0.0.to_int());";
    assert_eq!(prints(script), "-9223372036854775808\n2\n-2\n0\n");
}

#[test]
fn ints_never_wrap() {
    // W16
    let max = "9223372036854775807";
    let cases = [
        format!("{max} + 1"),
        format!("-{max} - 2"),
        format!("{max} * 2"),
        format!("(-{max} - 1) / -1"),
        format!("-(-{max} - 1)"),
        format!("(-{max} - 1).abs()"),
        "2 ** 63".to_string(),
        "2 ** -1".to_string(),
        "10 ** 4294967296".to_string(),
        "1 << 63".to_string(),
        "1 << 64".to_string(),
        "1 >> 64".to_string(),
        "1 << -64".to_string(),
        "\"9223372036854775808\".parse_int()".to_string(),
        "\"1e999\".parse_float()".to_string(),
        "5 / 0".to_string(),
        "5 % 0".to_string(),
    ];
    for case in cases {
        fails(&format!("let x = {case}; print(x);"), "out-of-range");
    }
    fails("print(\"12x\".parse_int());", "wrong-type");
    fails("print(\"1.5.2\".parse_float());", "wrong-type");
    let script = "print(1 << 62); print(-1 >> 63); print(\"-7\".parse_int()); print(9007199254740993 == 9007199254740992.0); \
        print(2.0 ** -1); let x = 3; x <<= 2; print(x); print(\"inf\".parse_float());";
    assert_eq!(prints(script), "4611686018427387904\n-1\n-7\nfalse\n0.5\n12\ninf\n");
}

/// A project with a script that prints its parameters.
fn with_params(declared: &str) -> Project {
    Project::with(&format!("let p = params(#{{ {declared} }}); print(p.to_json());"))
}

#[test]
fn parameters_are_typed_inside_arrays_and_maps() {
    // W11
    let project = with_params(
        "xs: [0.1, 0.2], names: [\"a\"], nested: [[1.0], []], seeds: [1], any: [], opts: #{ lr: 0.5, k: 3 }, mixed: [1, 0.5]",
    );
    let set = |value: &str| project.saerun(&["case.rhai", "--set", value]);
    for (value, shows) in [
        ("xs=[1,2]", "\"xs\":[1.0,2.0]"),
        ("xs=[]", "\"xs\":[]"),
        ("nested=[[1,2],[3]]", "\"nested\":[[1.0,2.0],[3.0]]"),
        ("any=[1,\"a\"]", "\"any\":[1,\"a\"]"),
        ("opts={\"lr\":1}", "\"opts\":{\"k\":3,\"lr\":1.0}"),
        ("mixed=[2,3]", "\"mixed\":[2.0,3.0]"),
    ] {
        let ran = set(value);
        assert_eq!(ran.code, 0, "{value}: {}", ran.stderr);
        assert!(ran.stdout.contains(shows), "{value}: {}", ran.stdout);
    }
    for value in [
        "names=[1,2]",
        "names=[null]",
        "xs=[\"a\"]",
        "xs=[0.1,null]",
        "xs=[[0.1]]",
        "xs=0.1",
        "seeds=[1.5]",
        "nested=[[null]]",
        "nested=[1]",
        "any=[null]",
        "opts={\"lr\":null}",
        "opts={\"k\":1.5}",
    ] {
        let ran = set(value);
        assert_eq!(ran.code, 2, "{value}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("[wrong-type]"), "{value}: {}", ran.stderr);
    }
    let ran = set("opts={\"lrr\":1}");
    assert!(ran.stderr.contains("[unknown-parameter]") && ran.stderr.contains("`lr`"), "{}", ran.stderr);
    project.write("p.yaml", "xs: [1, 2]\nnames: [b]\n");
    let ran = project.saerun(&["case.rhai", "--params", "p.yaml"]);
    assert!(ran.stdout.contains("\"xs\":[1.0,2.0]") && ran.stdout.contains("[\"b\"]"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn params_shows_defaults_as_they_are_written() {
    // W14
    let project = Project::with(
        "let k = 2;\nlet p = params(#{ s: `x,y`, q: \"q\\\"u,o}te\", r: 1.0 / 3.0, // a note, here\n  a: [1, 2], m: #{ a: 1 }, i: `${k}, ${#{ b: 1 }.b}`,\n  \
         f: if k > 1 { 2 } else { 3 }, url: \"http://x\", \"odd: key\": 'c' /* last */ });",
    );
    let ran = project.saerun(&["params", "case.rhai"]);
    let expected = "s = `x,y`\nq = \"q\\\"u,o}te\"\nr = 1.0 / 3.0\na = [1, 2]\nm = #{ a: 1 }\ni = `${k}, ${#{ b: 1 }.b}`\n\
        f = if k > 1 { 2 } else { 3 }\nurl = \"http://x\"\nodd: key = 'c'\n";
    assert_eq!(ran.stdout, expected, "{}", ran.stderr);
}

#[test]
fn set_keeps_the_blanks_of_a_string() {
    // W15
    let project = with_params("s: \"\", n: 0, x: 0.5");
    let ran = project.saerun(&["case.rhai", "--set", "s= padded ", "--set", "n= 3 ", "--set", " x =1"]);
    assert_eq!(ran.stdout.trim_end(), "{\"n\":3,\"s\":\" padded \",\"x\":1.0}", "{}", ran.stderr);
}

#[test]
fn a_parameter_is_set_once() {
    // L7
    let project = with_params("seed: 0, inner: #{ a: 1 }");
    project.write("p.yaml", "seed: 1\nseed: 2\n");
    project.write("nested.yaml", "inner:\n  a: 1\n  a: 2\n");
    for file in ["p.yaml", "nested.yaml"] {
        let ran = project.saerun(&["case.rhai", "--params", file]);
        assert!(ran.code == 2 && ran.stderr.contains("duplicate"), "{}{}", ran.stdout, ran.stderr);
    }
    let ran = project.saerun(&["case.rhai", "--set", "seed=1", "--set", "seed=2"]);
    assert!(ran.code == 2 && ran.stderr.contains("`--set seed=..` is given twice"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn filling_an_array_takes_linear_time() {
    // H3
    let script = "let a = []; for i in 0..200_000 { a.push(i) } let m = #{ rows: [] }; for i in 0..100_000 { m.rows.push([i]); }\n\
        let s = \"\"; for i in 0..100_000 { s += \"ab\"; } print(a.len() + m.rows.len() + s.len());";
    let ran = Project::with(script).saerun(&["case.rhai"]);
    assert_eq!(ran.stdout, "500000\n", "{}", ran.stderr);
    assert!(ran.took.as_secs() < 15, "{:?}", ran.took);
}

#[test]
fn what_a_script_holds_is_limited() {
    // H3
    for script in [
        "let a = []; a.pad(1_000_000_000_000, 0);",
        "let a = [1]; a.pad(9_223_372_036_854_775_807, [1, 2]);",
        "let s = \"a\"; s.pad(1_000_000_000_000_000, 'x');",
        "let s = \"a\"; s.pad(9_223_372_036_854_775_807, \"xy\");",
        "let b = blob(9_223_372_036_854_775_807);",
        "let s = \"a\"; loop { s += s; }",
        "let a = [1]; loop { a += a; }",
        "let m = [\"\"]; let s = \"\"; s.pad(1000000, 'x'); s.replace(\"x\", s);",
    ] {
        let ran = Project::with(script).saerun(&["case.rhai", "--memory", "512MiB"]);
        assert!(ran.code == 1 && ran.stderr.contains("[too-large]"), "{script}: {}{}", ran.code, ran.stderr);
    }
}

#[test]
fn tensors_without_elements_never_panic() {
    // A3
    let report = fails("tensor::zeros([]).select([]);", "out-of-range");
    assert!(report.contains("no rows"), "{report}");
    fails("tensor::zeros([0, 3]).select([]);", "out-of-range");
    fails("print(tensor::zeros([1_000_000_000_000, 0]));", "too-large");
    let script = r#"
        print(tensor::eye(3).select([]).shape); print(tensor::zeros([2, 0]).select([1, 1, 0]).shape);
        print(tensor::zeros([2, 0]).matmul(tensor::zeros([0, 3])).to_array()); print(tensor::eye(0).shape);
        print(tensor::zeros([0, 3]).to_array()); print(tensor::zeros([0]).sum().item());
    "#;
    assert_eq!(prints(script), "[0, 3]\n[3, 0]\n[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]\n[0, 0]\n[]\n0.0\n");
}

/// Every function of tensors, dictionaries and values on every empty shape: an answer or an error, and never a panic.
#[test]
fn functions_of_empty_shapes_never_panic() {
    // A3
    let script = r#"
        let shapes = [[], [0], [1], [0, 0], [0, 3], [3, 0], [1, 1], [0, 2, 3], [2, 0, 3], [2, 3, 0]];
        let made = shapes.map(|s| tensor::zeros(s));
        let one = [
            |w| w.row(0), |w| w.rows(0, 0), |w| w.select([]), |w| w.select([0]), |w| w.to_array(), |w| w.item(), |w| w.t(), |w| w.shape,
            |w| w.abs(), |w| w.sqr(), |w| w.sqrt(), |w| w.exp(), |w| w.log(), |w| w.relu(), |w| w.sin(), |w| w.cos(), |w| w.tanh(), |w| w.neg(),
            |w| -w, |w| w + 1, |w| 2.0 / w, |w| w.pow(2), |w| w.pow(0.5), |w| w.clamp(0, 1), |w| w.reshape([0]), |w| w.reshape([]), |w| w.reshape([1, 0]),
            |w| w.sum(), |w| w.mean(), |w| w.max(), |w| w.min(), |w| w.sum(0), |w| w.mean(0), |w| w.max(0), |w| w.min(0), |w| w.sum(1), |w| w.max(1),
            |w| w.argmax(0), |w| w.argmax(1), |w| w.norm_rows(), |w| w.normalize_rows(), |w| `${w}`, |w| w == w, |w| w.matmul(w), |w| w.t().matmul(w),
            |w| geometry::summary(w), |w| geometry::nearest_neighbors(w), |w| geometry::spectrum(w), |w| geometry::feature_dimensionality(w),
            |w| geometry::peaks(geometry::nearest_neighbors(w)), |w| geometry::hubs(geometry::nearest_neighbors(w)),
            |w| reg::mean_cos().value(w), |w| reg::mean_max_cos().gradient(w), |w| reg::max_max_cos().value(w), |w| reg::three_term().gradient(w),
            |w| reg::ortsae().value(w), |w| reg::soft_orthogonality().gradient(w), |w| reg::double_soft_orthogonality().value(w),
            |w| reg::frame_potential().gradient(w), |w| reg::tight_frame_gap().gradient(w), |w| reg::mutual_coherence().gradient(w), |w| reg::srip().gradient(w),
            |w| reg::log_sum_exp(#{ beta: 10.0 }).gradient(w), |w| reg::hinge(#{ tau: 0.1 }).gradient(w), |w| reg::babel(#{ k: 1 }).gradient(w),
            |w| reg::custom("c", |v| v.sum()).gradient(w), |w| compare::mmcs(w, w), |w| compare::matching(w, w), |w| compare::procrustes(w, w),
            |w| compare::cka(w, w), |w| compare::mmcs(w, tensor::eye(3)), |w| compare::matching(tensor::eye(3), w),
            |w| synthetic::recovery(w, w), |w| synthetic::recovery(tensor::eye(3), w),
            |w| activations::from_tensor(w), |w| activations::from_tensor(w).mean(), |w| activations::from_tensor(w).sample(1, 0),
            |w| sae::train(activations::from_tensor(w), #{ d_sae: 2 }), |w| w.save("x.npy"), |w| w.save("x.safetensors"), |w| tensor::load("x.npy"),
            |w| plot::heatmap(#{ values: w }).save("h"), |w| plot::heatmap(#{ values: w.to_array() }).save("h"), |w| tensor::from_rows([w.to_array()]),
        ];
        let answers = 0; let errors = 0;
        for w in made {
            for (f, i) in one {
                try { f.call(w); answers += 1; } catch (e) {
                    if e.code == "internal" { throw `${w.shape}, function ${i}: ${e}`; }
                    errors += 1;
                }
            }
            for v in made {
                for f in [|a, b| a + b, |a, b| a / b, |a, b| a.matmul(b), |a, b| a == b, |a, b| compare::mmcs(a, b)] {
                    try { f.call(w, v); answers += 1; } catch (e) { if e.code == "internal" { throw `${w.shape} ${v.shape}: ${e}`; } errors += 1; }
                }
            }
        }
        for values in [[], [()], [0.0 / 0.0], [1.0]] {
            for f in [
                |x| geometry::peaks(x), |x| geometry::histogram(x), |x| compare::ks(x, x), |x| compare::wasserstein(x, x), |x| compare::ks(x, [1.0]),
                |x| tensor::from_values(x), |x| tensor::from_rows([x]), |x| tensor::from_rows(x), |x| table::from_columns([["x", x]]).describe(),
                |x| plot::histogram(#{ series: [#{ name: "x", values: x }] }).save("p"), |x| plot::line(#{ series: [#{ name: "x", x: x, y: x }] }).save("p"),
            ] {
                try { f.call(x_of(values)); answers += 1; } catch (e) { if e.code == "internal" { throw `${values}: ${e}`; } errors += 1; }
            }
        }
        fn x_of(values) { values }
        print(answers > 300 && errors > 300);
    "#;
    assert_eq!(prints(script), "true\n");
}

/// Statements that fail, and the code of each.
const FAILING: [(&str, &str); 30] = [
    ("1 / 0", "out-of-range"),
    ("1 % 0", "out-of-range"),
    ("9223372036854775807 + 1", "out-of-range"),
    ("[1, 2][5]", "out-of-range"),
    ("[][0]", "out-of-range"),
    ("\"abc\"[7]", "out-of-range"),
    ("#{ a: 1 }.b", "unknown-name"),
    ("#{ a: 1 }[\"b\"]", "unknown-name"),
    ("Fn(\"nothing\").call(1)", "unknown-function"),
    ("(|x| x).call(1, 2)", "wrong-type"),
    ("\"abc\".parse_int()", "wrong-type"),
    ("\"99999999999999999999\".parse_int()", "out-of-range"),
    ("throw \"s\"", "failed"),
    ("throw 42", "failed"),
    ("throw #{ a: 1 }", "failed"),
    ("throw [1, 2]", "failed"),
    ("throw ()", "failed"),
    ("throw", "failed"),
    ("deep(0)", "too-large"),
    ("let b = 3; if b { }", "wrong-type"),
    ("let n = 3; for x in n { }", "wrong-type"),
    ("1 + \"a\" - 2", "wrong-type"),
    ("true + 1", "wrong-type"),
    ("(1).nothing", "unknown-name"),
    ("let u = (); u.nothing", "unknown-name"),
    ("let t = true; t[0]", "wrong-type"),
    ("const C = 1; change(C)", "failed"),
    ("tensor::zeros([-1])", "out-of-range"),
    ("assert(false)", "failed"),
    ("inner()", "out-of-range"),
];

#[test]
fn every_caught_error_has_one_shape() {
    // point 4
    for (statement, code) in FAILING {
        let script = format!(
            "fn deep(n) {{ deep(n + 1) }}\nfn inner() {{ let f = |x| [x][3]; f.call(1) }}\nfn change(x) {{ throw \"no\" }}\n\
             try {{ {statement}; }} catch (e) {{\n  print(e.code); print(type_of(e.message)); print(e.help); print(type_of(e.line)); print(e.message);\n  \
             print(`${{e}}`); }}"
        );
        let out = prints(&script);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], code, "{statement}: {out}");
        assert_eq!((lines[1], lines[3]), ("string", "i64"), "{statement}: {out}");
        let raw = ["i64", "&str", "ImmutableString", "Function not found", "a getter", "anon$", "(line ", "rhai"];
        let words = lines[4..].join("\n") + lines[2];
        assert!(raw.iter().all(|raw| !words.contains(raw)), "{statement}: {out}");
        assert!(!words.trim().is_empty(), "{statement}: {out}");
    }
}

#[test]
fn what_is_thrown_stays_what_it_is() {
    // point 4
    let script = r#"
        try { throw "s" } catch (e) { print(e); print(e == "s"); print(e.len()); print(e.message); print(e.line); }
        try { throw 42 } catch (e) { print(e + 1); print(e.message); }
        try { throw #{ kind: "mine", n: 3 } } catch (e) { print(e.kind); print(e.n); print(e.code); print(e.line); }
        try { throw #{ code: "own", message: "m", help: "h" } } catch (e) { print(e.code); print(e.message); print(e.help); }
        try { try { 1 / 0 } catch (e) { throw e } } catch (e) { print(e.code); print(e.line); }
        try { try { [1][3] } catch { throw } } catch (e) { print(e.code); }
        try { try { throw "again" } catch (e) { throw e } } catch (e) { print(e); print(e.line); }
        let x = "plain"; try { x.code } catch (e) { print(e.message); }
    "#;
    let expected = "s\ntrue\n1\ns\n2\n43\n42\nmine\n3\nfailed\n4\nown\nm\nh\nout-of-range\n6\nout-of-range\nagain\n8\n\
        string has no property `code`\n";
    assert_eq!(prints(script), expected);
}

#[test]
fn errors_are_caught_inside_closures() {
    // point 4
    let script = r#"
        let f = |x| { try { throw "a"; } catch (e) { print(e.message); } }; f.call(1);
        let e = 7; let n = 2;
        let g = |x| {
            try { [1][x + n] } catch (error) { print(error.code); print(error.line); let q = error; print(q.message.len() > 5); }
            x + e
        };
        print(g.call(5));
        fn inside(list) { list.map(|x| { try { 1 / x } catch (err) { err.code } ; try { 1 / x } catch (err) { print(err.code); } }) }
        inside([0, 1]);
        try { let h = || { try { 1 / 0 } catch (e) { throw e.code } }; h.call() } catch (e) { print(e); }
        print(e);
    "#;
    let expected = "a\nout-of-range\n5\ntrue\n12\nout-of-range\nout-of-range\n7\n";
    assert_eq!(prints(script), expected);
}

#[test]
fn a_caught_error_knows_the_line_inside_a_function_and_an_import() {
    // point 4
    let project = Project::with(
        "import \"lib/a\" as a;\nfn f(x) {\n  x / 0\n}\ntry { f(1) } catch (e) { print(e.line); print(e.file); }\n\
         try { a::g() } catch (e) { print(e.line); print(e.file); print(e.message); }",
    );
    project.write("lib/a.rhai", "\n\nfn g() {\n\n  let m = #{}; m.missing\n}\n");
    assert_eq!(project.prints(), "3\ncase.rhai\n5\nlib/a.rhai\nthe map has no key `missing`\n");
}

#[test]
fn try_and_catch_keep_their_meaning() {
    // point 4
    let script = r#"
        fn f(n) { try { if n > 2 { return "early"; } n / 0 } catch (n) { return n.code; } "after" }
        print(f(3)); print(f(1));
        let sum = 0;
        for i in 0..6 { try { if i == 1 { continue; } if i == 4 { break; } if i == 2 { throw "x"; } sum += i; } catch (e) { sum += 100; } }
        print(sum);
        let e = "outer"; let kept = 5;
        try { let kept = 6; throw kept } catch (e) { let local = e + kept; print(local); }
        print(e); print(kept);
        let fs = []; for i in 0..2 { try { throw i } catch (e) { let own = e; fs.push(|| own + kept); } }
        print(fs[0].call() + fs[1].call());
        let g = |x| { try { x / 0 } catch (e) { `${x}: ${e.message}` } };
        print(g.call(7) == ());
        try { throw "a" } catch (e) { }
        [1, 2].len();
        try { throw "a" } catch (e) { } // a comment
        -1;
        try { 1 } catch (e) { 2 } (3 + 4);
        const LIMIT = 3;
        fn uses() { try { global::LIMIT + 1 } catch (e) { 0 } }
        print(uses());
        try { let a = [1]; a[9] = 1; } catch (e) { try { throw e.code } catch (inner) { print(inner + "/" + e.line); } }
    "#;
    let expected = "early\nout-of-range\n103\n11\nouter\n5\n11\ntrue\n4\nout-of-range/22\n";
    assert_eq!(prints(script), expected);
}

#[test]
fn an_uncaught_error_uses_the_same_words() {
    // point 4
    let report = fails("let x = 1;\nprint(x / 0);", "out-of-range");
    assert!(report.contains("division by zero") && report.contains("case.rhai:2:"), "{report}");
    let report = fails("const C = [1];\nC.push(2);", "failed");
    assert!(report.contains("constant"), "{report}");
    let report = fails("let f = |x| x;\nf.call(1, 2);", "wrong-type");
    assert!(!report.contains("anon$"), "{report}");
    let report = fails("throw #{ message: \"too few\", help: \"take more\" };", "failed");
    assert!(report.contains("too few") && report.contains("take more"), "{report}");
}

#[test]
fn imports_may_be_named_by_a_variable() {
    let project = Project::with("let path = \"lib/a\";\nif true { path += \"\"; }\nimport path as a;\nprint(a::g(2));");
    project.write("lib/a.rhai", "fn g(x) { x + 1 }");
    assert_eq!(project.prints(), "3\n");
    let check = project.saerun(&["check", "case.rhai"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    project.write("case.rhai", "const PATH = \"lib/a\"; import PATH as a; a::h(2);");
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.stderr.contains("[unknown-function]"), "{}", ran.stderr);
}

#[test]
fn scripts_may_begin_with_a_mark_or_an_interpreter() {
    for head in ["\u{feff}", "#!/usr/bin/env saerun\n", "\u{feff}#!/usr/bin/env saerun\n"] {
        let project = Project::with(&format!("{head}print(1);"));
        assert_eq!(project.prints(), "1\n", "{head:?}");
        let line = 1 + head.matches('\n').count();
        project.write("case.rhai", format!("{head}let x = 1;   x.nothing;\ntry {{ 1 / 0 }} catch (e) {{ }}"));
        let ran = project.saerun(&["case.rhai"]);
        let place = format!("case.rhai:{line}:16");
        assert!(ran.stderr.contains(&place), "{head:?} {place}: {}", ran.stderr);
        project.write("lib.rhai", format!("{head}fn f() {{ 7 }}"));
        project.write("case.rhai", format!("{head}import \"lib\" as l; print(l::f());"));
        assert_eq!(project.prints(), "7\n", "{head:?}");
    }
}

#[test]
fn check_warns_of_arithmetic_that_misleads() {
    let warned = |script: &str, code: &str| {
        let ran = Project::with(script).saerun(&["check", "case.rhai"]);
        assert_eq!(ran.code, 0, "{}", ran.stdout);
        ran.stdout.contains(&format!("warning[{code}]"))
    };
    for script in ["let x = 3.0; print(-x ** 2.0);", "print(-2 ** 2);", "print(-2.5 ** 2.0);", "print((-2.0 ** 2.0));"]
    {
        assert!(warned(script, "power-of-negative"), "{script}");
    }
    for script in [
        "let x = 3.0; print((-x) ** 2.0);",
        "print(-(2 ** 2));",
        "print((-2) ** 2);",
        "print(2.0 ** -1);",
        "print(1 - 2 ** 2);",
    ] {
        assert!(!warned(script, "power-of-negative"), "{script}");
    }
    for script in ["print(1 / 2);", "print(3 / 1000 * 2.0);", "print(-7 / 2);"] {
        assert!(warned(script, "int-division"), "{script}");
    }
    for script in ["print(4 / 2);", "print(1.0 / 2);", "let n = 3; print(n / 2);"] {
        assert!(!warned(script, "int-division"), "{script}");
    }
    for script in ["print(2.0.log());", "let x = 8.0; print(x.log());"] {
        assert!(warned(script, "log-base"), "{script}");
    }
    for script in
        ["print(tensor::ones([1]).log());", "print(2.0.ln());", "print(2.0.log(10.0));", "// log10\nprint(2.0.log());"]
    {
        assert!(!warned(script, "log-base"), "{script}");
    }
}

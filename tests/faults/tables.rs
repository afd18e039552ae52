//! Tables, CSV files, plots and grids.

use std::process::Command;
use std::time::Duration;

use super::{Project, fails, prints};

/// Asserts, in the script, that a table is the same after it was saved and read.
const ROUND_TRIP: &str = r#"
fn same(t, name) {
    t.save(name);
    let back = table::read("results/case/" + name + ".csv");
    run::require(back.columns == t.columns, `columns ${back.columns}`);
    for c in t.columns {
        let a = t.column(c);
        let b = back.column(c);
        for i in 0..a.len() {
            run::require(type_of(a[i]) == type_of(b[i]), `${c}[${i}]: ${type_of(a[i])} ${a[i]} came back as ${type_of(b[i])} ${b[i]}`);
            let same = if a[i] != a[i] { b[i] != b[i] } else { a[i] == b[i] };
            run::require(same, `${c}[${i}]: ${a[i]} came back as ${b[i]}`);
        }
    }
}
"#;

#[test]
fn quoted_text_stays_text() {
    // W6
    prints(&format!(
        r#"{ROUND_TRIP}
        same(table::from_columns([["id", ["007", "7e013608", "1e5"]], ["n", [1, 2, 3]]]), "ids");
        same(table::from_columns([["b", ["true", "false", "TRUE"]], ["c", [true, (), false]]]), "bools");
        same(table::from_columns([["s", ["", (), "x"]], ["only", ["", "", ""]]]), "empty");
        same(table::from_columns([["s", ["NaN", "inf", "-0", "+5"]], ["t", [" 5", "5 ", "\t5", "."]]]), "odd");
        same(table::from_columns([["s", ["12345678901234567890", "1e999", "0x10", "1_000"]]]), "large");
        same(table::from_columns([["s", ["NULL", "NA", "null", "a"]], ["u", ["a\r\nb", "c,d", "\"", "\u00e9"]]]), "marks");
        same(table::from_columns([["one", ["", (), "1"]]]), "column");
        same(table::from_columns([["one", [1.5, (), 2.0]]]), "nulls");
        "#
    ));
}

#[test]
fn numbers_come_back_exactly() {
    // W6
    let mut script = ROUND_TRIP.to_string();
    script += r#"
        same(table::from_columns([["i", [9223372036854775807, -9223372036854775807 - 1, 9007199254740993]]]), "ints");
        same(table::from_columns([["f", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1e-310, 1e22, 3.0, 0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0]]]), "floats");
        table::from_columns([["z", [-0.0, 0.0]]]).save("zeros");
        let z = table::read("results/case/zeros.csv").column("z");
        run::require(1.0 / z[0] < 0.0 && 1.0 / z[1] > 0.0, "the sign of zero");
    "#;
    prints(&script);
}

#[test]
fn headers_survive() {
    // W6
    let project = Project::with(&format!(
        r#"{ROUND_TRIP}
        same(table::from_columns([["say \"hi\"", [1]], ["a,b", [2]], ["two\nlines", [3]], ["007", [4]], [" x ", [5]], ["", [6]]]), "headers");
        same(table::from_columns([["\ufeffbom", [1]], ["'", [2]]]), "bom");
        let t = table::read("given.csv");
        print(t.columns);
        print(t.column("say \"hi\""));
        "#
    ));
    project.write("given.csv", "\u{feff}a,\"say \"\"hi\"\"\"\r\n1,x\r\n");
    assert_eq!(project.prints(), "[\"a\", \"say \\\"hi\\\"\"]\n[\"x\"]\n");
}

#[test]
fn columns_of_given_files_have_the_type_of_all_cells() {
    // W6
    let project = Project::with(
        r#"let t = table::read("given.csv");
        print(t.column("a")); print(t.column("b")); print(t.column("c")); print(t.column("d")); print(t.column("e"));
        print(t.column("f"));"#,
    );
    project.write("given.csv", "a,b,c,d,e,f\n1, 2,1,true,7e013608,\"1\"\n2,3.5,x,,ab,2\n\n-0,1e3,3,false,1,\n");
    let expected = "[1, 2, 0]\n[2.0, 3.5, 1000.0]\n[\"1\", \"x\", \"3\"]\n[true, (), false]\n[\"7e013608\", \"ab\", \"1\"]\n[\"1\", \"2\", ()]\n";
    assert_eq!(project.prints(), expected);
}

#[test]
fn files_that_are_no_table_say_why() {
    // W6, A9
    let cases: [(&str, &[u8], &str, &str); 8] = [
        ("latin.csv", b"gr\xf6\xdfe,x\n1,2\n", "damaged-file", "Latin-1"),
        ("late.csv", b"a,x\n1,2\n1,\xe9\n", "damaged-file", "line 3"),
        ("utf16.csv", b"\xff\xfea\x00,\x00", "damaged-file", "UTF-16"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "damaged-file", "line 3"),
        ("twice.csv", b"a,a\n1,2\n", "damaged-file", "two columns are named `a`"),
        ("empty.csv", b"", "damaged-file", "empty"),
        ("large.csv", b"id\n1\n9223372036854775808\n", "out-of-range", "column `id`"),
        ("inf.csv", b"id\n7e013608\n", "out-of-range", "column `id`"),
    ];
    for (name, bytes, code, word) in cases {
        let project = Project::with(&format!("table::read(\"{name}\");"));
        project.write(name, bytes);
        let ran = project.saerun(&["case.rhai"]);
        assert!(ran.code == 1 && ran.stderr.contains(&format!("[{code}]")), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
    }
    let project = Project::with("table::read(\"folder.csv\");");
    std::fs::create_dir(project.path().join("folder.csv")).expect("a folder");
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.stderr.contains("[damaged-file]") && ran.stderr.contains("folder"), "{}", ran.stderr);
}

#[test]
fn very_long_and_very_wide_lines_are_refused_quickly() {
    // A9
    let wide: String = (0..1_000_000).map(|i| format!("c{i},")).collect::<String>() + "z\n";
    let cases = [
        ("long.csv", vec![b'a'; 80 << 20]),
        ("row.csv", [b"a\n".to_vec(), vec![b'x'; 80 << 20]].concat()),
        ("quote.csv", [b"a\n\"".to_vec(), vec![b'\n'; 80 << 20]].concat()),
        ("wide.csv", wide.into_bytes()),
        ("commas.csv", [b"a,b\n".to_vec(), vec![b','; 2 << 20]].concat()),
    ];
    for (name, bytes) in cases {
        let project = Project::with(&format!("table::read(\"{name}\");"));
        project.write(name, bytes);
        let ran = project.saerun(&["case.rhai"]);
        assert!(ran.code == 1 && ran.stderr.contains("[damaged-file]"), "{name}: {}", ran.stderr);
        assert!(ran.took < Duration::from_secs(6), "{name} took {:?}", ran.took);
    }
    // What is wide and a table is read.
    let wide: Vec<String> = (0..20_000).map(|i| format!("c{i}")).collect();
    let project =
        Project::with("let t = table::read(\"wide.csv\"); print(t.columns.len()); print(t.column(\"c19999\"));");
    project.write("wide.csv", format!("{}\n{}\n", wide.join(","), vec!["1"; 20_000].join(",")));
    assert_eq!(project.prints(), "20000\n[1]\n");
}

#[test]
fn a_comparison_takes_quoted_numbers_for_text() {
    // W6
    use saerun::report::compare::{beyond, differences};
    let none = std::collections::BTreeMap::new();
    assert!(beyond("a.csv", b"id\n\"1000000.1\"\n", b"id\n\"1000000.2\"\n", &none).is_some());
    assert!(beyond("a.csv", b"x\n1000000.1\n", b"x\n1000000.2\n", &none).is_none());
    assert_eq!(differences("a.csv", b"id\n\"1\"\n", b"id\n1\n").len(), 1);
}

#[test]
fn collect_takes_types_from_the_cells() {
    // W6
    let project = Project::with(
        r#"let p = params(#{ id: "007", n: 1 });
        table::from_rows(["key", "value", "flag"], [[p.id, p.n, "true"]]).save("scores");"#,
    );
    project.write("grid.yaml", "script: case.rhai\naxes:\n  id: [\"007\", \"1e5\", \"abc\"]\n  n: [1, 2]\n");
    let ran = project.saerun(&["sweep", "grid.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = project.saerun(&["sweep", "collect", "sweeps/grid"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let csv = project.read("sweeps/grid/tables/scores.csv");
    assert!(csv.starts_with("id,n,key,value,flag\n\"007\",1,\"007\",1,\"true\"\n"), "{csv}");
    assert!(csv.ends_with("abc,2,abc,2,\"true\"\n"), "{csv}");
}

#[test]
fn histograms_count_every_value_in_one_bin() {
    // W7
    prints(
        r#"
        fn all_counted(values, width, n) {
            let t = geometry::histogram(values, #{ bin_width: width });
            let sum = 0;
            for c in t.column("count") { sum += c; }
            run::require(sum == n, `${sum} of ${n} at ${width}`);
        }
        let many = [];
        for i in 0..2000 { many.push(i.to_float() * 0.1 - 33.3); many.push(i.to_float() / 3.0); }
        for width in [0.1, 0.7, 1.0 / 3.0, 0.05, 1e3] {
            all_counted([0.3, 0.5, 0.7], width, 3);
            all_counted(many, width, 4000);
            all_counted([-0.3, -0.1, 0.1 + 0.2, 1e3 + 0.1], width, 4);
        }
        all_counted([1e-12, 2e-12, 3e-12], 1e-12, 3);
        all_counted([1e300, -1e300], 1e299, 2);
        all_counted([0.0, -0.0, 5e-324], 0.5, 3);
        "#,
    );
    // The picture and its table, which is the same bins.
    use saerun::report::plot::{self, Figure, Marks};
    let counts = |options: serde_json::Value| {
        let figure = plot::histogram(&serde_json::from_value(options).expect("options")).expect("a figure");
        let Figure::Chart(plot::Chart { marks: Marks::Steps { bins, series }, .. }) = figure else { panic!("steps") };
        for value in bins.edges().take(bins.count()) {
            assert!(bins.index(value).is_some_and(|k| bins.edge(k) == value), "{value}");
        }
        series[0].1.iter().sum::<u64>()
    };
    let many: Vec<f64> = (0..3000).map(|i| f64::from(i) * 0.1 - 7.7).collect();
    for width in [0.1, 0.01, 0.7, 1.0 / 3.0, 0.3, 12.5] {
        let of = |values: &[f64]| serde_json::json!({ "series": [{ "values": values }], "bin_width": width });
        if width > 0.1 {
            assert_eq!(counts(of(&many)), 3000, "{width}");
        }
        assert_eq!(counts(of(&[0.3, 0.5, 0.7])), 3, "{width}");
        assert_eq!(counts(of(&[-0.7, -0.3, 0.1])), 3, "{width}");
    }
    assert_eq!(counts(serde_json::json!({ "series": [{ "values": many }] })), 3000);
    assert_eq!(counts(serde_json::json!({ "series": [{ "values": [1.0, 1.0 + 1e-10, 1.0 + 4e-16] }] })), 3);
    assert_eq!(counts(serde_json::json!({ "series": [{ "values": [1e308, -1e308, 0.0] }] })), 3);
    assert_eq!(
        counts(
            serde_json::json!({ "series": [{ "values": [0.3, 0.5, 0.7] }], "from": 0.3, "to": 0.7, "bin_width": 0.1 })
        ),
        3
    );
}

#[test]
fn histograms_refuse_ranges_that_are_none() {
    // W7
    for (call, word) in [
        ("geometry::histogram([1.0], #{ from: 2, to: 1 })", "`to` is not above `from`"),
        ("plot::histogram(#{ series: [#{ values: [1.0] }], from: 2.0, to: 1.0 })", "`to` is not above `from`"),
        ("plot::histogram(#{ series: [#{ values: [1.0] }], from: 1.0, to: 1.0 })", "`to` is not above `from`"),
        ("plot::histogram(#{ series: [#{ values: [1.0] }], from: 0.0 / 0.0 })", "`from`"),
        ("geometry::histogram([1.0], #{ to: 1.0 / 0.0 })", "`to`"),
        ("plot::histogram(#{ series: [#{ values: [1.0] }], bin_width: 1.0 / 0.0 })", "`bin_width`"),
        ("geometry::histogram([1.0], #{ bin_width: 0.0 })", "bin width"),
        ("plot::histogram(#{ series: [#{ values: [1.0] }], bin_width: -0.1 })", "bin width"),
        ("geometry::histogram([0.0, 1e12], #{ bin_width: 1e-3 })", "more than 1000000 bins"),
        ("plot::histogram(#{ series: [#{ values: [0.0, 1.0] }], bin_width: 1e-9 })", "more than 10000 bins"),
        ("geometry::histogram([1e16, 1e16 + 2.0], #{ bin_width: 0.5 })", "finer than floats"),
        ("plot::histogram(#{ series: [#{ values: [-1e308, 1e308] }], bin_width: 1e-3 })", "finer than floats"),
    ] {
        let error = fails(&format!("{call};"), "out-of-range");
        assert!(error.contains(word), "{call}: {error}");
    }
}

/// Two NaN of different sign, as x86 and ARM make them.
const NANS: &str = "let p = 0.0 / 0.0; let n = -p; let z = -0.0;\n";

#[test]
fn nan_is_one_key_and_no_extreme() {
    // W10
    let script = r#"
        let t = table::from_columns([["k", [n, 1.0, p, z, 0.0, n]], ["v", [1, 2, 4, 8, 16, 32]]]);
        let g = t.group_by("k", #{ v: "sum" });
        print(g.column("v"));
        print(1.0 / g.column("k")[0]);
        let j = t.join(table::from_columns([["k", [p, 0.0]], ["w", [100, 200]]]), "k");
        print(j.column("v"));
        print(j.column("w"));
        let x = table::from_columns([["g", [0, 0, 0, 1]], ["x", [n, 2.5, p, n]], ["y", [p, -1.0, 3.0, p]]]);
        let e = x.group_by("g", #{ x: ["min", "max", "count"], y: ["min", "max"] });
        print(e.column("x_min")); print(e.column("x_max")); print(e.column("x_count"));
        print(e.column("y_min")); print(e.column("y_max"));
        let d = x.describe();
        print(d.column("min")); print(d.column("median")); print(d.column("max")); print(d.column("count"));
        print(x.sort("x").column("x")); print(x.sort("y", #{ descending: true }).column("g"));
    "#;
    let expected = "[24, 2, 37]\ninf\n[1, 4, 8, 16, 32]\n[100, 100, 200, 200, 100]\n[2.5, ()]\n[2.5, ()]\n[3, 1]\n[-1.0, ()]\n[3.0, ()]\n\
                    [0.0, 2.5, -1.0]\n[0.0, 2.5, 1.0]\n[1.0, 2.5, 3.0]\n[4, 4, 4]\n[2.5, NaN, NaN, NaN]\n[0, 1, 0, 0]\n";
    assert_eq!(prints(&format!("{NANS}{script}")), expected);
}

#[test]
fn joins_of_columns_of_two_types_are_refused() {
    // W12
    for (left, right) in
        [("[1, 2]", "[\"1\", \"2\"]"), ("[1.5]", "[\"1.5\"]"), ("[true]", "[1]"), ("[\"true\"]", "[false]")]
    {
        for how in ["inner", "left"] {
            let script = format!(
                "let a = table::from_columns([[\"key\", {left}]]); let b = table::from_columns([[\"key\", {right}], [\"v\", {right}]]);
                a.join(b, \"key\", #{{ how: \"{how}\" }});"
            );
            let error = fails(&script, "wrong-type");
            assert!(error.contains("`key`") && error.contains("left") && error.contains("right"), "{error}");
        }
    }
    let error =
        fails("table::from_columns([[\"k\", [1]]]).concat(table::from_columns([[\"k\", [\"a\"]]]));", "wrong-type");
    assert!(error.contains("`k`") && error.contains("int and string"), "{error}");
    let error =
        fails("table::from_columns([[\"k\", [1]]]).with_column(\"v\", [true].map(|x| x) + [2]);", "shape-mismatch");
    assert!(error.contains("`v`"), "{error}");
    // An int and a float agree by value, also where a float would be rounded.
    let script = r#"
        let a = table::from_columns([["k", [1, 2, 9007199254740993, 3]], ["i", [0, 1, 2, 3]]]);
        let b = table::from_columns([["k", [2.0, 9007199254740992.0, 2.5, 1.0, ()]]]);
        print(a.join(b, "k").column("i"));
        print(table::from_columns([["k", [1]]]).join(table::from_columns([["k", [()]]]), "k").height);
        print(table::from_columns([["k", []]]).join(table::from_columns([["k", ["a"]]]), "k").height);
    "#;
    assert_eq!(prints(script), "[0, 1]\n0\n0\n");
    let mixed = fails("table::from_columns([[\"k\", [9007199254740993, 0.5]]]);", "wrong-type");
    assert!(mixed.contains("9007199254740993"), "{mixed}");
}

#[test]
fn a_sum_that_overflows_is_an_error() {
    // W13
    let max = "9223372036854775807";
    let script = format!(
        "table::from_rows([\"run\", \"g\", \"v\"], [[0, \"a\", 1], [0, \"b\", {max}], [0, \"b\", 1]]).group_by([\"run\", \"g\"], #{{ v: \"sum\" }});"
    );
    let error = fails(&script, "out-of-range");
    assert!(error.contains("`v`") && error.contains("run = 0, g = \"b\""), "{error}");
    let error = fails(
        &format!("table::from_columns([[\"v\", [-{max}, -{max}]]]).group_by([], #{{ v: \"sum\" }});"),
        "out-of-range",
    );
    assert!(error.contains("`v`"), "{error}");
    let script = format!(
        r#"let t = table::from_columns([["v", [{max}, {max}, -{max}, -{max}, 7]], ["f", [1e308, 1e308, 1e308, 1e308, 1e308]],
            ["w", [9007199254740993, 9007199254740995, 9007199254740993, 9007199254740995, 9007199254740994]]]);
        let g = t.group_by([], #{{ v: ["sum", "mean", "count"], f: ["mean", "sd"], w: ["mean", "sd", "min"] }});
        print(g.rows()[0]);
        print(t.describe().column("mean"));
        print(table::from_columns([["s", [1e200, -1e200]]]).describe().column("sd"));"#
    );
    let out = prints(&script);
    for part in [
        "\"v_sum\": 7",
        "\"v_count\": 5",
        "\"v_mean\": 1.4",
        "\"f_mean\": 1e308",
        "\"f_sd\": 0.0",
        "\"w_mean\": 9007199254740994.0",
    ] {
        assert!(out.replace("1e+308", "1e308").contains(part), "{part}: {out}");
    }
    assert!(out.contains("\"w_sd\": 1.0") && out.contains("\"w_min\": 9007199254740993"), "{out}");
    assert!(out.contains("1.414213562373095e200") || out.contains("1.4142135623730951e200"), "{out}");
}

/// The texts of a picture: those that its SVG draws.
fn texts(svg: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = svg.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("<text") {
            found.extend(lines.next().map(str::to_string));
        }
    }
    found
}

/// Whether a text is an SVG that a reader of XML takes: every element closed in order, no character that XML forbids.
fn assert_xml(svg: &str) {
    for c in svg.chars() {
        let code = c as u32;
        let allowed = matches!(code, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x10000..);
        assert!(allowed, "U+{code:04X} is no character of XML");
    }
    let (mut open, mut rest) = (Vec::new(), svg);
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            let name = entity.split_once(';').map(|(name, _)| name).unwrap_or("");
            assert!(["amp", "lt", "gt", "quot", "apos"].contains(&name) || name.starts_with('#'), "{entity}");
        }
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name.to_string())),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap_or_default().to_string()),
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

/// The picture of a call, which must be XML, without a text `NaN` or `inf`, and made quickly.
fn drawn(call: &str) -> String {
    let project = Project::with(&format!("{call}.save(\"f\");"));
    let ran = project.saerun(&["case.rhai"]);
    assert_eq!(ran.code, 0, "{call}\n{}", ran.stderr);
    assert!(ran.took < Duration::from_secs(5), "{call} took {:?}", ran.took);
    let svg = project.read("results/case/f.svg");
    assert_xml(&svg);
    let texts = texts(&svg);
    assert!(texts.iter().all(|text| !text.contains("NaN") && !text.contains("inf")), "{call}: {texts:?}");
    svg
}

/// The numbers among the texts of a picture.
fn ticks(svg: &str) -> Vec<String> {
    let number = |text: &String| text.trim_end_matches(['M', 'G']).parse::<f64>().is_ok();
    texts(svg).into_iter().filter(number).collect()
}

#[test]
fn no_two_ticks_have_the_same_text() {
    // W17
    let axes = [
        ("0.0, 2.4e-5", 4),
        ("1.0, 1.0 + 1e-10", 3),
        ("1.7e9, 1.7e9 + 10.0", 3),
        ("-1.7e9, -1.7e9 + 3.0", 3),
        ("1.7e9, 1.9e9", 3),
        ("1e6, 1000020.0", 3),
        ("-2.4e-5, 1e-6", 4),
        ("1e-300, 7e-300", 3),
        ("1e15, 1e15 + 8.0", 2),
        ("3e20, 3.0000001e20", 2),
        ("1e300, 9e307", 3),
        ("0.123456789, 0.12345679", 3),
        ("1e-7 + 1e-15, 1e-7 + 2e-15", 2),
        ("-5.0, 5.0", 4),
        ("1.0, 1.0 + 2.3e-16", 1),
        ("999999.0, 1000001.0", 3),
    ];
    for (ends, least) in axes {
        for (kind, x, y) in [("line", "0, 1", ends), ("scatter", ends, "0, 1"), ("line", ends, ends)] {
            for log in ["false", "true"] {
                if log == "true" && ends.starts_with(['-', '0']) && !ends.starts_with("0.1") {
                    continue;
                }
                let on = |axis: &str| if axis == ends { log } else { "false" };
                let call = format!(
                    "plot::{kind}(#{{ series: [#{{ x: [{x}], y: [{y}] }}], log_x: {}, log_y: {} }})",
                    on(x),
                    on(y)
                );
                let svg = drawn(&call);
                let all = ticks(&svg);
                let mut axes: [Vec<&String>; 2] = [Vec::new(), Vec::new()];
                let anchors =
                    svg.lines().filter(|line| line.starts_with("<text")).map(|line| line.contains("\"middle\""));
                for (text, middle) in texts(&svg).iter().zip(anchors) {
                    if let Some(text) = all.iter().find(|other| *other == text) {
                        axes[usize::from(middle)].push(text);
                    }
                }
                for axis in &axes {
                    let mut sorted = axis.clone();
                    sorted.sort();
                    sorted.dedup();
                    assert_eq!(sorted.len(), axis.len(), "{call}: {axis:?}");
                }
                let asked = if x == ends { &axes[1] } else { &axes[0] };
                assert!(asked.len() >= least.min(if x == ends { 2 } else { least }), "{call}: {asked:?}");
            }
        }
    }
}

#[test]
fn ticks_are_written_with_the_digits_of_their_step() {
    // W17
    let y =
        |ends: &str| ticks(&drawn(&format!("plot::line(#{{ series: [#{{ x: [0, 1], y: [{ends}] }}] }})"))).join(" ");
    assert!(
        y("0.0, 2.4e-5").starts_with("0 ") && y("0.0, 2.4e-5").contains("5e-6 1e-5 1.5e-5 2e-5"),
        "{}",
        y("0.0, 2.4e-5")
    );
    assert!(y("1.0, 1.0 + 1e-10").contains("1.00000000002"), "{}", y("1.0, 1.0 + 1e-10"));
    assert!(y("1.7e9, 1.7e9 + 10.0").contains("1700000002"), "{}", y("1.7e9, 1.7e9 + 10.0"));
    assert!(y("0, 3000000").contains("1.0M 1.5M"), "{}", y("0, 3000000"));
}

#[test]
fn the_table_under_a_figure_keeps_small_numbers() {
    // W18
    use saerun::report::plot;
    let rows = |options: serde_json::Value| {
        let figure = plot::histogram(&serde_json::from_value(options).expect("options")).expect("a figure");
        figure.data()[0].rows.iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>()
    };
    let small = serde_json::json!({ "series": [{ "values": [1e-12, 2e-12, 3e-12] }], "bin_width": 1e-12 });
    assert_eq!(rows(small), ["1e-12 2e-12", "2e-12 3e-12"]);
    let large = serde_json::json!({ "series": [{ "values": [1700000001.0, 1700000003.5] }], "bin_width": 1.0 });
    assert_eq!(rows(large), ["1.700000001e9 1.700000002e9", "1.700000003e9 1.700000004e9"]);
    let near = serde_json::json!({ "series": [{ "x": [1.0, 1.0 + 1e-10, 1.0 + 2e-10], "y": [1e-12, 2e-12, 1.0] }] });
    let figure = plot::line(&serde_json::from_value(near).expect("options")).expect("a figure");
    assert_eq!(figure.data()[0].rows, [["1", "1e-12"], ["1.0000000001", "2e-12"], ["1.0000000002", "1"]]);
    // And as the page shows it.
    let project = Project::with(
        "plot::histogram(#{ series: [#{ values: [1e-12, 2e-12, 3e-12] }], bin_width: 1e-12 }).save(\"f\");",
    );
    let ran = project.saerun(&["case.rhai", "--report", "page.html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(project.read("page.html").contains("<td class=\"r\">2e-12</td>"));
}

#[test]
fn extreme_values_are_drawn() {
    // H1
    let lists = [
        "1e-310, 1.0, 1e-200, 1e200",
        "-1e308, 0.0, 1e308, 5.0",
        "5e-324, 1e-323, 1e-320, 0.0",
        "1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0, 2.0",
        "0.0 / 0.0, (), (), ()",
        "1e-320, 1e-320, 1e-320, 1e-320",
        "1.7976931348623157e308, 1.7976931348623157e308, 1e308, 1.7e308",
        "0.0, 0.0, -0.0, 0.0",
        "-1e-310, 1e-310, 2e-310, 0.0",
        "1e16, 1e16 + 2.0, 1e16 + 4.0, 1e16",
    ];
    let mut script = String::new();
    let mut count = 0;
    for list in lists {
        for (log_x, log_y) in [(false, false), (true, false), (false, true), (true, true)] {
            let axes = format!("log_x: {log_x}, log_y: {log_y}, lines: [#{{ at: 1.0, label: \"one\" }}]");
            for kind in ["line", "scatter"] {
                script += &format!(
                    "plot::{kind}(#{{ series: [#{{ x: [{list}], y: [{list}] }}, #{{ x: [], y: [] }}], {axes} }}).save(\"f{count}\");\n"
                );
                count += 1;
            }
            script +=
                &format!("plot::histogram(#{{ series: [#{{ values: [{list}] }}], {axes} }}).save(\"f{count}\");\n");
            count += 1;
        }
        for log_y in [false, true] {
            script +=
                &format!("plot::bar(#{{ series: [#{{ values: [{list}] }}], log_y: {log_y} }}).save(\"f{count}\");\n");
            count += 1;
        }
        script += &format!("plot::heatmap(#{{ values: [[{list}], [{list}]] }}).save(\"f{count}\");\n");
        count += 1;
    }
    script += &format!(
        "plot::line(#{{ series: [#{{ x: [1], y: [1e-310] }}], log_y: true, log_x: true }}).save(\"f{count}\");\n"
    );
    script += "plot::heatmap(#{ values: [[], []] });";
    let project = Project::with(&script);
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.stderr.contains("[out-of-range]"), "the last call alone is refused: {}", ran.stderr);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    for i in 0..=count {
        let found = std::fs::read_dir(project.path()).expect("a folder");
        drop(found);
        let svg = figure(&project, i);
        assert_xml(&svg);
        let texts = texts(&svg);
        assert!(texts.iter().all(|text| !text.contains("NaN") && !text.contains("inf")), "{i}: {texts:?}");
        let mut coordinates = svg.split('"').filter(|part| part.contains("NaN"));
        assert_eq!(coordinates.next(), None, "{i}");
    }
}

/// A figure of the run: where results are staged, a failed run keeps them with its record.
fn figure(project: &Project, i: usize) -> String {
    let mut folders = vec![project.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy() == format!("f{i}.svg")) {
                return std::fs::read_to_string(path).expect("a picture");
            }
        }
    }
    panic!("f{i}.svg is nowhere")
}

#[test]
fn figures_are_bounded() {
    // H1
    let repeat = |n: usize, item: &str| format!("let all = []; for i in 0..{n} {{ all.push({item}); }}\n");
    let dot = "#{ x: [1], y: [1] }";
    for script in [
        repeat(2000, dot) + "plot::line(#{ series: all });",
        repeat(2000, "#{ at: i, label: \"l\" }") + format!("plot::line(#{{ series: [{dot}], lines: all }});").as_str(),
        format!("let f = plot::line(#{{ series: [{dot}] }}); for i in 0..40 {{ f = plot::facets([[f, f]]); }}"),
        format!("let f = plot::line(#{{ series: [{dot}] }}); for i in 0..5000 {{ f = plot::facets([[f]]); }}"),
        format!(
            "let f = plot::line(#{{ series: [{dot}], width: 4000 }}); let row = []; for i in 0..500 {{ row.push(f); }} plot::facets([row]);"
        ),
    ] {
        fails(&script, "out-of-range");
    }
    // Many lines at one place are put on rows in reasonable time.
    drawn(
        &(repeat(300, "#{ at: 1 + i % 7, label: \"label\" }")
            + format!("plot::line(#{{ series: [{dot}], lines: all }})").as_str()),
    );
}

#[test]
fn any_text_makes_a_picture_that_is_xml() {
    // Errors and traps
    let odd = r"\x00\x01\x1b[31m\u0085\ufffe\uffff]]><&\x22' \n\t\r stroke-width=\x2211\x22 opacity=\x221\x22";
    for call in [
        format!(
            "plot::line(#{{ series: [#{{ name: \"a{odd}\", x: [1, 2], y: [1, 2] }}, #{{ name: \"b\", x: [1], y: [1] }}], title: \"t{odd}\", x_label: \"x{odd}\", y_label: \"y{odd}\", lines: [#{{ at: 1.5, label: \"l{odd}\" }}] }})"
        ),
        format!("plot::bar(#{{ series: [#{{ name: \"{odd}\", values: [1] }}], labels: [\"b{odd}\"] }})"),
        format!("plot::heatmap(#{{ values: [[1, 2]], x_labels: [\"{odd}\", \"\"], y_labels: [\"{odd}\"] }})"),
        format!("plot::histogram(#{{ series: [#{{ name: \"{odd}\", values: [1] }}], title: \"{odd}\" }})"),
    ] {
        let svg = drawn(&call);
        assert!(svg.contains("stroke-width=&quot;11&quot;"), "text is not taken for an attribute");
    }
    // The page too, and the prose in it.
    let project = Project::with(&format!(
        "run::note(\"n{odd}\"); print(\"p{odd}\"); table::from_columns([[\"c{odd}\", [\"v{odd}\"]]]).save(\"t\");"
    ));
    let ran = project.saerun(&["case.rhai", "--report", "page.html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = project.read("page.html");
    let bad = page.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t');
    assert_eq!(bad, None);
    assert!(!page.contains('\u{fffe}') && !page.contains('\u{ffff}'));
    let bad = project.read("results/case/t.md").chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(bad, None);
}

#[test]
fn markdown_cells_show_their_text() {
    // Errors and traps
    let project = Project::with(
        r#"table::from_columns([["token", ["<unk>", "*a*", "_x_", "a|b", "`c`", "two\nlines", "three_term", "A * d", "[a](b)", "~~x~~", "&lt;", "R&D", "a & b", "\\", "$x$", "__init__"]]]).save("t");"#,
    );
    project.prints();
    let text = project.read("results/case/t.md");
    let cells: Vec<&str> = text.lines().skip(2).map(|line| line.trim_matches(|c| c == '|' || c == ' ')).collect();
    let expected = [
        "\\<unk>",
        "\\*a\\*",
        "\\_x\\_",
        "a\\|b",
        "\\`c\\`",
        "two lines",
        "three_term",
        "A * d",
        "\\[a](b)",
        "\\~\\~x\\~\\~",
        "\\&lt;",
        "R&D",
        "a & b",
        "\\\\",
        "\\$x\\$",
        "\\_\\_init\\_\\_",
    ];
    assert_eq!(cells, expected);
}

/// Runs a script with `--timeout 1`, which must end it within seconds; gives how long that took.
fn stops(script: &str) {
    let ran = Project::with(script).saerun(&["case.rhai", "--timeout", "1"]);
    let refused = ran.code == 1 && ran.stderr.contains("[too-large]");
    assert!(ran.code == 124 || refused, "{script}\n{} {}", ran.code, ran.stderr);
    assert!(ran.took < Duration::from_secs(7), "{script} took {:?}", ran.took);
}

#[test]
fn native_loops_of_tables_stop() {
    // H2
    stops(
        "let k = []; for i in 0..8000 { k.push(1); } let t = table::from_columns([[\"k\", k], [\"v\", k]]); loop { t.join(t, \"k\"); }",
    );
    let big = "let x = synthetic_values(); fn synthetic_values() { tensor::randn([3000000], 0) }\nlet t = table::from_columns([[\"x\", x]]);\n";
    for work in [
        "t.sort(\"x\")",
        "t.group_by(\"x\", #{ x: \"mean\" })",
        "t.describe()",
        "t.join(t, \"x\")",
        "t.to_markdown()",
        "t.rows()",
        "t.filter(|r| r.x > 0.0)",
    ] {
        stops(&format!("{big}loop {{ {work}; }}"));
    }
}

#[test]
fn a_join_that_memory_cannot_hold_is_refused_with_its_rows() {
    // H2
    let project = Project::with(
        "let k = []; for i in 0..3000 { k.push(7); } let t = table::from_columns([[\"k\", k], [\"v\", k]]); t.join(t, \"k\");",
    );
    let ran = project.saerun(&["case.rhai", "--memory", "300MiB"]);
    assert!(ran.code == 1 && ran.stderr.contains("[too-large]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("9000000") && ran.took < Duration::from_secs(5), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_stops_a_join() {
    // H2
    let project = Project::with(
        "let k = []; for i in 0..8000 { k.push(1); } let t = table::from_columns([[\"k\", k]]); print(\"go\"); loop { t.join(t, \"k\"); }",
    );
    let mut child = project
        .command(&["case.rhai"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("saerun");
    std::thread::sleep(Duration::from_millis(1500));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    let begin = std::time::Instant::now();
    child.wait().expect("it ends");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

/// Starts a sweep that must be refused with exit code 2; gives what it said.
fn refused(grid: &str, arguments: &[&str]) -> String {
    let project = Project::with("let p = params(#{ seed: 0, lr: 0.1, name: \"a\", b: 0, c: 0 }); print(p);");
    project.write("grid.yaml", grid);
    let ran = project.saerun(&[&["sweep", "grid.yaml", "--engine", "none"], arguments].concat());
    assert_eq!(ran.code, 2, "{grid} {arguments:?}\n{}", ran.stderr);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    assert!(!project.path().join("sweeps").exists(), "nothing is written");
    ran.stderr
}

#[test]
fn a_grid_of_too_many_cells_is_refused_with_their_number() {
    // H5
    let error = refused("script: case.rhai\naxes:\n  seed: 0..20000\n  b: 0..1000\n", &[]);
    assert!(error.contains("20000000") && error.contains("seed 20000"), "{error}");
    let error = refused("script: case.rhai\naxes:\n  seed: 0..1000000\n  b: 0..1000000\n  c: 0..1000000\n", &[]);
    assert!(error.contains("1000000000000000000"), "{error}");
    let error = refused("script: case.rhai\naxes:\n  seed: 1\n", &["--grid", "b=0..900000,1000000..1900000"]);
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn a_parameter_given_twice_is_refused() {
    // L7
    let head = "script: case.rhai\naxes:\n  seed: [1, 2]\n";
    for tail in ["fixed:\n  lr: 0.5\n  lr: 0.25\n", "exclude:\n  - { seed: 1, seed: 2 }\n", "  seed: [3]\n"] {
        let error = refused(&format!("{head}{tail}"), &[]);
        let said = error.contains("is given twice") || error.contains("duplicate entry");
        assert!(said && error.contains("grid.yaml:"), "{error}");
    }
    let error = refused(head, &["--grid", "seed=1", "--grid", "seed=2"]);
    assert!(error.contains("`--grid seed` is given twice"), "{error}");
    let error = refused(head, &["--set", "lr=1.0", "--set", "lr=2.0"]);
    assert!(error.contains("`--set lr` is given twice"), "{error}");
}

#[test]
fn an_exclusion_of_what_no_axis_has_is_refused() {
    // L8
    let head = "script: case.rhai\naxes:\n  seed: [1, 2]\n  name: [\"a\", \"b\"]\n";
    for (exclusion, word) in [
        ("{ seed: 7 }", "axis `seed` has no value 7"),
        ("{ name: c }", "axis `name` has no value \"c\""),
        ("{ seed: [1, 3], name: a }", "axis `seed` has no value 3"),
        ("{ sed: 1 }", "unknown axis `sed`"),
        ("{ lr: 0.1 }", "unknown axis `lr`"),
    ] {
        let error = refused(&format!("{head}exclude:\n  - {exclusion}\n"), &[]);
        assert!(error.contains(word) && error.contains("grid.yaml:"), "{error}");
    }
    // What the command line replaced may be gone.
    let project = Project::with("let p = params(#{ seed: 0, name: \"a\" });");
    project.write("grid.yaml", format!("{head}exclude:\n  - {{ seed: 2 }}\n"));
    let ran = project.saerun(&["sweep", "grid.yaml", "--engine", "none", "--grid", "seed=0..2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(project.read("sweeps/grid/cells.json").matches("\"id\"").count() == 4);
}

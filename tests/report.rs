//! Tests of `report`.

use std::collections::BTreeMap;

use saerun::error::Code;
use saerun::progress::Silent;
use saerun::report::number::{exact, rounded};
use saerun::report::plot::{self, BarOptions, CurveOptions, Figure, HeatmapOptions, HistogramOptions};
use saerun::report::table::{Aggregate, Join, Table, Value};
use saerun::report::yaml;
use saerun::rng::Rng;
use saerun::store::{Key, Lock, Script, Step, Written};
use serde_json::json;

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|x| Value::Text(x.to_string())).collect()
}

fn floats(values: &[f64]) -> Vec<Value> {
    values.iter().map(|x| Value::Float(*x)).collect()
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().map(|x| Value::Int(*x)).collect()
}

fn names(values: &[&str]) -> Vec<String> {
    values.iter().map(|x| x.to_string()).collect()
}

fn table(columns: &[(&str, Vec<Value>)]) -> Table {
    Table::from_columns(columns.iter().map(|(name, values)| (name.to_string(), values.clone())).collect())
        .expect("fits")
}

/// The table of a small experiment: two seeds of two regularizers, one score missing.
fn runs() -> Table {
    table(&[
        ("regularizer", texts(&["three_term", "none", "three_term", "none"])),
        ("seed", ints(&[0, 0, 1, 1])),
        ("score", vec![Value::Float(0.828), Value::Float(0.846), Value::Float(0.831), Value::Null]),
    ])
}

#[test]
fn floats_are_written_in_one_pinned_way() {
    let pinned = [
        (0.0, "0.0", "0"),
        (-0.0, "-0.0", "0"),
        (1.0, "1.0", "1"),
        (-17.0, "-17.0", "-17"),
        (0.1, "0.1", "0.1000"),
        (0.1 + 0.2, "0.30000000000000004", "0.3000"),
        (1.0 / 3.0, "0.3333333333333333", "0.3333"),
        (f64::from(0.846f32), "0.8460000157356262", "0.8460"),
        (9.99996, "9.99996", "10.00"),
        (1234.56, "1234.56", "1235"),
        (65536.0, "65536.0", "65536"),
        (1e-5, "1e-5", "1e-5"),
        (0.00012346, "0.00012346", "0.0001235"),
        (1.2346e-7, "1.2346e-7", "1.235e-7"),
        (123456789.0, "123456789.0", "1.235e8"),
        (1e16, "1e16", "1e16"),
        (1.7976931348623157e308, "1.7976931348623157e308", "1.798e308"),
        (5e-324, "5e-324", "4.941e-324"),
        (f64::NAN, "NaN", "NaN"),
        (f64::INFINITY, "inf", "inf"),
        (f64::NEG_INFINITY, "-inf", "-inf"),
    ];
    for (x, full, short) in pinned {
        assert_eq!(exact(x), full);
        assert_eq!(rounded(x), short);
    }
    let mut rng = Rng::new(0, "test floats");
    for _ in 0..10_000 {
        let x = f64::from_bits(rng.bits());
        let back: f64 = exact(x).parse().expect("a float");
        assert!(back == x || (x.is_nan() && back.is_nan()), "{x:?} became {}", exact(x));
    }
}

#[test]
fn csv_is_exact_and_reads_back() {
    let all = table(&[
        ("name", texts(&["plain", "with, comma", "a \"quote\"", "007", "true", " space"])),
        ("x", floats(&[0.1, -0.0, f64::NAN, f64::INFINITY, 1e-9, 3.0])),
        ("n", vec![Value::Int(1), Value::Null, Value::Int(-3), Value::Int(4), Value::Int(5), Value::Int(i64::MAX)]),
        ("ok", [true, false, true, true, false, true].map(Value::Bool).to_vec()),
    ]);
    let csv = all.to_csv(&Silent).expect("text");
    let expected = "name,x,n,ok\nplain,0.1,1,true\n\"with, comma\",-0.0,,false\n\"a \"\"quote\"\"\",NaN,-3,true\n\
                    \"007\",inf,4,true\n\"true\",1e-9,5,false\n\" space\",3.0,9223372036854775807,true\n";
    assert_eq!(csv, expected);
    let back = Table::from_csv(csv.as_bytes(), &Silent).expect("a table");
    assert_eq!(back.to_csv(&Silent).expect("text"), csv);
    assert_eq!(back.column("name").expect("there"), all.column("name").expect("there"));
    assert_eq!(back.column("n").expect("there"), all.column("n").expect("there"));
}

#[test]
fn committed_tables_have_these_bytes() {
    let scores =
        table(&[("seed", ints(&[1, 0, 1, 0])), ("x", floats(&[-0.0, f64::NEG_INFINITY, -f64::NAN, 0.1 + 0.2]))]);
    let names = table(&[("seed", ints(&[1, 0])), ("name", texts(&["b", "a\r\nz"]))]);
    let sorted = scores.sort("seed", false, &Silent).expect("sorted");
    let joined = sorted.join(&names, &["seed".to_string()], Join::Inner, &Silent).expect("joined");
    let expected: &[u8] = b"seed,x,name\n0,-inf,\"a\r\nz\"\n0,0.30000000000000004,\"a\r\nz\"\n1,-0.0,b\n1,NaN,b\n";
    assert_eq!(joined.to_csv(&Silent).expect("text").as_bytes(), expected);
    let empty = table(&[("a", vec![]), ("b", vec![])]);
    assert_eq!(empty.to_csv(&Silent).expect("text"), "a,b\n", "a table without rows keeps its columns");
}

#[test]
fn markdown_is_rounded_and_aligned() {
    let expected = "\
| regularizer | seed |  score |
| ----------- | ---: | -----: |
| three_term  |    0 | 0.8280 |
| none        |    0 | 0.8460 |
| three_term  |    1 | 0.8310 |
| none        |    1 |        |
";
    assert_eq!(runs().to_markdown(&Silent).expect("text"), expected);
    let pipes = table(&[("a|b", texts(&["x|y\nz"]))]);
    assert_eq!(pipes.to_markdown(&Silent).expect("text"), "| a\\|b   |\n| ------ |\n| x\\|y z |\n");
}

#[test]
fn a_table_has_the_parts_it_was_made_of() {
    let t = runs();
    assert_eq!((t.height(), t.columns()), (4, names(&["regularizer", "seed", "score"])));
    assert_eq!(t.summary(), "Table [4 rows, 3 columns] regularizer, seed, score");
    assert_eq!(t.column("seed").expect("there"), ints(&[0, 0, 1, 1]));
    let unknown = t.column("sed").expect_err("no such column");
    assert_eq!((unknown.code, unknown.help.as_deref()), (Code::UnknownName, Some("did you mean `seed`?")));
    let again = Table::from_rows(t.columns(), t.rows().expect("rows")).expect("fits");
    assert_eq!(again.to_csv(&Silent).expect("text"), t.to_csv(&Silent).expect("text"));
    let part = t.select(&names(&["score", "seed"])).expect("there").head(2);
    assert_eq!(part.to_csv(&Silent).expect("text"), "score,seed\n0.828,0\n0.846,0\n");
    assert_eq!(t.filter(&[false, true, false, true]).expect("fits").column("seed").expect("there"), ints(&[0, 1]));
    assert_eq!(t.filter(&[true]).expect_err("too short").code, Code::ShapeMismatch);
    let more = t.with_column("l0", &floats(&[17.0, 16.9, 17.2, 17.0])).expect("fits");
    assert_eq!(more.columns(), names(&["regularizer", "seed", "score", "l0"]));
    assert_eq!(more.with_column("seed", &ints(&[5, 6, 7, 8])).expect("fits").columns(), more.columns());
    assert_eq!(t.to_json(&Silent).expect("json")[3], json!({"regularizer": "none", "seed": 1, "score": null}));
    let both =
        t.concat(&t.select(&names(&["seed", "score", "regularizer"])).expect("there"), &Silent).expect("same columns");
    assert_eq!(both.height(), 8);
    assert_eq!(t.concat(&part, &Silent).expect_err("other columns").code, Code::ShapeMismatch);
}

#[test]
fn columns_have_one_type() {
    let mixed = table(&[("x", vec![Value::Int(1), Value::Float(0.5), Value::Null])]);
    assert_eq!(mixed.to_csv(&Silent).expect("text"), "x\n1.0\n0.5\n\n");
    let bad = Table::from_columns(vec![("x".into(), vec![Value::Int(1), Value::Text("a".into())])]).expect_err("mixed");
    assert_eq!(bad.code, Code::WrongType);
    let ragged = Table::from_columns(vec![("x".into(), ints(&[1])), ("y".into(), ints(&[1, 2]))]).expect_err("ragged");
    assert_eq!(ragged.code, Code::ShapeMismatch);
    let twice = Table::from_columns(vec![("x".into(), ints(&[1])), ("x".into(), ints(&[1]))]).expect_err("one name");
    assert_eq!(twice.code, Code::OutOfRange);
    assert_eq!(Table::from_rows(names(&["x"]), vec![vec![]]).expect_err("ragged").code, Code::ShapeMismatch);
    let empty = Table::from_rows(names(&["x", "y"]), vec![]).expect("no rows are fine");
    assert_eq!(empty.to_csv(&Silent).expect("text"), "x,y\n");
    assert_eq!(Table::from_columns(vec![]).expect("nothing is fine").to_csv(&Silent).expect("text"), "\n");
    assert_eq!(Table::read(std::path::Path::new("Cargo.toml"), &Silent).expect_err("not read").code, Code::Unsupported);
    assert_eq!(Table::read(std::path::Path::new("no.csv"), &Silent).expect_err("not there").code, Code::MissingFile);
}

#[test]
fn sorting_is_stable_with_nulls_last() {
    let t = table(&[
        ("x", vec![Value::Float(2.0), Value::Null, Value::Float(f64::NAN), Value::Float(-1.0), Value::Float(2.0)]),
        ("i", ints(&[0, 1, 2, 3, 4])),
    ]);
    assert_eq!(t.sort("x", false, &Silent).expect("there").column("i").expect("there"), ints(&[3, 0, 4, 2, 1]));
    assert_eq!(t.sort("x", true, &Silent).expect("there").column("i").expect("there"), ints(&[2, 0, 4, 3, 1]));
}

#[test]
fn joins_follow_the_left_table() {
    let l0 = table(&[("seed", floats(&[1.0, 0.0, 7.0])), ("score", floats(&[17.0, 16.0, 15.0]))]);
    let inner = runs().join(&l0, &names(&["seed"]), Join::Inner, &Silent).expect("joined");
    assert_eq!(inner.columns(), names(&["regularizer", "seed", "score", "score_right"]));
    assert_eq!(inner.column("score_right").expect("there"), floats(&[16.0, 16.0, 17.0, 17.0]));
    let left = l0.join(&runs(), &names(&["seed"]), Join::Left, &Silent).expect("joined");
    assert_eq!(left.column("seed").expect("there"), floats(&[1.0, 1.0, 0.0, 0.0, 7.0]));
    assert_eq!(left.column("regularizer").expect("there")[4], Value::Null);
    assert!(runs().join(&l0, &names(&["sead"]), Join::Inner, &Silent).is_err());
    assert!(runs().join(&l0, &[], Join::Inner, &Silent).is_err());
}

#[test]
fn groups_are_sorted_and_summed_in_row_order() {
    let spec = |list: &[(&str, &str, Aggregate)]| {
        list.iter().map(|(o, c, a)| (o.to_string(), c.to_string(), *a)).collect::<Vec<_>>()
    };
    let all: Vec<_> = Aggregate::ALL.iter().map(|a| (a.name(), "score", *a)).collect();
    let grouped = runs().group_by(&names(&["regularizer"]), &spec(&all), &Silent).expect("grouped");
    let expected = "regularizer,mean,sum,min,max,count,sd\nnone,0.846,0.846,0.846,0.846,1,\n\
                    three_term,0.8294999999999999,1.6589999999999998,0.828,0.831,2,0.0021213203435596446\n";
    assert_eq!(grouped.to_csv(&Silent).expect("text"), expected);
    let sums = runs().group_by(&[], &spec(&[("seeds", "seed", Aggregate::Sum)]), &Silent).expect("grouped");
    assert_eq!(sums.to_csv(&Silent).expect("text"), "seeds\n2\n");
    let text = runs().group_by(&names(&["seed"]), &spec(&[("m", "regularizer", Aggregate::Mean)]), &Silent);
    assert_eq!(text.expect_err("no mean of text").code, Code::WrongType);
    assert_eq!(Aggregate::parse("meen").expect_err("unknown").help.as_deref(), Some("did you mean `mean`?"));

    // Sums whose value depends on the order of the terms: the same bits every time.
    let mut rng = Rng::new(1, "test groups");
    let keys: Vec<i64> = (0..5000).map(|_| rng.below(7) as i64).collect();
    let values: Vec<f64> = (0..5000).map(|_| rng.normal() * 10f64.powi(rng.below(30) as i32)).collect();
    let t = table(&[("key", ints(&keys)), ("x", floats(&values))]);
    let once =
        t.group_by(&names(&["key"]), &spec(&[("x", "x", Aggregate::Sum)]), &Silent).expect("grouped").to_csv(&Silent);
    for _ in 0..20 {
        let again = t
            .group_by(&names(&["key"]), &spec(&[("x", "x", Aggregate::Sum)]), &Silent)
            .expect("grouped")
            .to_csv(&Silent);
        assert_eq!(once.as_ref().expect("text"), again.as_ref().expect("text"));
    }
    let by_hand: f64 = keys.iter().zip(&values).filter(|(k, _)| **k == 3).map(|(_, x)| x).sum();
    let found = t.group_by(&names(&["key"]), &spec(&[("x", "x", Aggregate::Sum)]), &Silent).expect("grouped");
    assert_eq!(found.column("x").expect("there")[3], Value::Float(by_hand));
}

#[test]
fn describe_sums_up_each_column() {
    let expected = "column,type,count,nulls,mean,sd,min,q25,median,q75,max\n\
                    regularizer,string,4,0,,,,,,,\nseed,int,4,0,0.5,0.5773502691896257,0.0,0.0,0.5,1.0,1.0\n\
                    score,float,3,1,0.835,0.009643650760992963,0.828,0.8294999999999999,0.831,0.8385,0.846\n";
    assert_eq!(runs().describe(&Silent).expect("described").to_csv(&Silent).expect("text"), expected);
}

#[test]
fn the_lock_is_one_fact_a_line_and_reads_back() {
    let key = Key {
        function: "sae::train".into(),
        version: 1,
        options: json!({"seed": 0, "lr": 3e-4}),
        inputs: vec![("activations".into(), "cc".into())],
    };
    let script = Script { file: "scripts/peaks.rhai".into(), blake3: "aa".into(), imports: BTreeMap::new() };
    let written = Written { blake3: "bb".into(), bytes: 12, tolerance: BTreeMap::from([("l0".to_string(), 0.1)]) };
    let lock = Lock {
        saerun: "0.1.0".into(),
        kernel: Some("avx2 fma".into()),
        script,
        params: BTreeMap::from([("tokens".into(), json!(1000)), ("seed".into(), json!(0))]),
        steps: vec![Step::of(&key)],
        inputs: BTreeMap::new(),
        files: BTreeMap::new(),
        outputs: BTreeMap::from([("scores.csv".into(), written)]),
    };
    let text = yaml::lock_to_yaml(&lock).expect("text");
    let expected = format!(
        "# Written by `saerun scripts/peaks.rhai`; do not edit.\nsaerun: 0.1.0\nkernel: avx2 fma\nscript:\n  blake3: aa\n  \
         file: scripts/peaks.rhai\n  imports: {{}}\nparams:\n  seed: 0\n  tokens: 1000\ninputs: {{}}\nsteps:\n\
         - function: sae::train\n  inputs:\n    activations: cc\n  key: {}\n  options:\n    lr: 0.0003\n    seed: 0\n  \
         version: 1\noutputs:\n  scores.csv:\n    blake3: bb\n    bytes: 12\n    tolerance:\n      l0: 0.1\ndigest: {}\n",
        key.digest(),
        lock.digest().expect("a digest")
    );
    assert_eq!(text, expected);
    assert_eq!(yaml::lock_from_yaml(&text).expect("a lock"), lock);
    assert_eq!(yaml::lock_from_yaml("saerun: 1").expect_err("no lock").code, Code::DamagedFile);
    assert_eq!(yaml::parse_params("seed: 3\nsign: abs\n").expect("a map"), json!({"seed": 3, "sign": "abs"}));
    assert_eq!(yaml::parse_params("").expect("empty"), json!({}));
    assert_eq!(yaml::parse_params("- 1").expect_err("a list").code, Code::WrongType);
    assert_eq!(yaml::parse_params("a: [").expect_err("broken").code, Code::DamagedFile);
}

/// The main figure: nearest-neighbor cosines of two dictionaries of 8192 latents.
fn main_figure() -> Figure {
    let mut rng = Rng::new(0, "test figure");
    let mut draw = |peaks: &[(f64, f64, f64)]| {
        let one = |rng: &mut Rng| {
            let mut u = rng.uniform();
            for (share, at, sd) in peaks {
                if u < *share {
                    return at + sd * rng.normal();
                }
                u -= share;
            }
            0.2 + 0.8 * rng.uniform()
        };
        (0..8192).map(|_| one(&mut rng)).collect::<Vec<f64>>()
    };
    let options = json!({
        "series": [
            {"name": "baseline", "values": draw(&[(0.55, 0.31, 0.09), (0.15, 0.93, 0.03)])},
            {"name": "three-term penalty", "values": draw(&[(0.5, 0.3, 0.006), (0.3, 0.05, 0.004), (0.15, 0.17, 0.02)])},
        ],
        "bin_width": 0.005, "from": -0.1, "to": 1,
        "title": "Cosine of each decoder direction with its nearest neighbor",
        "x_label": "cosine similarity with the nearest neighbor", "y_label": "latents",
        "lines": [
            {"at": 0.043, "label": "Welch bound 0.043"}, {"at": 0.021, "label": "Levenshtein bound 0.021"},
            {"at": 0.165, "label": "random directions, median 0.165"}, {"at": 0.97, "label": "duplicates"},
        ],
    });
    plot::histogram(&serde_json::from_value::<HistogramOptions>(options).expect("options")).expect("a figure")
}

fn other_figures() -> Vec<Figure> {
    let steps: Vec<f64> = (0..200).map(f64::from).collect();
    let fall = |rate: f64| steps.iter().map(|s| 2.0 + 6.0 * (-s * rate).exp()).collect::<Vec<_>>();
    let line = json!({"series": [
        {"name": "prose-1l", "x": steps, "y": fall(0.02)}, {"name": "prose-1l-seed1", "x": steps, "y": fall(0.025)},
        {"name": "sotu-1l", "x": steps, "y": fall(0.04)}], "title": "Training loss", "x_label": "step",
        "y_label": "nats per token", "log_y": true, "width": 480, "height": 320});
    let mut rng = Rng::new(2, "test scatter");
    let mut cloud = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<_>>();
    let scatter = json!({"series": [{"name": "a", "x": cloud(80), "y": cloud(80)}, {"name": "b", "x": cloud(80), "y": cloud(80)},
        {"name": "c", "x": cloud(80), "y": cloud(80)}], "title": "Three clouds & <tags>", "width": 480, "height": 320});
    let bar = json!({"labels": ["none", "three_term", "soft_orthogonality"], "series": [{"name": "seed 0",
        "values": [0.846, 0.828, 0.84]}, {"name": "seed 1", "values": [0.85, 0.831, null]}], "y_label": "ce_loss_score",
        "width": 480, "height": 320});
    let rows: Vec<Vec<f64>> = (0..12).map(|i| (0..16).map(|j| f64::from(i * j).sin()).collect()).collect();
    let heat = json!({"values": rows, "title": "A matrix", "x_label": "column", "y_label": "row", "width": 480, "height": 320});
    let curve = |value| serde_json::from_value::<CurveOptions>(value).expect("options");
    vec![
        plot::line(&curve(line)).expect("a figure"),
        plot::scatter(&curve(scatter)).expect("a figure"),
        plot::bar(&serde_json::from_value::<BarOptions>(bar).expect("options")).expect("a figure"),
        plot::heatmap(&serde_json::from_value::<HeatmapOptions>(heat).expect("options")).expect("a figure"),
    ]
}

#[test]
fn figures_are_the_same_bytes_every_time_and_speak() {
    let mut figures = other_figures();
    let grid = vec![figures[..2].to_vec(), figures[2..].to_vec()];
    figures.push(Figure::facets(grid).expect("figures"));
    figures.push(main_figure());
    let folder = std::env::var_os("SAERUN_TEST_FIGURES");
    for (i, figure) in figures.iter().enumerate() {
        let svg = figure.to_svg(&Silent).expect("drawn");
        assert_eq!(svg, figure.clone().to_svg(&Silent).expect("drawn again"));
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{i}");
        assert!(svg.contains("role=\"img\"") && svg.contains("<title id=") && svg.contains("<desc id="), "{i}");
        assert!(!svg.contains("NaN") && svg.len() < 120_000, "{i}: {} bytes", svg.len());
        if let Some(folder) = &folder {
            saerun::store::write_atomic(&std::path::Path::new(folder).join(format!("{i}.svg")), svg.as_bytes())
                .expect("written");
        }
    }
    assert_eq!(figures[5].summary(), "Figure histogram of 2 series, 720 x 440");
    assert!(figures[5].description().contains("baseline: 8192 values from"), "{}", figures[5].description());
    assert!(figures[5].description().contains("Vertical line at 0.04300: Welch bound 0.043."));
    assert!(figures[1].to_svg(&Silent).expect("drawn").contains("Three clouds &amp; &lt;tags&gt;</title>"));
    match figures[0].to_png(&Silent) {
        Ok(png) => assert!(cfg!(feature = "png") && png.starts_with(b"\x89PNG")),
        Err(error) => assert_eq!(error.code, Code::Unsupported),
    }
    // Dashes and markers tell series apart without color.
    assert!(figures[5].to_svg(&Silent).expect("drawn").contains("stroke-dasharray"));
}

#[test]
fn histograms_count_every_value_once() {
    let values = [0.0, 0.005, 0.0049, 0.3, 0.30000000000000004, 0.3, 0.995, 1.0];
    let options = json!({"series": [{"name": "x", "values": values}], "bin_width": 0.005, "from": 0.0, "to": 1.0});
    let figure = plot::histogram(&serde_json::from_value(options).expect("options")).expect("a figure");
    let Figure::Chart(plot::Chart { marks: plot::Marks::Steps { series, .. }, .. }) = figure else {
        panic!("a histogram has steps")
    };
    assert_eq!(series[0].1.len(), 200);
    assert_eq!(series[0].1.iter().sum::<u64>(), 8);
    assert_eq!((series[0].1[0], series[0].1[1], series[0].1[60], series[0].1[199]), (2, 1, 3, 2));
}

#[test]
fn odd_plots_are_drawn_or_refused_by_name() {
    let histogram = |options: serde_json::Value| plot::histogram(&serde_json::from_value(options).expect("options"));
    for values in
        [json!([]), json!([null]), json!([0.3]), json!([5, 5, 5]), json!([-1e300, 1e300]), json!([1e-12, 2e-12])]
    {
        for log_y in [false, true] {
            let figure = histogram(json!({"series": [{"values": values}], "log_y": log_y})).expect("a figure");
            assert!(!figure.to_svg(&Silent).expect("drawn").contains("NaN"), "{values}");
        }
    }
    let refused = [
        json!({"series": []}),
        json!({"series": [{"values": [1]}], "bin_width": 0}),
        json!({"series": [{"values": [0, 1e9]}], "bin_width": 0.001}),
        json!({"series": [{"values": [1]}], "width": 10}),
        json!({"series": [{"values": [1]}], "from": 2, "to": 1}),
    ];
    for options in refused {
        assert_eq!(histogram(options.clone()).expect_err("refused").code, Code::OutOfRange, "{options}");
    }
    assert!(serde_json::from_value::<HistogramOptions>(json!({"bin_widht": 1})).is_err());
    let line = json!({"series": [{"name": "a", "x": [1, 2], "y": [1]}]});
    let line = plot::line(&serde_json::from_value(line).expect("options")).expect_err("ragged");
    assert_eq!(line.code, Code::ShapeMismatch);
    let gap = json!({"series": [{"x": [1, 2, 3, 4], "y": [1, null, 1e-3, 0]}], "log_y": true, "log_x": true});
    plot::line(&serde_json::from_value(gap).expect("options")).expect("a figure").to_svg(&Silent).expect("drawn");
    assert!(Figure::facets(vec![vec![]]).is_err());
}

/// What the bindings of tables and plots promise in their examples, run by the engine itself.
#[test]
fn scripts_make_tables_and_figures() {
    use saerun::host::session::{Session, Setup};
    use saerun::host::{docs, engine, run};
    let root = tempfile::tempdir().expect("a temporary folder");
    let setup = || Setup { root: root.path().to_path_buf(), stem: "example".into(), quiet: true, ..Setup::default() };
    let bare = engine(&std::sync::Arc::new(Session::new(setup()).expect("a session")));
    let mut examples = 0;
    for function in docs::functions(&bare, false).iter().filter(|f| ["table", "plot"].contains(&f.namespace.as_str())) {
        assert!(!function.examples().is_empty(), "{} has no example", function.path());
        for example in function.examples() {
            let session = std::sync::Arc::new(Session::new(setup()).expect("a session"));
            let done = run::run(&session, "scripts/example.rhai", &example);
            assert!(done.is_ok(), "{}:\n{example}\n{:?}", function.path(), done.err());
            examples += 1;
        }
    }
    assert!(examples >= 30, "{examples} examples");
    let script = r#"
        let t = table::from_rows(["reg", "seed", "score"], [["none", 0, 0.846], ["three_term", 0, 0.828], ["none", 1, ()]]);
        assert_eq(t.to_string(), "Table [3 rows, 3 columns] reg, seed, score");
        t.save("scores");
        t.filter(|row| row.reg == "none").group_by(["reg"], #{ score: ["mean", "count"], seed: "max" }).save("groups.csv");
        plot::histogram(#{ series: [#{ name: "a", values: [0.1, (), 0.3, 0.0 / 0.0] }], bin_width: 0.1 }).save("nn");
        // A wrong key that stands in a map would be found before the script runs.
        fn wrong(key) { let options = #{}; options[key] = true; options }
        let codes = [];
        for bad in [|| t.column("scor"), || t.save("../x"), || t.sort("reg", wrong("des")),
            || plot::line(wrong("serie")), || plot::bar(#{ series: [] }), || t.group_by("reg", #{ score: "maen" }),
            || t.filter(|row| 1)] {
            try { bad.call(); codes.push("none"); } catch (e) { codes.push(e.code); }
        }
        assert_eq(codes, ["unknown-name", "outside-project", "unknown-option", "unknown-option", "out-of-range",
            "unknown-name", "wrong-type"]);
    "#;
    let session = std::sync::Arc::new(Session::new(setup()).expect("a session"));
    let done = run::run(&session, "scripts/example.rhai", script);
    assert!(done.is_ok(), "{:?}", done.err());
    let read = |name: &str| std::fs::read_to_string(root.path().join("results/example").join(name)).expect("written");
    assert_eq!(read("scores.csv"), "reg,seed,score\nnone,0,0.846\nthree_term,0,0.828\nnone,1,\n");
    assert_eq!(read("groups.csv"), "reg,seed,score_mean,score_count\nnone,1,0.846,1\n");
    assert!(read("scores.md").starts_with("| reg"));
    assert!(read("nn.svg").contains("a: 2 values from 0.1000 to 0.3000"));
    assert!(!root.path().join("results/example/x.csv").exists());
}

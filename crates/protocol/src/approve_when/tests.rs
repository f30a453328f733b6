//! Every test of an argument, its slips, and the ways around it.

use super::*;

fn rule(value: Value) -> ApproveWhen {
    ApproveWhen::try_from(value).unwrap()
}

fn judged(rule: &ApproveWhen, arguments: Value) -> String {
    match rule.fits(arguments.as_object().unwrap()) {
        Ok(()) => "fits".to_owned(),
        Err(why) => why,
    }
}

#[test]
fn every_test_of_one_argument() {
    for (test, fits, others) in [
        (
            json!({"equals": "a"}),
            vec![json!("a")],
            vec![json!("A"), json!("aa"), json!(["a"])],
        ),
        (
            json!({"equals": 3}),
            vec![json!(3), json!(3.0)],
            vec![json!("3"), json!(4), json!(true)],
        ),
        (
            json!({"equals": true}),
            vec![json!(true)],
            vec![json!(false), json!("true"), json!(1)],
        ),
        (
            json!({"one_of": ["a", 1]}),
            vec![json!("a"), json!(1)],
            vec![json!("b"), json!("1")],
        ),
        (
            json!({"prefix": "/srv/"}),
            vec![json!("/srv/"), json!("/srv/a/..b")],
            vec![
                json!("/srv"),
                json!("/srv/../etc"),
                json!("/srv/a\\..\\.."),
                json!(7),
            ],
        ),
        (
            json!({"prefix": "https://good.example/a%2Fb/"}),
            vec![
                json!("https://good.example/a%2Fb/c?d=e%20f#g"),
                json!("https://good.example/a%2Fb/..c"),
            ],
            vec![
                json!("https://good.example/a%2Fb/%2e%2E/c"),
                json!("https://good.example/a%2Fb/.%2e/c"),
                json!("https://good.example/a%2Fb/x%2F..%2fc"),
                json!("https://good.example/a%2Fb/x%5c..%5Cc"),
                json!("https://good.example/a%2Fb/.\t./c"),
                json!("https://good.example/a%2Fb/.\n./c"),
                json!("https://good.example/a%2Fb/.. "),
                json!("https://good.example/a%2Fb/\u{85}"),
            ],
        ),
        (
            json!({"prefix": "SELECT "}),
            vec![json!("SELECT a %2e\n")],
            vec![json!("DROP")],
        ),
        (
            json!({"within": "/srv/out"}),
            vec![
                json!("/srv/out"),
                json!("/srv//out/./a"),
                json!("/srv/out/..a"),
            ],
            vec![
                json!("/srv/out-other"),
                json!("/srv/out/../etc"),
                json!("/srv/out/a\\..\\..\\..\\etc"),
                json!("srv/out/a"),
                json!("/srv"),
                json!("/srv/out\0/a"),
                json!(["/srv/out"]),
            ],
        ),
        (
            json!({"min": 1, "max": 10.5}),
            vec![json!(1), json!(10), json!(10.5)],
            vec![json!(0), json!(11), json!("5"), json!(u64::MAX)],
        ),
        (
            json!({"max": i64::MAX}),
            vec![json!(i64::MAX), json!(-1)],
            vec![json!(u64::MAX)],
        ),
    ] {
        let rule = rule(json!({"a": test}));
        for value in fits {
            let told = judged(&rule, json!({"a": value, "b": 1}));
            assert_eq!(told, "fits", "{test} {value}");
        }
        for value in others {
            let told = judged(&rule, json!({"a": value}));
            assert!(told.starts_with("argument `a` is") || told.starts_with("argument `a` does"));
        }
        // What is missing fits no test of a value.
        assert_eq!(judged(&rule, json!({"b": 1})), "argument `a` is missing");
        assert_eq!(judged(&rule, json!({"a": null})), "argument `a` is missing");
    }
}

#[test]
fn all_arguments_of_an_alternative_fit_and_one_alternative_is_enough() {
    let both = rule(json!({"path": {"within": "/srv"}, "force": {"absent": true}}));
    assert_eq!(judged(&both, json!({"path": "/srv/a"})), "fits");
    assert_eq!(
        judged(&both, json!({"path": "/srv/a", "force": null})),
        "fits"
    );
    assert_eq!(
        judged(&both, json!({"path": "/srv/a", "force": false})),
        "argument `force` is given"
    );
    assert_eq!(
        judged(&both, json!({"path": "/etc/hunter2"})),
        "argument `path` is not within `/srv`",
        "no value is shown"
    );
    let either = rule(json!([{"a": {"equals": 1}}, {"b": {"equals": 2}}]));
    assert_eq!(judged(&either, json!({"a": 1, "b": 9})), "fits");
    assert_eq!(judged(&either, json!({"a": 9, "b": 2})), "fits");
    assert_eq!(
        judged(&either, json!({})),
        "none of its 2 alternatives fits"
    );
}

#[test]
fn a_slip_is_no_rule() {
    for (value, expected) in [
        (json!("x"), "a table of arguments"),
        (json!([]), "a table of arguments"),
        (json!([1]), "a table of arguments"),
        (json!({}), "approves every call"),
        (json!([{"a": {"equals": 1}}, {}]), "approves every call"),
        (
            json!({"a": "x"}),
            "argument `a`: expected a table of tests (equals, ",
        ),
        (json!({"a": {}}), "argument `a`: expected a test"),
        (
            json!({"a": {"prefx": "x"}}),
            "argument `a`: `prefx` is no test; there are equals, ",
        ),
        (json!({"a": {"equals": ["x"]}}), "`equals` wants text"),
        (json!({"a": {"one_of": []}}), "`one_of` wants a list"),
        (json!({"a": {"one_of": "x"}}), "`one_of` wants a list"),
        (json!({"a": {"prefix": ""}}), "`prefix` wants text"),
        (
            json!({"a": {"prefix": "https://good.example"}}),
            "behind the host of a URL",
        ),
        (json!({"a": {"within": "srv"}}), "an absolute path"),
        (json!({"a": {"within": "/srv/../x"}}), "an absolute path"),
        (json!({"a": {"min": "1"}}), "`min` wants a number"),
        (json!({"a": {"absent": false}}), "`absent` wants `true`"),
        (
            json!({"a": {"absent": true, "equals": 1}}),
            "goes with no other test",
        ),
    ] {
        let said = ApproveWhen::try_from(value.clone()).unwrap_err();
        assert!(said.contains(expected), "{value}: {said}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for value in [
        json!({"a": {"within": "/srv"}, "b": {"min": 1, "max": 2}}),
        json!([{"a": {"equals": "x"}}, {"a": {"one_of": [1, true]}, "c": {"absent": true}}]),
        json!({"u": {"prefix": "https://good.example/"}}),
    ] {
        assert_eq!(Value::from(rule(value.clone())), value);
    }
}

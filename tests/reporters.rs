//! Names of failing tests in what test runners really print; the samples are their own output, paths shortened.

use gastown::model::reporter::failing;

#[track_caller]
fn names(sample: &str, expected: &[&str]) {
    let path = format!("{}/tests/samples/{sample}.txt", env!("CARGO_MANIFEST_DIR"));
    let log = std::fs::read_to_string(path).unwrap();
    assert_eq!(failing(&log), expected, "{sample}");
    // Lines of other commands around it change nothing.
    let around = format!("   Compiling x v1\n$ make test\n{log}\nmake: *** [Makefile:3: test] Error 1\n");
    assert_eq!(failing(&around), expected, "{sample}, within other output");
}

#[test]
fn cargo_names_tests_of_all_targets_and_a_test_s_own_words_are_not_believed() {
    names("cargo", &["tests::panics", "tests::subtracts", "the_till_opens", "src/lib.rs - add (line 4)"]);
}

#[test]
fn nextest_names_binary_and_test() {
    names("nextest", &["shop tests::panics", "shop::till the_till_opens", "shop tests::subtracts"]);
    let older = "     Summary [   1.000s] 3 tests run\n     TIMEOUT [  60.004s] shop slow\n  TRY 2 SIGSEGV [   0.1s] shop bad\n   FLAKY 2/3 [   0.1s] shop odd\n";
    assert_eq!(failing(older), ["shop slow", "shop bad"]);
}

#[test]
fn pytest_names_failures_and_errors_of_fixtures_and_of_collection() {
    names(
        "pytest",
        &["test_shop.py::test_bad", "test_shop.py::TestTill::test_open", "test_shop.py::test_each[2]", "test_shop.py::test_uses"],
    );
    names("pytest_collect", &["test_import.py"]);
}

#[test]
fn go_names_package_and_test_plain_verbose_and_as_events() {
    let tests = ["example.org/shop.TestBad", "example.org/shop.TestTable/one_case"];
    let (built, panicked) = ("example.org/shop/broken [build failed]", "example.org/shop/till.TestPanics");
    for sample in ["go", "go_verbose"] {
        names(sample, &[tests[0], tests[1], built, panicked]);
    }
    // What could not be built is told beside the events, not in them.
    names("go_json", &[built, tests[0], tests[1], panicked]);
    assert_eq!(failing("panic: no\nFAIL\texample.org/till\t0.1s\nFAIL\n"), ["example.org/till"]);
}

#[test]
fn jest_and_vitest_name_file_and_test() {
    let of = |arrow: &str| ["the shop", "opens"].join(arrow);
    for sample in ["jest", "jest_verbose"] {
        let first = format!("a/shop.test.js › {}", of(" › "));
        names(sample, &[&first, "a/shop.test.js › the shop › till › counts › coins", "a/broken.test.js"]);
    }
    let first = format!("a/shop.test.js > {}", of(" > "));
    names("vitest", &["a/broken.test.js", &first, "a/shop.test.js > the shop > till > counts › coins"]);
}

#[test]
fn tap_names_tests_with_what_they_are_within_and_leaves_out_what_may_fail() {
    names("tap_node", &["fails # hash", "suite > inner"]);
    names("tap_perl", &["second one", "test 4"]);
    assert_eq!(failing("not ok 1 - but nobody said that this is TAP\n"), [""; 0]);
}

#[test]
fn a_log_without_a_failing_test_names_none() {
    for log in
        ["", "all is well\n", "error: could not compile `shop`\n", "FAILED to reach the network\n", "ok 1\nnot okay\n1..1\n"]
    {
        assert_eq!(failing(log), [""; 0], "{log}");
    }
}

//! The house law, read from the sources: floors, sizes, words, and what must stand where.
//!
//! Each rule is a function from text to its violations, and each is shown to catch one.

mod reading;

use std::path::{Path, PathBuf};

use reading::{blanked, body_end, identifier_at, line_of, without_tests, words_at};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Top-level modules by floor; a file uses lower floors and its own module.
const FLOORS: &[(&str, u8)] = &[
    ("error", 0),
    ("env", 0),
    ("name", 0),
    ("schema", 0),
    ("time", 0),
    ("model", 1),
    ("store", 2),
    ("ledger", 3),
    ("git", 3),
    ("runtime", 3),
    ("town", 4),
    ("config", 4),
    ("ops", 5),
    ("daemon", 5),
    ("cli", 6),
    ("screen", 6),
    ("bin", 7),
];

/// Floors whose rooms know each other: the words, and where we are with what is set.
const OPEN_FLOORS: &[u8] = &[0, 4];

/// Names of methods that a foreign trait gives.
const GIVEN_NAMES: &[&str] = &["mark_complete_and_common_ref"];

const BANNED_WORDS: &[&str] = &[
    "manager",
    "managers",
    "helper",
    "helpers",
    "util",
    "utils",
    "service",
    "services",
    "handler",
    "handlers",
    "processor",
    "processors",
    "data",
    "info",
    "common",
    "misc",
];

/// What the top of the project may show; dotfiles and what git ignores aside.
const TOP_LEVEL: &[&str] =
    &["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src", "hooks", "formulas", "docs", "tests", "target"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dirs` with one of `extensions`, as (path from the root, text).
fn files(dirs: &[&str], extensions: &[&str]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for dir in dirs {
        for entry in walkdir::WalkDir::new(root().join(dir)).sort_by_file_name().into_iter().filter_map(Result::ok) {
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if entry.file_type().is_file() && extensions.contains(&extension) {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                all.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!all.is_empty(), "no files under {dirs:?}");
    all
}

fn report(violations: &[String]) {
    assert!(violations.is_empty(), "the house law is broken:\n  {}\n", violations.join("\n  "));
}

/// Applies `rule` to every Rust file in `dirs`.
fn each_rust_file(dirs: &[&str], rule: impl Fn(&str, &str) -> Vec<String>) {
    let found: Vec<String> = files(dirs, &["rs"])
        .iter()
        .flat_map(|(name, text)| rule(name, text).into_iter().map(move |violation| format!("{name}: {violation}")))
        .collect();
    report(&found);
}

// ---------------------------------------------------------------- floors

fn floor_of(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The top-level module of `src/x.rs` and `src/x/…`.
fn module_of(name: &str) -> &str {
    let inner = name.strip_prefix("src/").unwrap_or(name);
    inner.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Every top-level module that the code names: `crate::x`, `crate::{x, y::z}`, `gastown::x`.
fn modules_used(code: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for start in ["crate::", "gastown::"].iter().flat_map(|root| {
        let word = root.trim_end_matches(':');
        words_at(code, word).filter(move |index| code[*index..].starts_with(root)).map(|index| index + root.len())
    }) {
        let rest = &code[start..];
        if !rest.starts_with('{') {
            used.push((line_of(code, start), identifier_at(rest).to_owned()));
            continue;
        }
        let mut depth = 0;
        let mut is_name_next = false;
        for (index, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && (c == '{' || c == ',') {
                is_name_next = true;
            } else if is_name_next && !c.is_whitespace() {
                used.push((line_of(code, start + index), identifier_at(&rest[index..]).to_owned()));
                is_name_next = false;
            }
        }
    }
    used
}

fn floor_violations(name: &str, text: &str) -> Vec<String> {
    let me = module_of(name);
    let code = without_tests(&blanked(text));
    if me == "lib" {
        return Vec::new();
    }
    let Some(floor) = floor_of(me) else { return vec![format!("the module {me} stands on no floor; see FLOORS")] };
    let mut violations: Vec<String> = modules_used(&code)
        .into_iter()
        .filter_map(|(line, used)| {
            // Macros and names that the root exports are not modules.
            let other = floor_of(&used)?;
            let is_open = other == floor && OPEN_FLOORS.contains(&floor);
            let is_transport = name.starts_with("src/ledger/sync") && used == "git";
            let is_fine = used == me || other < floor || is_open || is_transport;
            (!is_fine).then(|| format!("line {line}: {me} (floor {floor}) uses {used} (floor {other})"))
        })
        .collect();
    if code.contains("super::super::") {
        violations.push("super::super hides where a path leads; write crate::".into());
    }
    violations
}

#[test]
fn every_file_uses_only_lower_floors() {
    each_rust_file(&["src"], floor_violations);
}

#[test]
fn a_use_of_a_higher_floor_is_caught() {
    for (file, text) in [
        ("src/model/bead.rs", "use crate::ledger::Ledger;"),
        ("src/git/fetch.rs", "use crate::{error::Result, ledger::{State, Change}};"),
        ("src/ledger/read.rs", "fn f() { crate::git::push::push(); }"),
        ("src/ops/sling.rs", "use crate::cli::out::Page;"),
        ("src/attic/x.rs", ""),
        ("src/ops/a/b.rs", "use super::super::done;"),
    ] {
        assert_eq!(floor_violations(file, text).len(), 1, "{file}: {text}");
    }
    for (file, text) in [
        ("src/ledger/sync.rs", "use crate::git::push;"),
        ("src/ops/sling.rs", "use crate::{git::worktree, ops::post, town::Town};"),
        ("src/config.rs", "use crate::town::Town;"),
        ("src/model/bead.rs", "// crate::ledger\n#[cfg(test)]\nmod tests { use crate::ledger::Ledger; }"),
    ] {
        assert_eq!(floor_violations(file, text), [""; 0], "{file}: {text}");
    }
}

/// What the words, the nouns and the screens may not touch: the outside, and the ledger's pen.
fn reach_violations(name: &str, text: &str) -> Vec<String> {
    let code = without_tests(&blanked(text));
    let outside: &[&str] = match module_of(name) {
        "error" | "name" | "model" => {
            &["std::fs", "std::process", "std::env", "std::net", "std::thread", "SystemTime", "Instant"]
        }
        "cli" => &[".transact(", "std::process", "std::env", "std::net"],
        _ => &[],
    };
    let found = outside.iter().filter(|word| code.contains(**word));
    found.map(|word| format!("uses {word}, which its floor must not")).collect()
}

#[test]
fn nouns_are_pure_and_the_command_line_only_reads() {
    each_rust_file(&["src"], reach_violations);
    assert_eq!(reach_violations("src/model/x.rs", "fn f() { std::fs::read(p) }").len(), 1);
    assert_eq!(reach_violations("src/cli/x.rs", "town.hq.transact(deed, |c| {})").len(), 1);
    assert!(reach_violations("src/ops/x.rs", "town.hq.transact(deed, |c| {})").is_empty());
}

// ---------------------------------------------------------------- sizes

fn size_violations(_: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        violations.push(format!("{lines} lines, more than {FILE_LINES_MAX}"));
    }
    let code = blanked(text);
    for start in words_at(&code, "fn") {
        let name = identifier_at(code[start + 2..].trim_start());
        let Some(end) = body_end(&code, start).filter(|_| !name.is_empty()) else { continue };
        let length = line_of(&code, end) - line_of(&code, start) + 1;
        if length > FUNCTION_LINES_MAX {
            violations
                .push(format!("line {}: fn {name} has {length} lines, more than {FUNCTION_LINES_MAX}", line_of(&code, start)));
        }
    }
    violations
}

#[test]
fn files_and_functions_are_short() {
    each_rust_file(&["src", "tests"], size_violations);
}

#[test]
fn a_long_file_or_function_is_caught() {
    let long = format!("fn f(a: [u8; 3]) -> u8 {{\n{}}}\n", "    let x = \"}\";\n".repeat(FUNCTION_LINES_MAX));
    assert_eq!(size_violations("", &long).len(), 1);
    let fitting = format!("fn f() {{\n{}}}\ntrait T {{ fn g(); }}\n", "    // }\n".repeat(FUNCTION_LINES_MAX - 2));
    assert_eq!(size_violations("", &fitting), [""; 0]);
    assert_eq!(size_violations("", &"\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
}

// ---------------------------------------------------------------- words

/// The words of an identifier: `GateRun`, `gate_run` and `GATE_RUN` are `gate`, `run`.
fn words_of(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in identifier.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The names that the code defines: after a keyword, as a public field, as a parameter.
fn names_defined(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for keyword in ["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "let", "mut", "pub"] {
        for index in words_at(code, keyword) {
            let name = identifier_at(code[index + keyword.len()..].trim_start());
            names.push(name);
            if keyword == "fn" && !name.is_empty() {
                names.extend(parameters(&code[index..]));
            }
        }
    }
    names
}

fn parameters(from_fn: &str) -> Vec<&str> {
    let Some(open) = from_fn.find('(') else { return Vec::new() };
    let mut depth = 0;
    let mut end = from_fn.len();
    for (index, c) in from_fn[open..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            end = open + index;
            break;
        }
    }
    let list = &from_fn[open + 1..end];
    list.split(',').filter_map(|part| part.split_once(':')).map(|(name, _)| name.trim().trim_start_matches("mut ")).collect()
}

fn word_violations(name: &str, text: &str) -> Vec<String> {
    let code = blanked(text);
    let file = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let names = names_defined(&code).into_iter().chain([file]);
    let names = names.filter(|name| !GIVEN_NAMES.contains(name));
    let banned = names.filter(|name| words_of(name).iter().any(|word| BANNED_WORDS.contains(&word.as_str())));
    banned.map(|name| format!("the name '{name}' holds a word that says nothing")).collect()
}

#[test]
fn names_say_something() {
    each_rust_file(&["src", "tests"], word_violations);
}

#[test]
fn an_empty_word_in_a_name_is_caught() {
    for text in
        ["struct BeadManager;", "fn parse_data() {}", "const MISC: u8 = 1;", "pub info: String", "fn f(n: u8, data: &[u8]) {}"]
    {
        assert_eq!(word_violations("src/x.rs", text).len(), 1, "{text}");
    }
    assert_eq!(word_violations("src/utils.rs", "").len(), 1);
    for text in
        ["let x = object.data;", "struct Database;", "let metadata = 1;", "tracing::info!(1)", "// a helper", "\"fn data\""]
    {
        assert_eq!(word_violations("src/x.rs", text), [""; 0], "{text}");
    }
}

// ---------------------------------------------------------------- what must and must not stand there

fn missing_head(_: &str, text: &str) -> Vec<String> {
    let has = text.starts_with("//! ") && text.lines().next().is_some_and(|line| line.len() > 8);
    if has { Vec::new() } else { vec!["does not open with //! and what it is for".into()] }
}

fn loose_ends(_: &str, text: &str) -> Vec<String> {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!"), concat!("unimplemented", "!")];
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(n, line)| format!("line {}: a loose end: {}", n + 1, line.trim()))
        .collect()
}

fn crude_calls(_: &str, text: &str) -> Vec<String> {
    let code = without_tests(&blanked(text));
    let crude = [".unwrap()", ".unwrap_err()", "#[allow(", "#![allow(", "dbg!("];
    crude.iter().filter(|call| code.contains(**call)).map(|call| format!("has {call} outside its tests")).collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    each_rust_file(&["src", "tests"], missing_head);
    assert_eq!(missing_head("", "use std::fs;\n").len(), 1);
    assert!(missing_head("", "//! The house law.\n").is_empty());
}

#[test]
fn nothing_is_left_for_later() {
    each_rust_file(&["src", "tests"], loose_ends);
    assert_eq!(loose_ends("", concat!("// TO", "DO: later\n")).len(), 1);
    assert_eq!(loose_ends("", concat!("fn f() { todo", "!() }\n")).len(), 1);
    assert!(loose_ends("", "// all done\n").is_empty());
}

#[test]
fn nothing_ends_the_process_on_a_whim() {
    each_rust_file(&["src"], crude_calls);
    assert_eq!(crude_calls("", "fn f() { x.unwrap() }").len(), 1);
    assert!(crude_calls("", "// x.unwrap()\n#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }").is_empty());
}

/// Test files that neither `tests/main.rs` names nor Cargo.toml by their path (benchmarks and examples).
fn never_run<'n>(main: &str, manifest: &str, names: &'n [String]) -> Vec<&'n str> {
    let code = blanked(main);
    let is_listed = |stem: &str| code.lines().any(|line| line.trim() == format!("mod {stem};"));
    let is_target = |name: &str| manifest.contains(&format!("path = \"tests/{name}\""));
    let loose = names.iter().filter(|name| !is_target(name) && !is_listed(name.trim_end_matches(".rs")));
    loose.map(String::as_str).collect()
}

#[test]
fn every_test_file_is_run() {
    let names: Vec<String> = std::fs::read_dir(root().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .filter(|name| name.strip_suffix(".rs").is_some())
        .collect();
    let main = std::fs::read_to_string(root().join("tests/main.rs")).unwrap();
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(never_run(&main, &manifest, &names), [""; 0], "in neither tests/main.rs nor Cargo.toml");
    let names = ["race.rs", "crash.rs", "bench.rs"].map(str::to_owned);
    assert_eq!(never_run("mod race;\n// mod crash;\n", "path = \"tests/bench.rs\"", &names), ["crash.rs"]);
}

/// Paths that only make sense on one machine.
fn machine_paths(text: &str) -> Vec<String> {
    let roots = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let is_path_before = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "_.-~}>".contains(c));
    let starts = |line: &str| roots.iter().any(|root| line.match_indices(root).any(|(at, _)| !is_path_before(&line[..at])));
    text.lines().filter(|line| starts(line)).map(|line| format!("a path of one machine: {}", line.trim())).collect()
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let mut all = files(&["src", "tests"], &["rs", "sh", "md", "toml", "json"]);
    for dir in ["hooks", "formulas", "docs", ".ci"].iter().filter(|dir| root().join(dir).exists()) {
        let entries = walkdir::WalkDir::new(root().join(dir)).into_iter().filter_map(Result::ok);
        let texts = entries.filter(|entry| entry.file_type().is_file());
        all.extend(
            texts.filter_map(|entry| Some((entry.path().display().to_string(), std::fs::read_to_string(entry.path()).ok()?))),
        );
    }
    for file in ["README.md", "Cargo.toml", ".clippy.toml"] {
        all.extend(std::fs::read_to_string(root().join(file)).map(|text| (file.to_owned(), text)));
    }
    let found = all.iter().flat_map(|(name, text)| machine_paths(text).into_iter().map(move |line| format!("{name}: {line}")));
    report(&found.collect::<Vec<_>>());
    assert_eq!(machine_paths(concat!("see /ho", "me/joe/x and src/wo", "rk/x\n")).len(), 1);
    assert!(machine_paths(concat!("src/wo", "rk/x ~/ho", "me/x\n")).is_empty());
}

/// Relative links in Markdown that lead nowhere, seen from `dir`.
fn dead_links(dir: &Path, text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    let relative = files.filter(|file| !file.is_empty() && !file.contains("://") && !file.contains(' '));
    relative.filter(|file| !dir.join(file).exists()).map(|file| format!("a link to '{file}' leads nowhere")).collect()
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut found = Vec::new();
    let documents =
        walkdir::WalkDir::new(root().join("docs")).into_iter().filter_map(Result::ok).map(walkdir::DirEntry::into_path);
    for path in documents.chain([root().join("README.md")]).filter(|path| path.extension().is_some_and(|e| e == "md")) {
        if let Ok(text) = std::fs::read_to_string(&path) {
            found.extend(dead_links(path.parent().unwrap(), &text).iter().map(|link| format!("{}: {link}", path.display())));
        }
    }
    report(&found);
    assert_eq!(dead_links(&root(), "[a](src/lib.rs) [b](docs/nowhere.md#x) [c](https://example.org)").len(), 1);
}

#[test]
fn the_top_of_the_project_shows_only_what_was_agreed() {
    let names = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned());
    let strange: Vec<String> = names.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str())).collect();
    assert_eq!(strange, [""; 0], "not among the agreed names at the top");
}

//! `go test`, plain and with `-json`.

use serde_json::Value;

/// `--- FAIL: TestX (0.00s)`, which belongs to the package that the next `FAIL<tab>package` names.
pub(super) fn plain(lines: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut tests: Vec<String> = Vec::new();
    for line in lines {
        if let Some(rest) = line.trim_start().strip_prefix("--- FAIL: ") {
            tests.extend(rest.rsplit_once(" (").map(|(name, _)| name.to_owned()));
        } else if let Some(rest) = line.strip_prefix("FAIL\t") {
            names.extend(of_package(&mut tests, rest));
        }
    }
    names.extend(leaves(&tests).cloned());
    names
}

/// `package<tab>seconds`, or `package [build failed]`.
fn of_package(tests: &mut Vec<String>, rest: &str) -> Vec<String> {
    let package = rest.split('\t').next().unwrap_or_default();
    let named: Vec<String> = leaves(tests).map(|test| format!("{package}.{test}")).collect();
    tests.clear();
    if named.is_empty() { vec![package.to_owned()] } else { named }
}

/// Without those of which a part is named too.
fn leaves(tests: &[String]) -> impl Iterator<Item = &String> {
    let is_parent =
        |test: &String| tests.iter().any(|other| other.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with('/')));
    tests.iter().filter(move |test| !is_parent(test))
}

/// Events of which the action is `fail`.
pub(super) fn json(lines: &[&str]) -> Vec<String> {
    let events = lines.iter().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |event: &Value, field: &str| event.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut names = Vec::new();
    let mut tests: Vec<String> = Vec::new();
    for event in events.filter(|event| text(event, "Action").as_deref() == Some("fail")) {
        let Some(package) = text(&event, "Package") else { continue };
        match text(&event, "Test") {
            Some(test) => tests.push(format!("{package}.{test}")),
            None => {
                let start = format!("{package}.");
                let (of_it, others): (Vec<String>, Vec<String>) = tests.into_iter().partition(|test| test.starts_with(&start));
                tests = others;
                names.extend(leaves(&of_it).cloned());
                if of_it.is_empty() {
                    names.push(package);
                }
            }
        }
    }
    names.extend(leaves(&tests).cloned());
    names
}

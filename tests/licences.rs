//! What is built in is free to be: every dependency's licence is one of those below, and none is older than its
//! known holes.

use std::process::Command;

use serde_json::Value;

/// Licences that go with MIT OR Apache-2.0.
const ALLOWED: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
];

/// Versions below which a published hole is open: package, version, what it lets happen.
const FLOORS: [(&str, (u64, u64, u64), &str); 2] = [
    ("gix", (0, 90, 0), "CVE-2026-44471 and others: writing outside of the worktree at checkout"),
    ("tracing-subscriber", (0, 3, 20), "RUSTSEC-2025-0055: escape sequences in logged text reach the terminal"),
];

/// Whether a licence expression can be met: one side of every OR, all sides of every AND.
fn is_met(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" AND ").all(|all| all.split(" OR ").any(|one| ALLOWED.contains(&one.trim())))
}

fn version_of(package: &Value) -> (u64, u64, u64) {
    let text = package["version"].as_str().unwrap();
    let mut parts = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[test]
fn every_dependency_is_free_and_none_has_a_known_hole() {
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "only {} packages were looked at", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none stated");
        assert!(is_met(licence), "{} is under {licence}", package["name"]);
        for (name, floor, hole) in FLOORS {
            let is_open = package["name"] == name && version_of(package) < floor;
            assert!(!is_open, "{name} {} is too old: {hole}", package["version"]);
        }
    }
}

#[test]
fn a_licence_that_does_not_go_with_ours_is_refused() {
    assert!(is_met("MIT OR GPL-3.0") && is_met("MIT/Apache-2.0") && is_met("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!is_met("GPL-3.0") && !is_met("MIT AND GPL-3.0") && !is_met("none stated"));
}

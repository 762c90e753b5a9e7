//! The queue on this project's own repository, with gates that cargo runs: what fails is found by what cargo says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use gastown::model::gate::{GateRun, Verdict};
use gastown::name::BeadId;

use crate::refinery::world::{World, git};

/// A rig whose target is this project as it was committed last.
fn of_this_project() -> World {
    let world = World::new();
    let work = world.work();
    git(&work, &["fetch", "-q", env!("CARGO_MANIFEST_DIR"), "HEAD"]);
    git(&work, &["reset", "-q", "--hard", "FETCH_HEAD"]);
    git(&work, &["push", "-q", "-f", "rig", "main"]);
    assert!(world.files("main").len() > 400, "this is the project");
    world
}

/// The logs of all gate runs, oldest first.
fn logs(world: &World) -> Vec<(GateRun, String)> {
    let town: PathBuf = world.rig_dir().parent().unwrap().to_owned();
    let logs = |run: GateRun| (std::fs::read_to_string(town.join(&run.log)).unwrap(), run);
    world.recorded().into_iter().map(logs).map(|(log, run)| (run, log)).collect()
}

fn set(ids: &[BeadId]) -> BTreeSet<&BeadId> {
    ids.iter().collect()
}

fn count(logs: &[(GateRun, String)], line: &str) -> usize {
    logs.iter().filter(|(_, log)| log.contains(line)).count()
}

fn test_of(name: &str, body: &str) -> (String, String) {
    (format!("small/tests/{name}.rs"), format!("#[test]\nfn {name}_holds() {{\n    {body}\n}}\n"))
}

#[test]
fn on_this_project_cargo_tests_name_the_culprits_and_build_only_what_changed() {
    let mut world = of_this_project();
    world.push_main(&[
        (
            "small/Cargo.toml",
            "[package]\nname = \"small\"\nedition = \"2024\"\n[dependencies]\nbase = { path = \"base\" }\n[workspace]\n",
        ),
        ("small/src/lib.rs", "pub fn parts() -> usize {\n    base::parts()\n}\n"),
        ("small/base/Cargo.toml", "[package]\nname = \"base\"\nedition = \"2024\"\n"),
        ("small/base/src/lib.rs", "pub fn parts() -> usize {\n    2\n}\n"),
    ]);
    world.set("mq.workers", "1");
    world.gate("test", "cargo test --offline --no-fail-fast --manifest-path small/Cargo.toml --target-dir $GT_BUILD_DIR");
    let request = |name: &str, body: &str| {
        let (path, text) = test_of(name, body);
        world.request(name, &[(&path, &text)]).1
    };
    let good = "assert_eq!(small::parts(), 2);";
    let mrs: Vec<BeadId> = vec![
        request("bolts", good),
        request("nuts", "assert_eq!(small::parts(), 3, \"one is missing\");"),
        request("gears", good),
        request("belts", "let parts: &str = small::parts();"),
        request("wheels", good),
    ];
    let drained = world.run().unwrap();
    assert_eq!(set(&drained.landed), set(&[mrs[0].clone(), mrs[2].clone(), mrs[4].clone()]), "{:#?}", world.lines());
    assert_eq!(set(&drained.evicted), set(&[mrs[1].clone(), mrs[3].clone()]));
    let blames = [1, 3].map(|at| world.mr(&mrs[at]).blame.unwrap());
    assert_eq!(blames[0].failing, ["nuts_holds"]);
    assert!(blames[1].log_tail.contains("could not compile `small`"), "{}", blames[1].log_tail);
    let logs = logs(&world);
    assert_eq!(count(&logs, "Compiling base"), 1, "what nobody changed is built once");
    assert!(count(&logs, "Compiling small") > 2, "{logs:#?}");
    world.is_sound();
}

/// A request that adds `text` to the end of a source file of this project.
fn appends(world: &World, name: &str, path: &str, text: &str) -> BeadId {
    let before = git(&world.work(), &["show", &format!("main:{path}")]);
    world.request(name, &[(path, &format!("{before}\n{text}"))]).1
}

#[test]
#[ignore = "builds this project: a minute or more"]
fn on_this_project_cargo_check_finds_who_does_not_compile_and_who_does_not_together() {
    let mut world = of_this_project();
    world.set("mq.workers", "1");
    world.set("gates.check.timeout", "20m");
    world.gate("check", "cargo check --offline -p gastown --lib --target-dir $GT_BUILD_DIR");
    let adds = |name: &str, path: &str, value: &str| {
        let text = format!("/// Added by {name}.\npub const {}: u32 = {value};\n", name.to_uppercase());
        appends(&world, name, path, &text)
    };
    let moment =
        "impl From<u8> for crate::time::Moment {\n    fn from(_: u8) -> Self {\n        Self::from_millis(0)\n    }\n}\n";
    let mrs = [
        adds("bolts", "src/model/decay.rs", "1"),
        adds("nuts", "src/model/flow.rs", "2"),
        appends(&world, "left", "src/time.rs", moment),
        adds("gears", "src/git/patch.rs", "\"three\""),
        adds("belts", "src/store/lock.rs", "4"),
        adds("wheels", "src/config/gates.rs", "5"),
        appends(&world, "right", "src/model/estimate.rs", moment),
        adds("cranks", "src/ops/peek.rs", "6"),
    ];
    let drained = world.run().unwrap();
    assert_eq!(set(&drained.evicted), set(&[mrs[3].clone(), mrs[6].clone()]), "{:#?}", world.lines());
    assert_eq!(drained.landed.len(), 6);
    assert!(world.mr(&mrs[3]).blame.unwrap().log_tail.contains("E0308"));
    assert!(world.mr(&mrs[6]).blame.unwrap().log_tail.contains("E0119"));
    let logs = logs(&world);
    assert_eq!((count(&logs, " gix v"), count(&logs, "Checking gastown ")), (1, logs.len()), "dependencies are built once");
    for (run, _) in &logs {
        eprintln!("{} with {} in {} ms", run.verdict.word(), run.stack.len(), run.took_millis);
    }
    let first = logs[0].0.took_millis;
    assert!(
        logs[1..].iter().all(|(run, _)| run.verdict == Verdict::Red || run.took_millis < first),
        "the first builds everything"
    );
    world.is_sound();
}

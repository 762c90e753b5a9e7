//! Why a bead is where it is, told at each of its stations.

use crate::town::Town;

#[test]
fn each_station_of_a_bead_is_explained_with_what_moves_it_on() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command 'test ! -e bad' --rig widgets").succeeds();
    let (first, second) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    town.gt_args(&["bead", "dep", "add", &second, &first]).succeeds();
    let explain = |bead: &str| town.gt_args(&["explain", bead]).succeeds().stdout;
    assert!(explain(&first).contains("it is ready, and nobody has it") && explain(&first).contains("gt sling"));
    assert!(explain(&second).contains(&format!("it waits for {first}: it is open")), "{}", explain(&second));
    town.plan(&first, 1, "say at it\nhang");
    town.gt_args(&["sling", &first, "widgets/polecats/toast", "--no-start"]).succeeds();
    assert!(explain(&first).contains("no session of it runs") && explain(&first).contains("gt session start"));
    town.gt("session start widgets/toast").succeeds();
    assert!(explain(&first).contains("its session runs"), "{}", explain(&first));
    town.gt("session stop widgets/toast").succeeds();
    let sandbox = rig.dir.join("polecats/toast");
    std::fs::write(sandbox.join("bad"), "x\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    let told = explain(&first);
    assert!(told.contains("is queued, 1 in turn for main") && told.contains("nobody works that queue"), "{told}");
    let rows = town.gt("mq list --rig widgets --json").json();
    town.gt_args(&["mq", "hold", rows[0]["id"].as_str().unwrap(), "-m", "not today"]).succeeds();
    assert!(explain(&first).contains("not today") && explain(&first).contains("next: "), "{}", explain(&first));
    town.gt_args(&["mq", "release", rows[0]["id"].as_str().unwrap()]).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert!(explain(&first).contains("its last attempt was sent back: gt mq why"), "{}", explain(&first));
    town.gt_args(&["close", &first, "--reason", "given up"]).succeeds();
    assert!(explain(&first).contains("given up"));
    town.gt("explain wi-nope").fails_with(3);
}

#[test]
fn one_is_told_who_one_is() {
    let (town, _rig) = Town::with_rig();
    assert!(town.gt("whoami").succeeds().stdout.starts_with("overseer\n"));
    let told = town.as_agent("widgets/polecats/toast").gt("--json whoami").json();
    assert_eq!((told["address"].as_str(), told["role"].as_str()), (Some("widgets/polecats/toast"), Some("polecat")));
}

//! Towns and rigs cloned over every way, from what is here already, and pushed elsewhere than they are fetched.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::servers::{KINDS, Kind, Server};
use super::ways::By;
use crate::town::{Gt, Town};

/// gt with what the user's configuration needs for `server`.
fn by<'t>(town: &'t Town, server: &Server, by: By) -> Gt<'t> {
    let config = town.base().join(format!("config-{by:?}"));
    let set = |key: &str, value: &str| town.git(&town.base(), &["config", "-f", config.to_str().unwrap(), key, value]);
    set("gt.remoteTimeout", "60");
    for (key, value) in server.settings() {
        set(key, value);
    }
    if by == By::Git {
        set("gt.transport", "git");
    }
    town.from(town.base()).var("GIT_CONFIG_GLOBAL", config.to_str().unwrap())
}

fn clone_over(kind: Kind, way: By) {
    let town = Town::new();
    let project = town.project("widgets");
    let base = town.base();
    let Some(server) = Server::start(kind, &base, &base.join("server")) else { return };
    town.git(&base, &["init", "-q", "--bare", "hub.git"]);
    let rig = ["rig", "add", "widgets", &server.url("widgets.git"), "--sync", "none"];
    let here = ["-C", town.root.to_str().unwrap()];
    by(&town, &server, way).args(&[&here[..], &rig].concat()).succeeds();
    let repo = town.root.join("widgets/.repo.git");
    assert_eq!(town.git(&repo, &["rev-parse", "main"]), town.git(&project, &["rev-parse", "main"]), "{kind:?} by {way:?}");
    town.git(&repo, &["fsck", "--strict"]);

    let hub = server.url("hub.git");
    by(&town, &server, way).args(&[&here[..], &["remote", "add", "origin", &hub]].concat()).succeeds();
    town.gt_args(&["bead", "create", "First"]).succeeds();
    by(&town, &server, way).args(&[&here[..], &["sync", "--town"]].concat()).succeeds();
    let other = town.beside("other");
    let root = other.root.to_str().unwrap().to_owned();
    by(&town, &server, way).args(&["install", &root, "--from", &hub, "--machine", "other"]).succeeds();
    assert!(other.gt("list").succeeds().stdout.contains("First"), "{kind:?} by {way:?}");
    town.git(&base.join("hub.git"), &["fsck", "--strict"]);
}

#[test]
fn a_town_and_a_rig_are_cloned_over_every_way() {
    std::thread::scope(|scope| {
        for kind in KINDS {
            scope.spawn(|| clone_over(*kind, By::Gix));
        }
        scope.spawn(|| clone_over(Kind::Daemon, By::Git));
    });
}

/// A rig that leaves files out, over `kind`: refused by a server that does not, cloned from one that does, and what the
/// sandboxes show is what came.
fn part_over(kind: Kind, way: By) {
    let town = Town::new();
    let project = town.project("widgets");
    let base = town.base();
    let Some(server) = Server::start(kind, &base, &base.join("server")) else { return };
    let (url, what) = (server.url("widgets.git"), format!("{kind:?} by {way:?}"));
    let add = ["-C", town.root.to_str().unwrap(), "rig", "add", "widgets", &url, "--sync", "none", "--filter", "blob:none"];
    let add = [&add[..], &["--sparse", "src"]].concat();
    let refused = by(&town, &server, way).args(&add).fails_with(4);
    assert!(refused.stderr.contains("offers no partial clones"), "{what}: {}", refused.stderr);
    assert!(!town.root.join("widgets").exists(), "{what}");
    town.git(&project, &["config", "uploadpack.allowFilter", "true"]);
    by(&town, &server, way).args(&add).succeeds();
    let repo = town.root.join("widgets/.repo.git");
    let packs = std::fs::read_dir(repo.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let ends = |end: &str, paths: &[std::path::PathBuf]| paths.iter().filter(|path| path.extension().unwrap() == end).count();
    let packs: Vec<_> = packs.collect();
    assert_eq!((ends("pack", &packs), ends("promisor", &packs)), (2, 2), "{what}: {packs:?}");
    let shown = town.git(&town.root.join("widgets/mayor/rig"), &["ls-files", "-t"]);
    assert!(shown.contains("H src/numbers.txt") && shown.contains("H README.md"), "{what}: {shown}");
    town.git(&repo, &["fsck", "--strict"]);
}

#[test]
fn a_partial_rig_is_cloned_over_every_way_and_refused_where_nothing_is_left_out() {
    std::thread::scope(|scope| {
        for kind in KINDS {
            scope.spawn(|| part_over(*kind, By::Gix));
        }
        scope.spawn(|| part_over(Kind::Daemon, By::Git));
        scope.spawn(|| part_over(Kind::File, By::Git));
    });
}

#[test]
fn what_is_landed_is_pushed_to_the_push_url() {
    let town = Town::new();
    let project = town.project("widgets");
    let base = town.base();
    let server = Server::start(Kind::Daemon, &base, &base.join("server")).unwrap();
    // Whoever comes that way may only read.
    town.git(&project, &["config", "daemon.receivepack", "false"]);
    let url = server.url("widgets.git");
    let add = ["rig", "add", "widgets", &url, "--land", "origin", "--sync", "none"];
    let wrong = town.gt_args(&[&add[..], &["--push-url", "ext::sh -c id"]].concat()).fails_with(2);
    assert!(wrong.stderr.contains("cannot be a remote") && !town.root.join("widgets").exists(), "{}", wrong.stderr);
    town.gt_args(&[&add[..], &["--push-url", project.to_str().unwrap()]].concat()).succeeds();
    town.gt_args(&["config", "set", "gates.require", "false", "--rig", "widgets"]).succeeds();
    let bead = town.gt_args(&["--json", "bead", "create", "Work", "--rig", "widgets"]).json();
    let bead = crate::town::text_at(&bead, &["/id"]);
    town.gt(&format!("sling {bead} widgets/polecats/toast --no-start")).succeeds();
    let sandbox = town.root.join("widgets/polecats/toast");
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&bead), "closed");
    assert!(town.git(&project, &["ls-tree", "--name-only", "main"]).contains("new.txt"));
    // Agents that push by hand go there too.
    assert_eq!(town.git(&sandbox, &["remote", "get-url", "--push", "origin"]), project.to_str().unwrap());
    assert_eq!(town.git(&sandbox, &["remote", "get-url", "origin"]), url);
}

#[test]
fn a_rig_links_what_a_local_repository_has_and_needs_it_no_more() {
    let town = Town::new();
    let project = town.project_with("widgets", 150);
    let base = town.base();
    // A checkout with a pack, loose objects and a commit of its own; then the project goes on.
    let local = base.join("checkout");
    town.git(&base, &["clone", "-q", "--no-local", project.to_str().unwrap(), local.to_str().unwrap()]);
    std::fs::write(local.join("own.txt"), "unpushed\n").unwrap();
    town.git(&local, &["add", "-A"]);
    town.git(&local, &["commit", "-q", "-m", "Unpushed"]);
    let work = base.join("widgets-work");
    std::fs::write(work.join("later.txt"), "later\n").unwrap();
    town.git(&work, &["add", "-A"]);
    town.git(&work, &["commit", "-q", "-m", "Later"]);
    town.git(&work, &["push", "-q", project.to_str().unwrap(), "main"]);

    let add = |name: &str, from: &Path| {
        let url = format!("file://{}", project.display());
        town.gt_args(&["rig", "add", name, &url, "--sync", "none", "--local-repo", from.to_str().unwrap()])
    };
    for (name, from) in [("one", local.clone()), ("two", local.join(".git")), ("three", project.clone())] {
        add(name, &from).succeeds();
        let repo = town.root.join(name).join(".repo.git");
        assert_eq!(town.git(&repo, &["rev-parse", "main"]), town.git(&project, &["rev-parse", "main"]));
        assert!(!repo.join("objects/info/alternates").exists());
        let packs = std::fs::read_dir(repo.join("objects/pack")).unwrap().filter_map(Result::ok);
        let mut linked = packs.filter(|entry| entry.metadata().unwrap().nlink() > 1);
        assert!(name == "three" || linked.next().is_some(), "{name}: nothing was linked");
        assert!(!town.git(&repo, &["for-each-ref", "--format=%(subject)"]).contains("Unpushed"));
    }
    std::fs::remove_dir_all(&local).unwrap();
    for name in ["one", "two", "three"] {
        let repo = town.root.join(name).join(".repo.git");
        town.git(&repo, &["fsck", "--strict", "--full"]);
        assert_eq!(town.git(&repo, &["ls-tree", "--name-only", "main", "later.txt"]), "later.txt");
    }
}

#[test]
fn a_local_repository_that_is_none_or_lacks_history_is_refused_and_nothing_is_left() {
    let town = Town::new();
    let project = town.project("widgets");
    let base = town.base();
    let url = format!("file://{}", project.display());
    town.git(&base, &["clone", "-q", "--depth", "1", &url, "shallow"]);
    for (from, why) in [("shallow", "lacks a part of its history"), ("home", "is no git repository")] {
        let from = base.join(from);
        let refused = town.gt_args(&["rig", "add", "widgets", &url, "--local-repo", from.to_str().unwrap()]).fails_with(4);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        assert!(!town.root.join("widgets").exists());
    }
    town.gt_args(&["rig", "add", "widgets", &url]).succeeds();
}

#[test]
fn a_clone_that_is_adopted_gives_its_own_branches_and_stays_as_it_is() {
    let town = Town::new();
    let project = town.project("widgets");
    let base = town.base();
    let local = base.join("checkout");
    town.git(&base, &["clone", "-q", project.to_str().unwrap(), local.to_str().unwrap()]);
    town.git(&local, &["branch", "nothing-new"]);
    let commit = |name: &str| {
        std::fs::write(local.join(name), "own\n").unwrap();
        town.git(&local, &["add", "-A"]);
        town.git(&local, &["commit", "-q", "-m", name]);
        town.git(&local, &["rev-parse", "HEAD"])
    };
    let main = commit("unpushed");
    town.git(&local, &["checkout", "-q", "-b", "fix/pump"]);
    let side = commit("side");
    std::fs::write(local.join("loose"), "not committed\n").unwrap();
    let url = project.to_str().unwrap();
    let add = || town.gt_args(&["--json", "rig", "add", "widgets", url, "--sync", "none", "--adopt", local.to_str().unwrap()]);
    let refused = add().fails_with(4);
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("uncommitted work") && !town.root.join("widgets").exists(), "{said}");

    std::fs::remove_file(local.join("loose")).unwrap();
    let before = town.git(&local, &["for-each-ref"]);
    let added = add().json();
    assert_eq!(added["adopted"], serde_json::json!(["fix/pump", "adopted/main"]), "{added}");
    let repo = town.root.join("widgets/.repo.git");
    let at = |name: &str| town.git(&repo, &["rev-parse", name]);
    assert_eq!((at("adopted/main"), at("fix/pump")), (main, side));
    assert_eq!(at("main"), town.git(&project, &["rev-parse", "main"]));
    assert_eq!(town.git(&local, &["for-each-ref"]), before);
    town.git(&repo, &["fsck", "--strict"]);
}

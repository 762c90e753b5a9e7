//! The same exchange over every way to a remote, by gix's own parts and by the git program.

use std::collections::BTreeMap;

use gastown::error::Kind as ErrorKind;
use gastown::git::fetch::{advertised, fetch};
use gastown::git::progress::Progress;
use gastown::git::push::{Outcome, push};
use gastown::store::Store;

use super::servers::{KINDS, Kind, Server, script};
use super::{Place, pushed, rejected, to};

/// Whose parts go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Gix,
    Git,
}

/// A project behind a server, and our repository of it that knows the way.
pub struct Connected {
    pub place: Place,
    pub server: Server,
    pub store: Store,
    pub by: By,
}

impl Connected {
    pub fn new(kind: Kind, by: By) -> Option<Self> {
        let place = Place::with_history();
        let server = Server::start(kind, place.home.path(), &place.path("server"))?;
        let store = place.clone();
        for (key, value) in server.settings() {
            place.git_in(store.dir(), &["config", key, value]);
        }
        if by == By::Git {
            place.git_in(store.dir(), &["config", "gt.transport", "git"]);
        }
        let store = Store::open(store.dir()).unwrap();
        Some(Self { place, server, store, by })
    }

    pub fn url(&self) -> String {
        self.server.url("origin.git")
    }

    pub fn what(&self) -> String {
        format!("{:?} by {:?}", self.server.kind, self.by)
    }

    /// A hook of the origin.
    pub fn hook(&self, name: &str, text: &str) {
        let hooks = self.place.path("origin.git/hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        script(&hooks.join(name), text);
    }
}

/// Runs `check` on every way, by both.
pub fn on_every_way(check: impl Fn(&Connected) + Sync) {
    let pairs = KINDS.iter().flat_map(|kind| [(*kind, By::Gix), (*kind, By::Git)]);
    // Plain http goes by git either way.
    let pairs = pairs.filter(|(kind, by)| !(matches!(kind, Kind::Http | Kind::HttpSecret) && *by == By::Git));
    std::thread::scope(|scope| {
        for (kind, by) in pairs {
            let check = &check;
            scope.spawn(move || {
                if let Some(connected) = Connected::new(kind, by) {
                    check(&connected);
                }
            });
        }
    });
}

#[test]
fn every_way_leads_there_and_back() {
    on_every_way(|way| {
        let (place, store, url, what) = (&way.place, &way.store, way.url(), way.what());
        let origin = place.path("origin.git");
        let main = place.id(&origin, "main");
        let before = place.refs(store.dir());
        assert_eq!(advertised(store, &url).unwrap()["refs/heads/main"], main, "{what}");

        let tip = place.commit("dir1/sub/file.txt", "fetched\n");
        place.work(&["push", "-q", "../origin.git", "main"]);
        let names = ["refs/heads/main".to_owned(), "refs/gt/ledger".to_owned()];
        let fetched = fetch(store, &url, &names, &Progress::silent()).unwrap();
        assert_eq!(fetched, BTreeMap::from([("refs/heads/main".to_owned(), tip)]), "{what}");
        assert_eq!(place.refs(store.dir()), before, "{what}: a fetch moves nothing");

        let next = place.local_commit("dir1/sub/file.txt", &"pushed\n".repeat(60));
        let updates = [to("refs/heads/main", Some(tip), Some(next)), to("refs/gt/ledger", None, Some(next))];
        assert_eq!(pushed(store, &url, &updates), [Outcome::Accepted, Outcome::Accepted], "{what}");
        assert_eq!((place.id(&origin, "main"), place.id(&origin, "refs/gt/ledger")), (next, next), "{what}");
        assert_eq!(pushed(store, &url, &updates), [Outcome::Accepted, Outcome::Accepted], "{what}: done again");

        let last = place.local_commit("last", "1");
        let stale = [to("refs/heads/main", Some(tip), Some(last)), to("refs/heads/new", None, Some(last))];
        let outcomes = pushed(store, &url, &stale);
        assert!(rejected(&outcomes[0]).starts_with("moved: the remote has"), "{what}: {outcomes:?}");
        assert!(rejected(&outcomes[1]).starts_with("not sent, because"), "{what}: {outcomes:?}");
        assert!(!place.try_git(&origin, &["cat-file", "-e", &last.to_string()]).0, "{what}: nothing was sent");

        assert_eq!(pushed(store, &url, &[to("refs/gt/ledger", Some(next), None)]), [Outcome::Accepted], "{what}");
        assert!(!place.try_git(&origin, &["rev-parse", "--verify", "-q", "refs/gt/ledger"]).0, "{what}");
        place.fsck(&origin);
        place.fsck(store.dir());
        if way.server.kind == Kind::HttpSecret {
            let asked = std::fs::read_to_string(place.path("server/asked")).unwrap();
            assert!(asked.contains("get\n") && asked.contains("store\n") && !asked.contains("erase"), "{asked}");
        }
    });
}

#[test]
fn a_refusal_over_there_is_told_in_its_words_on_every_way() {
    on_every_way(|way| {
        let (place, store, url, what) = (&way.place, &way.store, way.url(), way.what());
        let origin = place.path("origin.git");
        let main = place.id(&origin, "main");
        let id = place.local_commit("x", "x");
        way.hook("pre-receive", "#!/bin/sh\nprintf 'your \\033[31mquota is used up\\n' >&2\nexit 1\n");
        let outcomes = pushed(store, &url, &[to("refs/heads/main", Some(main), Some(id))]);
        let why = rejected(&outcomes[0]);
        assert!(why.contains("pre-receive hook declined") && why.contains("quota is used up"), "{what}: {why}");
        assert!(!why.contains('\x1b') && !why.contains('\n'), "{what}: {why:?}");

        way.hook("pre-receive", "#!/bin/sh\nexit 0\n");
        place.git_in(&origin, &["config", "receive.denyNonFastForwards", "true"]);
        let outcomes = pushed(store, &url, &[to("refs/heads/feature/x", Some(place.id(&origin, "feature/x")), Some(main))]);
        assert_eq!(outcomes, [Outcome::Accepted], "{what}: forward");
        let older = place.id(&origin, "main~1");
        let outcomes = pushed(store, &url, &[to("refs/heads/main", Some(main), Some(older))]);
        assert!(rejected(&outcomes[0]).contains("non-fast-forward"), "{what}: {outcomes:?}");
        assert_eq!(place.id(&origin, "main"), main, "{what}");
    });
}

#[test]
fn a_remote_that_ends_midway_is_one_line_and_the_next_try_makes_good() {
    on_every_way(|way| {
        let (place, store, url, what) = (&way.place, &way.store, way.url(), way.what());
        let origin = place.path("origin.git");
        let id = place.local_commit("x", "x");
        let updates = [to("refs/gt/ledger", None, Some(id))];
        // What calls the hook is the one that receives.
        way.hook("pre-receive", "#!/bin/sh\nkill -9 $PPID\n");
        let error = push(store, &url, &updates, &Progress::silent()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::External, "{what}: {}", error.line());
        assert!(error.message.contains("the remote hung up") && !error.line().contains('\n'), "{what}: {}", error.line());
        assert!(error.message.starts_with("push to ") && error.hint.is_some(), "{what}: {}", error.line());
        place.fsck(&origin);
        way.hook("pre-receive", "#!/bin/sh\nexit 0\n");
        assert_eq!(pushed(store, &url, &updates), [Outcome::Accepted], "{what}");
        place.fsck(&origin);
    });
}

#[test]
fn many_commits_go_as_deltas_of_each_other_and_arrive_whole() {
    for kind in [Kind::File, Kind::Daemon] {
        let way = Connected::new(kind, By::Gix).unwrap();
        way.place.git_in(&way.place.path("origin.git"), &["config", "receive.unpackLimit", "1"]);
        way.place.git_in(&way.place.path("origin.git"), &["config", "receive.fsckObjects", "true"]);
        let text = (0..400).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        for n in 0..45 {
            way.place.commit("dir1/long.txt", &text.replace("line 7\n", &format!("line 7 for the {n}th time\n")));
        }
        let id = way.place.local_commit("end", "end");
        assert_eq!(pushed(&way.store, &way.url(), &[to("refs/gt/ledger", None, Some(id))]), [Outcome::Accepted]);
        let origin = way.place.path("origin.git");
        way.place.fsck(&origin);
        let pack = std::fs::read_dir(origin.join("objects/pack")).unwrap().filter_map(Result::ok);
        let newest = pack.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|one| one == "pack"));
        let newest = newest.max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap()).unwrap();
        let told = way.place.git_in(&origin, &["verify-pack", "-v", newest.to_str().unwrap()]);
        assert!(told.contains("chain length = 30"), "{told}");
    }
}

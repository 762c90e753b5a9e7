//! What goes wrong on the way to a remote: one line each, with a name for it and a hint.

use std::net::TcpListener;

use gastown::error::{Error, Kind as ErrorKind};
use gastown::git::fetch::advertised;
use gastown::git::progress::Progress;
use gastown::git::push::push;
use gastown::store::Store;

use super::servers::{Kind, client, script};
use super::to;
use super::ways::{By, Connected};

/// What asking and pushing at `url` end with.
fn errors_at(way: &Connected, url: &str) -> Vec<Error> {
    let main = way.store.read_ref("refs/heads/main").unwrap();
    let store = Store::open(way.store.dir()).unwrap();
    vec![
        advertised(&store, url).unwrap_err(),
        push(&store, url, &[to("refs/heads/main", None, main)], &Progress::silent()).unwrap_err(),
    ]
}

#[track_caller]
fn say(way: &Connected, url: &str, name: &str) {
    for error in errors_at(way, url) {
        let line = error.line();
        assert_eq!(error.kind, ErrorKind::External, "{}: {line}", way.what());
        assert!(line.contains(name) && line.contains(url), "{} at {url}: {line}", way.what());
        assert!(!line.contains(char::is_control) && line.len() < 500 && error.hint.is_some(), "{}: {line:?}", way.what());
    }
}

/// A port on which nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_host_that_is_not_there_or_does_not_listen_is_named() {
    for by in [By::Gix, By::Git] {
        let way = Connected::new(Kind::File, by).unwrap();
        way.place.git_in(way.store.dir(), &["config", "core.sshCommand", "ssh -F /dev/null"]);
        let port = closed_port();
        for scheme in ["git", "ssh", "http"] {
            say(&way, &format!("{scheme}://127.0.0.1:{port}/x.git"), "the connection was refused");
            say(&way, &format!("{scheme}://nobody.invalid/x.git"), "the host was not found");
        }
        say(&way, way.place.path("gone.git").to_str().unwrap(), "there is nothing at");
        say(&way, way.place.path("server").to_str().unwrap(), "there is no repository");
    }
}

#[test]
fn a_repository_that_is_not_there_is_named_on_every_way() {
    super::ways::on_every_way(|way| {
        let name = if way.server.kind == Kind::File { "there is nothing at" } else { "there is no repository" };
        say(way, &way.server.url("gone.git"), name);
    });
}

#[test]
fn a_remote_that_says_nothing_is_left_after_a_while() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let way = Connected::new(Kind::File, By::Gix).unwrap();
    way.place.git_in(way.store.dir(), &["config", "gt.remoteTimeout", "1"]);
    way.place.git_in(way.store.dir(), &["config", "core.sshCommand", "ssh -F /dev/null"]);
    for scheme in ["git", "ssh", "http"] {
        let url = format!("{scheme}://127.0.0.1:{port}/x.git");
        let store = Store::open(way.store.dir()).unwrap();
        let error = advertised(&store, &url).unwrap_err();
        assert!(error.line().contains("it took too long"), "{}", error.line());
        assert!(error.hint.unwrap().contains("gt.remoteTimeout"));
    }
}

#[test]
fn a_key_that_is_not_let_in_and_a_host_that_is_not_known_are_told_apart() {
    for by in [By::Gix, By::Git] {
        let Some(way) = Connected::new(Kind::Ssh, by) else { return };
        let scratch = way.place.path("server");
        way.place.git_in(way.store.dir(), &["config", "core.sshCommand", &client(&scratch, "stranger")]);
        say(&way, &way.url(), "access was refused");
        let unknown = client(&scratch, "user").replace("/known", "/nobody-known");
        way.place.git_in(way.store.dir(), &["config", "core.sshCommand", &unknown]);
        say(&way, &way.url(), "the key of the host is not known here");
    }
}

#[test]
fn a_password_that_is_refused_is_forgotten_and_none_is_asked_for_on_no_terminal() {
    let way = Connected::new(Kind::HttpSecret, By::Gix).unwrap();
    let log = way.place.path("asked-wrong");
    let text = format!(
        "#!/bin/sh\necho \"$1\" >>'{}'\n[ \"$1\" = get ] && printf 'username=agent\\npassword=wrong\\n'\nexit 0\n",
        log.display()
    );
    let keeper = script(&way.place.path("wrong"), &text);
    way.place.git_in(way.store.dir(), &["config", "credential.helper", &keeper]);
    say(&way, &way.url(), "access was refused");
    let asked = std::fs::read_to_string(&log).unwrap();
    assert!(asked.contains("erase\n") && !asked.contains("store\n"), "{asked}");
    way.place.git_in(way.store.dir(), &["config", "credential.helper", ""]);
    way.place.git_in(way.store.dir(), &["config", "core.askPass", ""]);
    say(&way, &way.url(), "access was refused");
}

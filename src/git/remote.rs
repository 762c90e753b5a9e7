//! Where a remote is, and the line to it.
//!
//! A URL is looked at once, here: local paths become absolute, transports that run commands and unknown ones are
//! refused, and what would be read as an option is no URL. The user's own git configuration applies to the way
//! there (ssh command, URL rewrites, credentials); the configuration of the environment does not.

use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use gix::open::permissions::{Config, Environment};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::client::blocking_io::{Transport, ssh};
use gix::protocol::transport::{Protocol, Service as Side};
use gix::protocol::{Handshake, LsRefsCommand, SendFlushOnDrop};
use gix::url::Scheme;

use crate::env;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::by_program;
use crate::git::fault;
use crate::git::line::{self, Peer, Way};
use crate::git::progress::{Progress, is_direction, one_line};
use crate::store::Store;

/// A checked URL.
#[derive(Clone, Debug)]
pub struct Place {
    url: gix::Url,
}

impl Place {
    /// Reads a URL or path as git-fetch(1) lists them; a local path that is not absolute starts at the current directory.
    ///
    /// # Errors
    /// Usage, when it is none of `file`, `ssh`, `git`, `http` or `https`, or could be read as an option.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!("'{}' cannot be a remote: {why}", text.escape_debug()))
                .hint("give a path, or a URL that starts with https://, ssh://, git:// or file://")
        };
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(wrong("it is no path and no URL"));
        }
        let mut url = gix::url::parse(text).map_err(|error| wrong(&one_line(&error.to_string())))?;
        match &url.scheme {
            Scheme::File => {
                let path = url.path.to_string();
                let base = env::current_dir().unwrap_or_else(|| Path::new("/").to_owned());
                let absolute = base.join(&path);
                let plain: std::path::PathBuf =
                    absolute.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
                let plain = plain.to_str().ok_or_else(|| wrong("the current directory's name is not UTF-8"))?.to_owned();
                url = gix::url::parse(plain.as_str()).map_err(|error| wrong(&one_line(&error.to_string())))?;
            }
            Scheme::Ssh | Scheme::Git | Scheme::Http | Scheme::Https => {
                let is_option = |part: Option<&str>| part.is_some_and(|part| part.starts_with('-'));
                if is_option(url.host()) || is_option(url.user()) || url.path.starts_with(b"-") {
                    return Err(wrong("a part of it could be read as an option"));
                }
            }
            Scheme::Ext | Scheme::Helper(_) | Scheme::HelperUrl(_) => {
                return Err(wrong("its transport is not one that gt uses"));
            }
        }
        Ok(Self { url })
    }

    /// The URL as it is kept in a configuration.
    #[must_use]
    pub fn text(&self) -> String {
        match self.url.scheme {
            Scheme::File => self.url.path.to_string(),
            _ => self.url.to_bstring().to_string(),
        }
    }

    /// The URL for people: without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_password(None);
        one_line(&Self { url }.text())
    }

    fn check_present(&self) -> Result<()> {
        if self.url.scheme == Scheme::File && !Path::new(&self.text()).exists() {
            return Err(Error::external(format!("there is nothing at {}", self.shown())).hint("check the path of the remote"));
        }
        Ok(())
    }
}

/// A ref that a remote advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) name: String,
    /// What it holds; `None` for a symbolic ref to a branch without commits.
    pub(crate) id: Option<ObjectId>,
    /// The object that the tag there stands for.
    pub(crate) peeled: Option<ObjectId>,
    /// The ref that it is a name for.
    pub(crate) target: Option<String>,
}

/// A remote at the other end.
pub(crate) struct Link<'s> {
    /// The line of gix's own; `None` where the git program goes instead.
    pub(crate) wire: Option<Wire>,
    /// Where it is.
    pub(crate) place: Place,
    store: &'s Store,
}

/// An open connection, after its handshake.
pub(crate) struct Wire {
    pub(crate) transport: SendFlushOnDrop<Box<dyn Transport + Send>>,
    pub(crate) handshake: Handshake,
    /// After the transport: that is closed before this end is waited for.
    peer: Peer,
}

impl<'s> Link<'s> {
    /// Connects the repository `store` to `place`.
    pub(crate) fn open(store: &'s Store, place: Place, side: Side, progress: &Progress) -> Result<Self> {
        place.check_present()?;
        let wire = if matches!(place.url.scheme, Scheme::Http | Scheme::Https) {
            None
        } else {
            Wire::open(&with_user_settings(store)?, &place, side, progress)?
        };
        Ok(Self { wire, place, store })
    }

    /// The remote for people.
    pub(crate) fn shown(&self) -> String {
        self.place.shown()
    }

    /// Whether the remote leaves out files when it is asked to.
    pub(crate) fn can_filter(&self) -> Result<bool> {
        match &self.wire {
            Some(wire) => Ok(wire.can_filter()),
            None => by_program::can_filter(self.store, &self.place),
        }
    }

    /// The remote's refs whose names start with one of `prefixes`; those that are not UTF-8 are left out.
    pub(crate) fn refs(&mut self, prefixes: &[&str], progress: &Progress) -> Result<Vec<Advertised>> {
        let refs = match &mut self.wire {
            Some(wire) => wire.refs(prefixes, &self.place, progress)?,
            None => by_program::refs(self.store, &self.place)?,
        };
        Ok(refs.into_iter().filter(|one| prefixes.iter().any(|prefix| one.name.starts_with(prefix))).collect())
    }
}

/// For how many seconds a remote may be silent; `gt.remoteTimeout` in git's configuration sets another.
const SILENT_SECS_MAX: i64 = 300;

fn silent_secs_max(repo: &gix::Repository) -> u64 {
    let set = repo.config_snapshot().integer("gt.remoteTimeout");
    set.filter(|secs| *secs > 0).unwrap_or(SILENT_SECS_MAX).unsigned_abs()
}

/// How git's http is told to give up on a silent remote; nothing, where the user has said so already.
pub(crate) fn http_patience(store: &Store) -> Result<Vec<String>> {
    let repo = with_user_settings(store)?;
    if repo.config_snapshot().string("http.lowSpeedTime").is_some() {
        return Ok(Vec::new());
    }
    let secs = silent_secs_max(&repo);
    Ok(["http.lowSpeedLimit=1".to_owned(), format!("http.lowSpeedTime={secs}")]
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect())
}

impl Wire {
    /// `None`, when the user wants git to go, or has the URL rewritten to one that gix does not go to.
    fn open(repo: &gix::Repository, place: &Place, side: Side, progress: &Progress) -> Result<Option<Self>> {
        let deed = || format!("reach {}", place.shown());
        let told = |error: &(dyn std::error::Error + 'static)| fault::error("reach", place, &causes(error));
        if repo.config_snapshot().string("gt.transport").is_some_and(|way| way.as_slice() == b"git") {
            return Ok(None);
        }
        let direction = match side {
            Side::UploadPack => gix::remote::Direction::Fetch,
            Side::ReceivePack => gix::remote::Direction::Push,
        };
        let remote = repo.remote_at(place.url.clone()).or_fail(Kind::External, deed)?;
        if remote.url(direction).is_some_and(|url| matches!(url.scheme, Scheme::Http | Scheme::Https)) {
            return Ok(None);
        }
        let (url, version) = remote.sanitized_url_and_version(direction).map_err(|error| told(&error))?;
        // What receives packs never learned the second version.
        let version = if side == Side::ReceivePack { Protocol::V1 } else { version };
        let ssh = match url.scheme {
            Scheme::Ssh => repo.ssh_connect_options().or_fail(Kind::External, deed)?,
            _ => ssh::connect::Options::default(),
        };
        let still_max = Duration::from_secs(silent_secs_max(repo));
        let way = Way { url: &url, side, version, ssh, still_max };
        let (mut transport, peer) = line::open(&way, progress).map_err(|error| told(&error))?;
        // Of the ways that lead here none takes a name and password: ssh has its keys.
        let ask = |_| Err(gix::Error::from_error(std::io::Error::other("the remote refuses access")));
        let handshake = gix::protocol::handshake(&mut transport, side, ask, Vec::new(), &mut progress.item("connecting"));
        let wire = match handshake {
            Ok(handshake) => Self { transport: SendFlushOnDrop::new(transport, false), handshake, peer },
            Err(error) => {
                let causes = causes(&error);
                // Closing the line first lets the other end come to its last words.
                drop(transport);
                return Err(peer_error("reach", place, &peer, &causes));
            }
        };
        check_format(&wire.handshake, place)?;
        Ok(Some(wire))
    }

    /// The error of `deed` on this line: the words of the program at its other end, else those of `causes`.
    pub(crate) fn error(&self, deed: &str, place: &Place, causes: &str) -> Error {
        peer_error(deed, place, &self.peer, causes)
    }

    /// Whether the remote offers `capability`.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.handshake.capabilities.contains(capability)
    }

    /// Whether the remote leaves out files when it is asked to (`uploadpack.allowFilter`).
    pub(crate) fn can_filter(&self) -> bool {
        let fetch = self.handshake.capabilities.capability("fetch");
        self.can("filter") || fetch.is_some_and(|fetch| fetch.supports("filter").unwrap_or(false))
    }

    fn refs(&mut self, prefixes: &[&str], place: &Place, progress: &Progress) -> Result<Vec<Advertised>> {
        let refs = if let Some(refs) = &self.handshake.refs {
            refs.clone()
        } else {
            let mut asked = RefPrefixes::new();
            asked.extend(prefixes.iter().map(|prefix| (*prefix).into()));
            let listed = LsRefsCommand::new(Some(asked), &self.handshake.capabilities, agent()).invoke_blocking(
                &mut self.transport.inner,
                &mut progress.item("listing refs"),
                false,
            );
            listed.map_err(|error| peer_error("list the refs of", place, &self.peer, &causes(&error)))?
        };
        Ok(refs.into_iter().filter_map(advertised).collect())
    }
}

fn peer_error(deed: &str, place: &Place, peer: &Peer, causes: &str) -> Error {
    let words = peer.words();
    // What the other end says tells more than that it then hung up.
    fault::error(deed, place, if words.is_empty() { causes } else { &words })
}

/// What an error says and why, a line each.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines.dedup();
    lines.join("\n")
}

/// How gt names itself to a remote.
pub(crate) fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(gix::protocol::agent(concat!("gastown/", env!("CARGO_PKG_VERSION")))))
}

fn check_format(handshake: &Handshake, place: &Place) -> Result<()> {
    let format = handshake.capabilities.capability("object-format").and_then(|one| one.value().map(ToString::to_string));
    match format.as_deref() {
        None | Some("sha1") => Ok(()),
        Some(other) => {
            let message = format!("{} names its objects by {}, which gt cannot exchange", place.shown(), one_line(other));
            Err(Error::external(message))
        }
    }
}

fn advertised(one: Ref) -> Option<Advertised> {
    let utf8 = |name: gix::bstr::BString| String::from_utf8(name.into()).ok();
    Some(match one {
        Ref::Direct { full_ref_name, object } => {
            Advertised { name: utf8(full_ref_name)?, id: Some(object), peeled: None, target: None }
        }
        Ref::Peeled { full_ref_name, tag, object } => {
            Advertised { name: utf8(full_ref_name)?, id: Some(tag), peeled: Some(object), target: None }
        }
        Ref::Symbolic { full_ref_name, target, tag, object } => {
            let peeled = tag.map(|_| object);
            Advertised { name: utf8(full_ref_name)?, id: Some(tag.unwrap_or(object)), peeled, target: utf8(target) }
        }
        Ref::Unborn { full_ref_name, target } => {
            Advertised { name: utf8(full_ref_name)?, id: None, peeled: None, target: utf8(target) }
        }
    })
}

/// The repository with the user's configuration, which names the way to remotes.
///
/// What an outer git hands down in the environment (`GIT_DIR`, `GIT_CONFIG_COUNT`, object directories) is not looked at.
fn with_user_settings(store: &Store) -> Result<gix::Repository> {
    let permissions = gix::open::Permissions {
        env: Environment { objects: gix::sec::Permission::Deny, ..Environment::all() },
        config: Config { env: false, ..Config::all() },
        ..gix::open::Permissions::isolated()
    };
    let options = gix::open::Options::default().permissions(permissions).open_path_as_is(true);
    gix::open_opts(store.dir(), options).or_fail(Kind::Corrupt, || format!("open the repository {}", store.dir().display()))
}

/// Whether `name` below `refs/heads/` or `refs/tags/` is one that gt takes from a remote.
///
/// git allows far more, such as `$(id)`, `-rf` and characters that turn the direction of text; those are ignored.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_good_char = |c: char| (c.is_alphanumeric() || "/._-+@#=,%".contains(c)) && !is_direction(c);
    name.chars().all(is_good_char)
        && name.split('/').all(|part| !part.starts_with('-') && part != "HEAD")
        && gix::validate::reference::name(name.into()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_a_path_or_a_url_of_a_known_transport() {
        for (text, kept) in [
            ("/srv/hub.git", "/srv/hub.git"),
            ("file:///srv/hub.git", "/srv/hub.git"),
            ("/srv/./hub.git", "/srv/hub.git"),
            ("ssh://git@example.org/x.git", "ssh://git@example.org/x.git"),
            ("git@example.org:x/y.git", "git@example.org:x/y.git"),
            ("git://example.org/x", "git://example.org/x"),
        ] {
            assert_eq!(Place::parse(text).unwrap().text(), kept, "{text}");
        }
        assert!(Place::parse("hub.git").unwrap().text().starts_with('/'));
    }

    #[test]
    fn what_runs_commands_or_reads_as_an_option_is_refused() {
        for text in [
            "",
            "-oProxyCommand=id",
            "--upload-pack=id",
            "ext::sh -c id",
            "ext://x",
            "foo::bar",
            "foo://bar/baz",
            "ssh://-oProxyCommand=id/x",
            "a\nb",
        ] {
            assert_eq!(Place::parse(text).unwrap_err().kind, Kind::Usage, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let place = Place::parse("https://me:secret@example.org/x.git").unwrap();
        assert!(!place.shown().contains("secret"), "{}", place.shown());
    }

    #[test]
    fn only_plain_names_are_taken() {
        for good in ["refs/heads/main", "refs/heads/feature/x-1_2.y", "refs/tags/v1.0+b", "refs/heads/größe"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "refs/heads/$(id)",
            "refs/heads/-rf",
            "refs/heads/a\u{202e}b",
            "refs/heads/a\u{9b}b",
            "refs/heads/a b",
            "refs/heads/HEAD",
            "refs/heads/a;b",
            "refs/heads/a..b",
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}

//! What agents' programs may not run: the decision over one line of a shell, as a pure function.
//!
//! Clearly forbidden is what would overwrite others' commits, move a target branch past the queue, hide work in the stash
//! that all sandboxes share, or make a repository that the town does not know. Whatever cannot be told is let pass: the git
//! hooks of the rig stand behind, and neither stops somebody who sets them aside.

pub mod shell;

use std::collections::BTreeSet;

use crate::model::address::Address;
use shell::Simple;

/// How deep `sh -c` within `sh -c` is read.
const DEPTH_MAX: usize = 5;
const SHELLS: [&str; 7] = ["sh", "bash", "zsh", "dash", "ksh", "ash", "fish"];
/// Words of a shell's grammar that stand before a command.
const GRAMMAR: [&str; 10] = ["if", "then", "elif", "else", "while", "until", "do", "!", "{", "coproc"];
/// Options of git itself that take the next word.
const GIT_VALUES: [&str; 7] = ["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--super-prefix"];
/// Options of `git push` that take the next word.
const PUSH_VALUES: [&str; 5] = ["-o", "--push-option", "--receive-pack", "--exec", "--repo"];

/// Who wants to run something, and where.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Whose session it is.
    pub agent: Address,
    /// The branches that only the queue moves, as far as they are known.
    pub targets: BTreeSet<String>,
}

/// Why something may not be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// It overwrites what others may have built on.
    ForcePush,
    /// It moves this target branch, or all branches.
    Target(String),
    /// It puts work where every other sandbox can take it.
    Stash,
    /// It makes a repository that the town does not know.
    NewRepository,
}

impl Forbidden {
    /// What the agent is told: why, and what to do instead.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::ForcePush => "a forced push overwrites commits that others may have. Commit on top, or hand in what you have: gt done pushes for you".to_owned(),
            Self::Target(branch) => {
                format!("only the merge queue moves {branch}. Commit on your own branch and hand it in: gt done")
            }
            Self::Stash => "the stash is shared by all sandboxes of the rig. Commit to your branch instead, work in progress too".to_owned(),
            Self::NewRepository => "a new repository would be unknown to the town. Work in your own sandbox; if you need another project, ask: gt mail send mayor".to_owned(),
        }
    }
}

/// Why `line` may not be run by `asker`; `None` when nothing in it is clearly forbidden.
#[must_use]
pub fn judge(line: &str, asker: &Asker) -> Option<Forbidden> {
    if matches!(asker.agent, Address::Overseer(_)) {
        return None;
    }
    judge_at(line, asker, 0)
}

fn judge_at(line: &str, asker: &Asker, depth: usize) -> Option<Forbidden> {
    if depth > DEPTH_MAX {
        return None;
    }
    shell::commands(line).iter().find_map(|simple| judge_simple(simple, asker, depth))
}

fn judge_simple(simple: &Simple, asker: &Asker, depth: usize) -> Option<Forbidden> {
    let words: Vec<&str> = simple.words.iter().map(String::as_str).collect();
    let (program, args) = program_of(&words)?;
    if SHELLS.contains(&program) {
        let scripts = script_of(args).map(str::to_owned).into_iter().chain(simple.input.iter().cloned());
        return scripts.into_iter().find_map(|script| judge_at(&script, asker, depth + 1));
    }
    match program {
        "eval" => judge_at(&args.join(" "), asker, depth + 1),
        "git" => judge_git(args, asker),
        "gh" | "glab" => matches!(args, ["repo", "create" | "fork" | "clone", ..]).then_some(Forbidden::NewRepository),
        _ => None,
    }
}

/// The program that is really run, without the path to it, behind assignments, grammar and programs that run others;
/// and its arguments.
fn program_of<'a, 'w>(words: &'w [&'a str]) -> Option<(&'a str, &'w [&'a str])> {
    let mut rest = words;
    loop {
        let (first, after) = rest.split_first()?;
        if GRAMMAR.contains(first) || is_assignment(first) {
            rest = after;
            continue;
        }
        let name = first.rsplit('/').next().unwrap_or(first);
        let values: &[&str] = match name {
            "env" => &["-u", "--unset", "-C", "--chdir"],
            "sudo" | "doas" => &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T"],
            "nice" => &["-n"],
            "timeout" => &["-s", "--signal", "-k", "--kill-after"],
            "xargs" => &["-n", "-I", "-P", "-L", "-d", "-a", "-E", "-s"],
            "ionice" => &["-c", "-n", "-p"],
            "stdbuf" => &["-i", "-o", "-e"],
            "command" | "exec" | "builtin" | "nohup" | "setsid" | "time" => &[],
            _ => return Some((name, after)),
        };
        if name == "command" && matches!(after.first(), Some(&("-v" | "-V"))) {
            return None;
        }
        rest = behind_options(after, values);
        if name == "timeout" {
            rest = rest.get(1..)?;
        }
    }
}

/// `words` behind the options that they begin with; each of `values` takes the next word.
fn behind_options<'a, 'w>(mut words: &'w [&'a str], values: &[&str]) -> &'w [&'a str] {
    while let Some((first, after)) = words.split_first() {
        if *first == "--" {
            return after;
        }
        if !first.starts_with('-') || first.len() < 2 {
            return words;
        }
        words = if values.contains(first) { after.get(1..).unwrap_or_default() } else { after };
    }
    words
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The script that a shell is given by `-c`, also within letters such as `-lc`.
fn script_of<'a>(args: &[&'a str]) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains('c'))?;
    args[at + 1..].iter().find(|arg| !arg.starts_with('-')).copied()
}

fn judge_git(args: &[&str], asker: &Asker) -> Option<Forbidden> {
    let (verb, args) = behind_options(args, &GIT_VALUES).split_first()?;
    let is_polecat = matches!(asker.agent, Address::Polecat(..));
    match *verb {
        "init" | "init-db" | "clone" => {
            let asks_help = args.iter().any(|arg| matches!(*arg, "-h" | "--help"));
            (!asks_help).then_some(Forbidden::NewRepository)
        }
        "stash" => (is_polecat && !matches!(args.first(), Some(&("list" | "show")))).then_some(Forbidden::Stash),
        "push" => judge_push(args, is_polecat, asker),
        _ => None,
    }
}

fn judge_push(args: &[&str], is_polecat: bool, asker: &Asker) -> Option<Forbidden> {
    if args.iter().take_while(|arg| **arg != "--").any(|arg| matches!(*arg, "-n" | "--dry-run")) {
        return None;
    }
    let (mut plain, mut names_remote, mut deletes, mut all) = (Vec::new(), false, false, false);
    let (mut rest, mut is_open) = (args, true);
    while let Some((arg, after)) = rest.split_first() {
        rest = after;
        if !is_open || !arg.starts_with('-') || arg.len() < 2 {
            plain.push(*arg);
            continue;
        }
        match *arg {
            "--" => is_open = false,
            "--force" | "--force-with-lease" | "--force-if-includes" | "--mirror" => return Some(Forbidden::ForcePush),
            "--delete" => deletes = true,
            "--all" | "--branches" | "--prune" => all = true,
            long if long.starts_with("--force-with-lease=") => return Some(Forbidden::ForcePush),
            long if long.starts_with("--repo") => {
                names_remote = true;
                rest = if long == "--repo" { rest.get(1..).unwrap_or_default() } else { rest };
            }
            value if PUSH_VALUES.contains(&value) => rest = rest.get(1..).unwrap_or_default(),
            short if !short.starts_with("--") => {
                if short.contains('f') {
                    return Some(Forbidden::ForcePush);
                }
                deletes |= short.contains('d');
            }
            _ => {}
        }
    }
    let refspecs = plain.get(usize::from(!names_remote)..).unwrap_or_default();
    if refspecs.iter().any(|spec| spec.starts_with('+')) {
        return Some(Forbidden::ForcePush);
    }
    if !is_polecat {
        return None;
    }
    if all {
        return Some(Forbidden::Target("all branches".to_owned()));
    }
    refspecs.iter().find_map(|spec| moved_by(spec, deletes, &asker.targets)).map(Forbidden::Target)
}

/// The target that the refspec moves.
fn moved_by(spec: &str, deletes: bool, targets: &BTreeSet<String>) -> Option<String> {
    let to = if deletes { spec } else { spec.split_once(':').map_or(spec, |(_, to)| to) };
    let branch = to.strip_prefix("refs/heads/").or_else(|| to.strip_prefix("heads/")).unwrap_or(to);
    if to.contains('*') {
        return (to.starts_with("refs/") && !targets.is_empty()).then(|| "all branches".to_owned());
    }
    targets.contains(branch).then(|| branch.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(agent: &str) -> Asker {
        Asker { agent: agent.parse().unwrap(), targets: ["main", "release/1"].map(str::to_owned).into() }
    }

    fn judged(agent: &str, line: &str) -> &'static str {
        match judge(line, &asker(agent)) {
            None => "",
            Some(Forbidden::ForcePush) => "force",
            Some(Forbidden::Target(_)) => "target",
            Some(Forbidden::Stash) => "stash",
            Some(Forbidden::NewRepository) => "new",
        }
    }

    /// Lines as agents write them, and what is said of each to a polecat.
    const LINES: &[(&str, &str)] = &[
        ("git push -f", "force"),
        ("git push --force origin HEAD", "force"),
        ("git push --force-with-lease=main:abc origin x", "force"),
        ("git push -uf origin HEAD", "force"),
        ("git push origin +HEAD:x", "force"),
        ("git push --mirror", "force"),
        ("git -C ../other -c a.b=c push -f", "force"),
        ("git --git-dir=.git --work-tree . push --force", "force"),
        ("cd x && git add -A && git commit -m wip && git push -f", "force"),
        ("GIT_SSH_COMMAND='ssh -i k' git push --force", "force"),
        ("env -u HOME A=1 /usr/bin/git push -f", "force"),
        ("sudo -u me git push -f", "force"),
        ("timeout -k 1 30 git push -f", "force"),
        ("nohup nice -n 5 git push -f &", "force"),
        ("sh -c 'git push -f'", "force"),
        ("bash -lc \"cd x; git push --force\"", "force"),
        ("bash -c \"sh -c 'git push -f'\"", "force"),
        ("eval 'git push' -f", "force"),
        ("bash <<'END'\ngit push -f\nEND", "force"),
        ("echo $(git push -f)", "force"),
        ("echo `git push -f`", "force"),
        ("(git push -f)", "force"),
        ("if true; then git push -f; fi", "force"),
        ("for r in a b; do git push -f $r; done", "force"),
        ("git log | xargs -n 1 git push -f", "force"),
        ("git pu\"sh\" '-f'", "force"),
        ("case $x in a) git push -f;; esac", "force"),
        ("{ git push -f; }", "force"),
        ("git push origin main", "target"),
        ("git push origin HEAD:main", "target"),
        ("git push origin HEAD:refs/heads/release/1", "target"),
        ("git push origin :main", "target"),
        ("git push -d origin main", "target"),
        ("git push --repo=origin main", "target"),
        ("git push -o ci.skip origin x main", "target"),
        ("git push --all", "target"),
        ("git push origin 'refs/heads/*:refs/heads/*'", "target"),
        ("git stash", "stash"),
        ("git stash pop && ls", "stash"),
        ("git init", "new"),
        ("git init --bare /tmp/x", "new"),
        ("git clone https://example.com/x.git", "new"),
        ("gh repo create x --private", "new"),
        ("gh repo clone a/b", "new"),
        // And what passes.
        ("git push", ""),
        ("git push -u origin HEAD", ""),
        ("git push origin polecat/toast/wi-1@x", ""),
        ("git push origin main:mine", ""),
        ("git push -f --dry-run origin main", ""),
        ("git push -n origin main", ""),
        ("git push origin maintenance", ""),
        ("git push origin \"$BRANCH\"", ""),
        ("git stash list", ""),
        ("git stash show -p", ""),
        ("git init --help", ""),
        ("git submodule init", ""),
        ("git commit -m 'never git push -f' && git status", ""),
        ("git commit -m \"do not run \\`git stash\\`\"", ""),
        ("echo git push -f", ""),
        ("grep -r 'git init' .", ""),
        ("cat <<'END' >notes\ngit push -f\nEND", ""),
        ("ls # git push -f", ""),
        ("command -v git", ""),
        ("npm init && cargo init", ""),
        ("gh pr create && gh repo view", ""),
        ("git log --oneline -- push -f", ""),
        ("", ""),
        ("'", ""),
        ("git", ""),
        ("git -C", ""),
        ("sh -c", ""),
    ];

    #[test]
    fn lines_are_judged_by_what_they_would_run() {
        for (line, wanted) in LINES {
            assert_eq!(judged("widgets/polecats/toast", line), *wanted, "{line}");
        }
    }

    #[test]
    fn crew_pushes_to_targets_and_stashes_but_forces_nothing_and_a_person_is_not_asked() {
        for (line, wanted) in
            [("git push origin main", ""), ("git stash", ""), ("git push -f origin main", "force"), ("git clone x", "new")]
        {
            assert_eq!(judged("widgets/crew/joe", line), wanted, "{line}");
            assert_eq!(judged("overseer", line), "", "{line}");
        }
    }

    #[test]
    fn targets_that_are_not_known_are_let_pass() {
        let asker = Asker { agent: "widgets/polecats/toast".parse().unwrap(), targets: BTreeSet::new() };
        assert_eq!(judge("git push origin main", &asker), None);
        assert_eq!(judge("git push -f origin main", &asker), Some(Forbidden::ForcePush));
    }

    #[test]
    fn every_reason_says_what_to_do_instead() {
        for forbidden in [Forbidden::ForcePush, Forbidden::Target("main".into()), Forbidden::Stash, Forbidden::NewRepository] {
            let reason = forbidden.reason();
            assert!(reason.contains("gt ") || reason.contains("Commit to your branch"), "{reason}");
        }
    }
}

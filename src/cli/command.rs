//! All commands: each one's words, whether it wants a town, and where it goes.

use clap::Subcommand;

use super::bead::Question as _;
use super::out::Out;
use super::{
    account, backup, bead, config, control, convoy, costs, crew, demo, directive, done, explain, flatten, gate, hand, handoff,
    hooks, hub, machine, mail, maintain, mq, namepool, nudge, plugin, polecat, prime, prime_hook, redact, refinery, reindex, rig,
    roll, salvage, schema, signal, sling, stats, sync, town, work,
};
use crate::error::Result;
use crate::town::{Start, Town};

/// What to do.
#[derive(Subcommand)]
pub(super) enum Command {
    Demo(demo::DemoArgs),
    Install(town::Install),
    Rig(rig::RigArgs),
    Config(config::ConfigArgs),
    Trust(config::TrustArgs),
    Redact(redact::RedactArgs),
    Reindex(reindex::ReindexArgs),
    Status(town::StatusArgs),
    Log(town::LogArgs),
    Sling(sling::SlingArgs),
    Unsling(work::UnslingArgs),
    Assign(hand::AssignArgs),
    Release(hand::ReleaseArgs),
    SyncBase(hand::SyncBaseArgs),
    Diff(hand::DiffArgs),
    Hook(work::HookArgs),
    Hooks(hooks::HooksArgs),
    Signal(signal::SignalArgs),
    Guard(signal::GuardArgs),
    Prime(prime::PrimeArgs),
    Directive(directive::DirectiveArgs),
    Done(done::DoneArgs),
    Handoff(handoff::HandoffArgs),
    Resume(handoff::ResumeArgs),
    Checkpoint(handoff::CheckpointArgs),
    Machine(machine::MachineArgs),
    Plugin(plugin::PluginArgs),
    Polecat(polecat::PolecatArgs),
    Namepool(namepool::NamepoolArgs),
    Salvage(salvage::SalvageArgs),
    Explain(explain::ExplainArgs),
    Whoami(explain::WhoamiArgs),
    Session(polecat::SessionArgs),
    Mayor(polecat::MayorArgs),
    Sync(sync::SyncArgs),
    Remote(sync::RemoteArgs),
    Hub(hub::HubArgs),
    Maintain(maintain::MaintainArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Flatten(flatten::FlattenArgs),
    Schema(schema::SchemaArgs),
    #[command(alias = "bd")]
    Bead(bead::BeadArgs),
    Create(bead::Create),
    Show(bead::Show),
    List(bead::List),
    Ready(bead::Ready),
    Blocked(bead::Blocked),
    Count(bead::Count),
    Stale(bead::Stale),
    Search(bead::Search),
    Update(bead::Update),
    Close(bead::Close),
    Convoy(convoy::ConvoyArgs),
    Crew(crew::CrewArgs),
    Worktree(crew::WorktreeArgs),
    Commit(crew::CommitArgs),
    Undo(bead::Undo),
    Remember(bead::Remember),
    Memories(bead::MemoriesArgs),
    Forget(bead::Forget),
    Mail(mail::MailArgs),
    Send(mail::Send),
    Inbox(mail::Inbox),
    Nudge(nudge::NudgeArgs),
    Peek(nudge::PeekArgs),
    Mq(mq::MqArgs),
    Refinery(refinery::RefineryArgs),
    Gate(gate::GateArgs),
    Account(account::AccountArgs),
    Costs(costs::CostsArgs),
    Stats(stats::StatsArgs),
    Cv(stats::CvArgs),
    Up(control::UpArgs),
    Down(control::DownArgs),
    Stop(control::StopArgs),
    Shutdown(control::ShutdownArgs),
    Estop(control::EstopArgs),
    Thaw(control::ThawArgs),
    Agents(roll::AgentsArgs),
    Spawn(roll::SpawnArgs),
    Kill(roll::KillArgs),
    Sleep(roll::SleepArgs),
    Wake(roll::WakeArgs),
    Attach(roll::AttachArgs),
    Capture(roll::CaptureArgs),
}

impl Command {
    /// The arguments of `gt stats` or `gt bead stats`, if this is one of them.
    pub(super) fn stats(&mut self) -> Option<&mut stats::StatsArgs> {
        match self {
            Self::Stats(args) => Some(args),
            Self::Bead(args) => args.stats(),
            _ => None,
        }
    }

    /// Whether it may be run in a copy of a town: it reads, writes ledgers and nothing else, which the copy's refuse, or gives
    /// the copy what it lacks. Others might end the sessions of the town that was copied.
    const fn is_fit_for_copies(&self) -> bool {
        matches!(
            self,
            Self::Machine(_)
                | Self::Maintain(_)
                | Self::Backup(_)
                | Self::Status(_)
                | Self::Log(_)
                | Self::Show(_)
                | Self::List(_)
                | Self::Ready(_)
                | Self::Blocked(_)
                | Self::Count(_)
                | Self::Stale(_)
                | Self::Search(_)
                | Self::Bead(_)
                | Self::Inbox(_)
                | Self::Explain(_)
                | Self::Whoami(_)
                | Self::Stats(_)
                | Self::Cv(_)
        )
    }

    /// Runs it and tells the exit code.
    ///
    /// # Errors
    /// As the command.
    pub(super) fn run(self, start: &Start, out: Out) -> Result<u8> {
        match &self {
            Self::Demo(demo) => return Ok(out.show(&demo.run(out)?)),
            Self::Install(install) => return Ok(out.show(&install.run(out)?)),
            Self::Restore(restore) => return Ok(out.show(&restore.run(start)?)),
            Self::Hub(hub) => return hub.run(out),
            Self::Schema(schema) => return schema.run(out),
            // What a prompt is told of its mail must not fail with the town.
            Self::Mail(mail) => return mail.run(|| find_town(start, out), out),
            // Nor must what an agent's program asks at its turns.
            Self::Signal(signal) => return Ok(signal.run(|| find_own(start, out), out)),
            Self::Guard(guard) => return guard.run(start, out),
            Self::Prime(prime) => {
                if let Some(runtime) = prime.form.hook {
                    return Ok(prime_hook::run(prime, runtime, || find_own(start, out), out));
                }
            }
            _ => {}
        }
        let town = &find_town(start, out)?;
        if !self.is_fit_for_copies() {
            town.hq.check_own()?;
        }
        run_in(self, town, out)
    }
}

/// The town, with a warning when environment and directory name two identities.
fn find_town(start: &Start, out: Out) -> Result<Town> {
    let town = Town::find(start)?;
    if let Some(other) = &town.contradiction {
        out.note(&format!("warning: acting as {}, but this directory belongs to {other}", town.me));
    }
    Ok(town)
}

/// The same, but no copy of a town.
fn find_own(start: &Start, out: Out) -> Result<Town> {
    let town = find_town(start, out)?;
    town.hq.check_own()?;
    Ok(town)
}

/// Runs a command that wants a town.
fn run_in(command: Command, town: &Town, out: Out) -> Result<u8> {
    match command {
        Command::Rig(args) => args.run(town, out),
        Command::Config(args) => args.run(town, out),
        Command::Trust(args) => args.run(town, out),
        Command::Redact(args) => args.run(town, out),
        Command::Reindex(args) => args.run(town, out),
        Command::Status(args) => Ok(out.show(&args.run(town)?)),
        Command::Log(args) => Ok(out.show(&args.run(town)?)),
        Command::Sling(args) => Ok(out.show(&args.run(town)?)),
        Command::Unsling(args) => Ok(out.show(&args.run(town)?)),
        Command::Hooks(args) => args.run(town, out),
        Command::Assign(args) => Ok(out.show(&args.run(town)?)),
        Command::Release(args) => Ok(out.show(&args.run(town)?)),
        Command::SyncBase(args) => Ok(out.show(&args.run(town)?)),
        Command::Diff(args) => args.run(town, out),
        Command::Hook(args) => args.run(town, out),
        Command::Prime(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Directive(args) => args.run(town, out),
        Command::Done(args) => args.run(town, out),
        Command::Handoff(args) => args.run(town, out),
        Command::Resume(_) => Ok(out.show(&handoff::ResumeArgs::run(town)?)),
        Command::Checkpoint(args) => args.run(town, out),
        Command::Machine(args) => args.run(town, out),
        Command::Plugin(args) => args.run(town, out),
        Command::Polecat(args) => args.run(town, out),
        Command::Namepool(args) => args.run(town, out),
        Command::Salvage(args) => args.run(town, out),
        Command::Explain(args) => Ok(out.show(&args.run(town)?)),
        Command::Whoami(args) => Ok(out.show(&args.run(town)?)),
        Command::Session(args) => args.run(town, out),
        Command::Mayor(args) => args.run(town, out),
        Command::Sync(args) => args.run(town, out),
        Command::Remote(args) => args.run(town, out),
        Command::Maintain(args) => Ok(out.show(&args.run(town)?)),
        Command::Backup(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Flatten(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Convoy(args) => args.run(town, out),
        Command::Crew(args) => args.run(town, out),
        Command::Worktree(args) => args.run(town, out),
        Command::Commit(args) => Ok(out.show(&args.run(town)?)),
        Command::Send(args) => args.run(town, out),
        Command::Inbox(args) => args.run(town, out),
        Command::Nudge(args) => Ok(out.show(&args.run(town)?)),
        Command::Peek(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Mq(args) => args.run(town, out),
        Command::Refinery(args) => args.run(town, out),
        Command::Gate(args) => args.run(town, out),
        Command::Account(args) => args.run(town, out),
        Command::Costs(args) => args.run(town, out),
        Command::Stats(args) => args.run(town, out),
        Command::Cv(args) => args.run(town, out),
        other => run_on_town(other, town, out),
    }
}

/// What is done to the town as a whole, and short forms for its agents.
fn run_on_town(command: Command, town: &Town, out: Out) -> Result<u8> {
    match command {
        Command::Up(args) => Ok(out.show(&args.run(town)?)),
        Command::Down(args) => Ok(out.show(&args.run(town)?)),
        Command::Stop(args) => Ok(out.show(&args.run(town)?)),
        Command::Shutdown(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Estop(args) => Ok(out.show(&args.run(town)?)),
        Command::Thaw(args) => Ok(out.show(&args.run(town)?)),
        Command::Agents(args) => Ok(out.show(&args.run(town)?)),
        Command::Spawn(args) => Ok(out.show(&args.run(town)?)),
        Command::Kill(args) => Ok(out.show(&args.run(town)?)),
        Command::Sleep(args) => Ok(out.show(&args.run(town)?)),
        Command::Wake(args) => Ok(out.show(&args.run(town)?)),
        Command::Attach(args) => args.run(town),
        Command::Capture(args) => args.run(town, out),
        other => run_on_beads(other, town, out),
    }
}

/// The daily verbs of beads, and those that need no town, which were run before.
fn run_on_beads(command: Command, town: &Town, out: Out) -> Result<u8> {
    match command {
        Command::Bead(args) => args.run(town, out),
        Command::Create(args) => args.run(town, out),
        Command::Show(args) => args.run(town, out),
        Command::List(args) => args.run(town, out),
        Command::Ready(args) => args.run(town, out),
        Command::Blocked(args) => args.run(town, out),
        Command::Count(args) => args.run(town, out),
        Command::Stale(args) => args.run(town, out),
        Command::Search(args) => args.run(town, out),
        Command::Update(args) => args.run(town, out),
        Command::Close(args) => args.run(town, out),
        Command::Undo(args) => args.run(town, out),
        Command::Remember(args) => args.run(town, out),
        Command::Memories(args) => args.run(town, out),
        Command::Forget(args) => args.run(town, out),
        _ => unreachable!("run with a town, or before it"),
    }
}

fn later<A: clap::Args>(name: &'static str) -> clap::Command {
    clap::Command::new(name).defer(A::augment_args)
}

/// The commands, each left to be built when it is named.
pub(super) fn deferred() -> Vec<clap::Command> {
    let mut all = deferred_first();
    all.extend(deferred_of_town());
    all
}

fn deferred_of_town() -> Vec<clap::Command> {
    vec![
        later::<mq::MqArgs>("mq"),
        later::<refinery::RefineryArgs>("refinery"),
        later::<gate::GateArgs>("gate"),
        later::<account::AccountArgs>("account"),
        later::<costs::CostsArgs>("costs"),
        later::<stats::StatsArgs>("stats"),
        later::<stats::CvArgs>("cv"),
        later::<control::UpArgs>("up"),
        later::<control::DownArgs>("down"),
        later::<control::StopArgs>("stop"),
        later::<control::ShutdownArgs>("shutdown"),
        later::<control::EstopArgs>("estop"),
        later::<control::ThawArgs>("thaw"),
        later::<roll::AgentsArgs>("agents"),
        later::<roll::SpawnArgs>("spawn"),
        later::<roll::KillArgs>("kill"),
        later::<roll::SleepArgs>("sleep"),
        later::<roll::WakeArgs>("wake"),
        later::<roll::AttachArgs>("attach"),
        later::<roll::CaptureArgs>("capture"),
    ]
}

fn deferred_first() -> Vec<clap::Command> {
    vec![
        later::<demo::DemoArgs>("demo"),
        later::<town::Install>("install"),
        later::<rig::RigArgs>("rig"),
        later::<config::ConfigArgs>("config"),
        later::<config::TrustArgs>("trust"),
        later::<redact::RedactArgs>("redact"),
        later::<reindex::ReindexArgs>("reindex"),
        later::<town::StatusArgs>("status"),
        later::<town::LogArgs>("log"),
        later::<sling::SlingArgs>("sling"),
        later::<work::UnslingArgs>("unsling"),
        later::<hand::AssignArgs>("assign"),
        later::<hand::ReleaseArgs>("release"),
        later::<hand::SyncBaseArgs>("sync-base"),
        later::<hand::DiffArgs>("diff"),
        later::<work::HookArgs>("hook"),
        later::<hooks::HooksArgs>("hooks"),
        later::<signal::SignalArgs>("signal"),
        later::<signal::GuardArgs>("guard"),
        later::<prime::PrimeArgs>("prime"),
        later::<directive::DirectiveArgs>("directive"),
        later::<done::DoneArgs>("done"),
        later::<handoff::HandoffArgs>("handoff"),
        later::<handoff::ResumeArgs>("resume"),
        later::<handoff::CheckpointArgs>("checkpoint"),
        later::<machine::MachineArgs>("machine"),
        later::<plugin::PluginArgs>("plugin"),
        later::<polecat::PolecatArgs>("polecat"),
        later::<namepool::NamepoolArgs>("namepool"),
        later::<salvage::SalvageArgs>("salvage"),
        later::<explain::ExplainArgs>("explain"),
        later::<explain::WhoamiArgs>("whoami"),
        later::<polecat::SessionArgs>("session"),
        later::<polecat::MayorArgs>("mayor"),
        later::<sync::SyncArgs>("sync"),
        later::<sync::RemoteArgs>("remote"),
        later::<hub::HubArgs>("hub"),
        later::<maintain::MaintainArgs>("maintain"),
        later::<backup::BackupArgs>("backup"),
        later::<backup::RestoreArgs>("restore"),
        later::<flatten::FlattenArgs>("flatten"),
        later::<schema::SchemaArgs>("schema"),
        later::<bead::BeadArgs>("bead").alias("bd"),
        later::<bead::Create>("create"),
        later::<bead::Show>("show"),
        later::<bead::List>("list"),
        later::<bead::Ready>("ready"),
        later::<bead::Blocked>("blocked"),
        later::<bead::Count>("count"),
        later::<bead::Stale>("stale"),
        later::<bead::Search>("search"),
        later::<bead::Update>("update"),
        later::<bead::Close>("close"),
        later::<convoy::ConvoyArgs>("convoy"),
        later::<crew::CrewArgs>("crew"),
        later::<crew::WorktreeArgs>("worktree"),
        later::<crew::CommitArgs>("commit"),
        later::<bead::Undo>("undo"),
        later::<bead::Remember>("remember"),
        later::<bead::MemoriesArgs>("memories"),
        later::<bead::Forget>("forget"),
        later::<mail::MailArgs>("mail"),
        later::<mail::Send>("send"),
        later::<mail::Inbox>("inbox"),
        later::<nudge::NudgeArgs>("nudge"),
        later::<nudge::PeekArgs>("peek"),
    ]
}

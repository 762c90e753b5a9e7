//! The bead verb `dep tree`, and the tree that it prints.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, Style};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::track::walk::{Direction, NODES_MAX, Node, tree};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Nodes>("bead dep tree")];

/// Show what a bead depends on as a tree, for example: gt bead dep tree wi-x7k2m --direction up
#[derive(Args)]
pub struct TreeArgs {
    /// The bead
    id: String,
    /// down: what it depends on; up: what depends on it; both: one tree after the other
    #[arg(long, value_enum, default_value = "down")]
    direction: Ways,
    /// Levels to show
    #[arg(short = 'd', long, alias = "max-depth", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    depth: u16,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Ways {
    Down,
    Up,
    Both,
}

impl TreeArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (ledger, id) = town.resolve_bead(&self.id)?;
        ledger.state()?.bead(&id)?;
        let ways: &[Direction] = match self.direction {
            Ways::Down => &[Direction::Down],
            Ways::Up => &[Direction::Up],
            Ways::Both => &[Direction::Up, Direction::Down],
        };
        let mut nodes = Vec::new();
        for way in ways {
            let found = tree(town, &id, *way, usize::from(self.depth))?;
            if found.is_cut {
                out.note(&format!("only the first {NODES_MAX} are shown; --depth shows fewer levels"));
            }
            nodes.extend(found.nodes);
        }
        Ok(out.show(&Nodes(nodes)))
    }
}

#[derive(JsonSchema, Serialize)]
struct Nodes(Vec<Node>);

impl Show for Nodes {
    fn show(&self, page: &mut Page) {
        let depths: Vec<usize> = self.0.iter().map(|node| node.depth).collect();
        for (node, lead) in self.0.iter().zip(leads(&depths)) {
            if node.depth == 0 {
                page.line(match node.direction {
                    Direction::Down => "depends on:",
                    Direction::Up => "needed by:",
                });
            }
            page.row(&lead, &node_cells(node));
        }
    }
}

/// What stands before each node of a tree, of which only the depths are known, each node before those below it.
pub(super) fn leads(depths: &[usize]) -> Vec<String> {
    // Whether the node last seen at each depth was the last one there.
    let mut ended: Vec<bool> = Vec::new();
    let lead = |(depth, is_last): (&usize, bool)| {
        ended.truncate(*depth);
        let mut line: String = ended.iter().skip(1).map(|ended| if *ended { "    " } else { "│   " }).collect();
        ended.push(is_last);
        if *depth > 0 {
            line.push_str(if is_last { "└── " } else { "├── " });
        }
        line
    };
    depths.iter().zip(last_ones(depths)).map(lead).collect()
}

/// Of each node, whether none comes after it on the same branch.
fn last_ones(depths: &[usize]) -> Vec<bool> {
    let mut follows: Vec<bool> = Vec::new();
    let mut is_last = Vec::with_capacity(depths.len());
    for depth in depths.iter().rev() {
        follows.resize(depth + 1, false);
        is_last.push(!std::mem::replace(&mut follows[*depth], true));
    }
    is_last.reverse();
    is_last
}

fn node_cells(node: &Node) -> Vec<Cell> {
    let mut cells = Vec::new();
    cells.extend(node.edge_from_parent.as_ref().map(|kind| Cell::from(kind.word()).dim()));
    let (Some(status), Some(title)) = (&node.status, &node.title) else {
        cells.push(Cell::from(format!("{}, which cannot be read from here", node.id)));
        return cells;
    };
    let more = match (node.repeated, node.truncated) {
        (true, _) => "  (see above)",
        (_, true) => "  …",
        _ => "",
    };
    cells.push(Cell::id(node.id.as_str()));
    cells.push(Cell::word(Style::of_status(status), &format!("({}):", status.word())));
    cells.push(Cell::from(format!("{title}{more}")));
    cells
}

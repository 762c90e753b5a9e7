//! Pools of names for polecats: themes of 50 names, own ones, and numbers when all are taken.

use crate::error::{Error, Result};
use crate::name::Name;

/// How many names a theme has; numbers begin after it.
pub const THEME_NAMES_MAX: usize = 50;

/// The theme that a town begins with.
pub const FIRST_THEME: &str = "mad-max";

/// The themes that gt has.
pub const THEMES: [(&str, &[&str; 50]); 3] = [(FIRST_THEME, &MAD_MAX), ("minerals", &MINERALS), ("wasteland", &WASTELAND)];

/// Characters of the films that Gas Town is named after.
const MAD_MAX: [&str; 50] = [
    "furiosa",
    "nux",
    "slit",
    "rictus",
    "dementus",
    "capable",
    "toast",
    "dag",
    "cheedo",
    "valkyrie",
    "keeper",
    "corpus",
    "organic",
    "ace",
    "morsov",
    "miss",
    "maadi",
    "glory",
    "jack",
    "praetorian",
    "goose",
    "toecutter",
    "bubba",
    "johnny",
    "fifi",
    "jessie",
    "sprog",
    "humungus",
    "wez",
    "pappagallo",
    "feral",
    "gyro",
    "zetta",
    "curmudgeon",
    "lusty",
    "mohawk",
    "auntie",
    "entity",
    "master",
    "blaster",
    "ironbar",
    "scrooloose",
    "savannah",
    "jedediah",
    "pigkiller",
    "collector",
    "scarlet",
    "splendid",
    "angharad",
    "coma",
];

/// Stones.
const MINERALS: [&str; 50] = [
    "quartz",
    "obsidian",
    "jasper",
    "onyx",
    "opal",
    "topaz",
    "garnet",
    "ruby",
    "amber",
    "jade",
    "flint",
    "granite",
    "basalt",
    "marble",
    "slate",
    "shale",
    "pyrite",
    "mica",
    "agate",
    "malachite",
    "turquoise",
    "lapis",
    "emerald",
    "sapphire",
    "diamond",
    "amethyst",
    "citrine",
    "zircon",
    "peridot",
    "jet",
    "moonstone",
    "sunstone",
    "bloodstone",
    "rhodonite",
    "sodalite",
    "hematite",
    "magnetite",
    "calcite",
    "fluorite",
    "selenite",
    "kyanite",
    "labradorite",
    "amazonite",
    "chalcedony",
    "carnelian",
    "beryl",
    "galena",
    "cinnabar",
    "gypsum",
    "feldspar",
];

/// What is met on the road.
const WASTELAND: [&str; 50] = [
    "rust",
    "chrome",
    "nitro",
    "dust",
    "scrap",
    "cinder",
    "ember",
    "ash",
    "dune",
    "mirage",
    "rattler",
    "vulture",
    "coyote",
    "scorpion",
    "tumbleweed",
    "drifter",
    "nomad",
    "raider",
    "scavenger",
    "outrider",
    "wrecker",
    "fury",
    "havoc",
    "diesel",
    "piston",
    "gasket",
    "rivet",
    "radiator",
    "carburetor",
    "sprocket",
    "axle",
    "throttle",
    "caltrop",
    "molotov",
    "geiger",
    "fallout",
    "bunker",
    "canteen",
    "bandolier",
    "gasmask",
    "ghoul",
    "mutant",
    "hermit",
    "settler",
    "wanderer",
    "ranger",
    "outcast",
    "brahmin",
    "gecko",
    "tinker",
];

/// The names that a rig's polecats get, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    names: Vec<String>,
}

impl Pool {
    /// The rig's `own` names, then those of its theme; each once.
    #[must_use]
    pub fn new(own: &[String], theme: &[String]) -> Self {
        let mut names: Vec<String> = Vec::new();
        for name in own.iter().chain(theme) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self { names }
    }

    /// All names, without numbers.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The `n`th name, from 0; `p51` and so on after the last. Machines with a `mark` append it, so that two machines
    /// never make the same agent.
    ///
    /// # Errors
    /// Usage, when the name is too long with the mark.
    pub fn name(&self, n: usize, mark: &str) -> Result<Name> {
        let number = || format!("p{}", n - self.names.len() + THEME_NAMES_MAX + 1);
        let base = self.names.get(n).cloned().unwrap_or_else(number);
        if mark.is_empty() { base.parse() } else { format!("{base}_{mark}").parse() }
    }

    /// Where `name` stands in the pool; after all of it, when it is not one of its names.
    #[must_use]
    pub fn place_of(&self, name: &Name, mark: &str) -> usize {
        let ending = if mark.is_empty() { String::new() } else { format!("_{mark}") };
        let bare = name.as_str().strip_suffix(&ending).unwrap_or(name.as_str());
        let number = || Some(bare.strip_prefix('p')?.parse::<usize>().ok()?.checked_sub(THEME_NAMES_MAX + 1)? + self.names.len());
        self.names.iter().position(|own| own == bare).or_else(number).unwrap_or(usize::MAX)
    }
}

/// The names of a theme that gt has.
#[must_use]
pub fn built_in(theme: &str) -> Option<Vec<String>> {
    let (_, names) = THEMES.iter().find(|(name, _)| *name == theme)?;
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Checks the names of a theme of one's own.
///
/// # Errors
/// Usage, when a name can be none, is reserved, looks like a number of a pool or stands twice, or there are too many.
pub fn check_names(names: &[String]) -> Result<()> {
    if names.is_empty() || names.len() > THEME_NAMES_MAX {
        return Err(Error::usage(format!("a theme has from 1 to {THEME_NAMES_MAX} names, not {}", names.len()))
            .hint("numbers follow when all names are taken"));
    }
    for (at, text) in names.iter().enumerate() {
        text.parse::<Name>()?;
        let is_number = text.strip_prefix('p').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty());
        if is_number {
            return Err(Error::usage(format!("'{text}' looks like the number of a polecat without a name")));
        }
        if names[..at].contains(text) {
            return Err(Error::usage(format!("'{text}' is named twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(name: &str) -> Vec<String> {
        built_in(name).unwrap()
    }

    #[test]
    fn every_name_of_every_theme_is_lawful_and_stands_once() {
        for (name, _) in THEMES {
            let names = theme(name);
            assert_eq!(names.len(), THEME_NAMES_MAX, "{name}");
            check_names(&names).unwrap();
        }
        assert_eq!(built_in("no-such"), None);
    }

    #[test]
    fn numbers_from_51_follow_the_names() {
        let pool = Pool::new(&[], &theme(FIRST_THEME));
        assert_eq!(pool.name(0, "").unwrap().as_str(), "furiosa");
        assert_eq!(pool.name(50, "a").unwrap().as_str(), "p51_a");
        let short = Pool::new(&["mine".into()], &["mine".into(), "other".into()]);
        assert_eq!((short.name(1, "").unwrap().as_str(), short.name(2, "").unwrap().as_str()), ("other", "p51"));
        for n in 0..60 {
            for mark in ["", "1"] {
                assert_eq!(pool.place_of(&pool.name(n, mark).unwrap(), mark), n);
            }
        }
        assert_eq!(pool.place_of(&"stranger".parse().unwrap(), ""), usize::MAX);
    }

    #[test]
    fn a_theme_with_names_that_cannot_be_is_refused() {
        let refused = |names: &[&str]| check_names(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).is_err();
        assert!(refused(&[]) && refused(&["Big"]) && refused(&["witness"]) && refused(&["a", "a"]) && refused(&["p51"]));
        assert!(refused(&["../x"]) && !refused(&["a", "b", "pump", "p"]));
        let many: Vec<String> = (0..51).map(|n| format!("n{n}")).collect();
        assert!(check_names(&many).is_err() && check_names(&many[..50]).is_ok());
    }
}

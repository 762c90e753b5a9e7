//! Addresses: who sends, receives, works and is answerable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::name::{BeadId, Name, Prefix};

/// The full address of a person or an agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The human; several people have a name each.
    Overseer(Option<Name>),
    /// The town-wide coordinator.
    Mayor,
    /// The town-wide supervisor.
    Deacon,
    /// A helper of the deacon.
    Dog(Name),
    /// The watcher of a rig.
    Witness(Name),
    /// The merge queue of a rig.
    Refinery(Name),
    /// A worker: rig, name.
    Polecat(Name, Name),
    /// A long-lived workspace: rig, name.
    Crew(Name, Name),
    /// A plugin: rig, name.
    Plugin(Name, Name),
}

/// What a person may type: a full address, or the short form `<rig>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A full address.
    Full(Address),
    /// The one agent of that name in the rig.
    Short(Name, Name),
}

impl Address {
    /// The rig that the address belongs to; `None` for town agents and the overseer.
    #[must_use]
    pub fn rig(&self) -> Option<&Name> {
        match self {
            Self::Overseer(_) | Self::Mayor | Self::Deacon | Self::Dog(_) => None,
            Self::Witness(rig) | Self::Refinery(rig) | Self::Polecat(rig, _) | Self::Crew(rig, _) | Self::Plugin(rig, _) => {
                Some(rig)
            }
        }
    }

    /// The word for the role.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self {
            Self::Overseer(_) => "overseer",
            Self::Mayor => "mayor",
            Self::Deacon => "deacon",
            Self::Dog(_) => "dog",
            Self::Witness(_) => "witness",
            Self::Refinery(_) => "refinery",
            Self::Polecat(..) => "polecat",
            Self::Crew(..) => "crew",
            Self::Plugin(..) => "plugin",
        }
    }

    /// The id of the agent's bead in the scope with `prefix`.
    ///
    /// # Panics
    /// Never: names are safe parts of ids.
    #[must_use]
    pub fn bead_id(&self, prefix: &Prefix) -> BeadId {
        let suffix = match self {
            Self::Overseer(None) => "overseer".to_owned(),
            Self::Overseer(Some(name)) => format!("overseer-{name}"),
            Self::Mayor => "mayor".to_owned(),
            Self::Deacon => "deacon".to_owned(),
            Self::Dog(name) => format!("dog-{name}"),
            Self::Witness(rig) => format!("{rig}-witness"),
            Self::Refinery(rig) => format!("{rig}-refinery"),
            Self::Polecat(rig, name) => format!("{rig}-polecat-{name}"),
            Self::Crew(rig, name) => format!("{rig}-crew-{name}"),
            Self::Plugin(rig, name) => format!("{rig}-plugin-{name}"),
        };
        let text = format!("{prefix}-{}", suffix.trim_end_matches('_'));
        text.parse().expect("names are safe in ids")
    }

    /// The address as one path component: `/` becomes `%2F`.
    #[must_use]
    pub fn as_component(&self) -> String {
        self.to_string().trim_end_matches('/').replace('/', "%2F")
    }

    /// Reads back what [`Address::as_component`] wrote.
    ///
    /// # Errors
    /// Usage, when it is not an address.
    pub fn from_component(text: &str) -> Result<Self> {
        text.replace("%2F", "/").parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Overseer(None) => "overseer".to_owned(),
            Self::Overseer(Some(name)) => format!("overseer/{name}"),
            Self::Mayor => "mayor".to_owned(),
            Self::Deacon => "deacon".to_owned(),
            Self::Dog(name) => format!("deacon/dogs/{name}"),
            Self::Witness(rig) => format!("{rig}/witness"),
            Self::Refinery(rig) => format!("{rig}/refinery"),
            Self::Polecat(rig, name) => format!("{rig}/polecats/{name}"),
            Self::Crew(rig, name) => format!("{rig}/crew/{name}"),
            Self::Plugin(rig, name) => format!("{rig}/plugins/{name}"),
        };
        f.pad(&text)
    }
}

impl FromStr for Typed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("'{}' is not an address", text.escape_debug()))
                .hint("for example overseer, mayor, widgets/refinery, widgets/polecats/toast or widgets/toast")
        };
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let name = |text: &str| text.parse::<Name>().map_err(|_| wrong());
        let full = match parts.as_slice() {
            ["overseer"] => Address::Overseer(None),
            ["overseer", person] => Address::Overseer(Some(name(person)?)),
            ["mayor"] => Address::Mayor,
            ["deacon"] => Address::Deacon,
            ["deacon", "dogs", dog] => Address::Dog(name(dog)?),
            [rig, "witness"] => Address::Witness(name(rig)?),
            [rig, "refinery"] => Address::Refinery(name(rig)?),
            [rig, "polecats", who] => Address::Polecat(name(rig)?, name(who)?),
            [rig, "crew", who] => Address::Crew(name(rig)?, name(who)?),
            [rig, "plugins", who] => Address::Plugin(name(rig)?, name(who)?),
            [rig, who] => return Ok(Self::Short(name(rig)?, name(who)?)),
            _ => return Err(wrong()),
        };
        Ok(Self::Full(full))
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            Typed::Full(address) => Ok(address),
            Typed::Short(rig, name) => {
                Err(Error::usage(format!("'{rig}/{name}' is a short address, and a full one is needed here"))
                    .hint(format!("write {rig}/polecats/{name} or {rig}/crew/{name}")))
            }
        }
    }
}

crate::schema::text_schema!(Address, { "examples": ["overseer", "mayor", "widgets/polecats/toast"] });

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "overseer",
            "overseer/ann",
            "mayor",
            "deacon/dogs/rex",
            "widgets/witness",
            "widgets/polecats/toast",
            "widgets/crew/joe",
            "widgets/plugins/oracle",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::from_component(&address.as_component()).unwrap(), address);
        }
        assert_eq!("mayor/".parse::<Address>().unwrap(), Address::Mayor);
        assert!(matches!("widgets/toast".parse::<Typed>().unwrap(), Typed::Short(..)));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "/", "a/b/c", "../x", "widgets/polecats/../x", "$(id)/witness", "a/polecats/B"] {
            assert!(bad.parse::<Typed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn agents_have_readable_ids() {
        let toast: Address = "widgets/polecats/toast".parse().unwrap();
        assert_eq!(toast.bead_id(&"wi".parse().unwrap()).as_str(), "wi-widgets-polecat-toast");
    }
}

//! What each role does, as Markdown: told to whoever has it, before the directives of the town and the rig.

use crate::error::{Error, Result};

/// All roles, each with what it does.
pub const ROLES: [(&str, &str); 9] = [
    ("overseer", include_str!("roles/overseer.md")),
    ("mayor", include_str!("roles/mayor.md")),
    ("deacon", include_str!("roles/deacon.md")),
    ("dog", include_str!("roles/dog.md")),
    ("witness", include_str!("roles/witness.md")),
    ("refinery", include_str!("roles/refinery.md")),
    ("polecat", include_str!("roles/polecat.md")),
    ("crew", include_str!("roles/crew.md")),
    ("plugin", include_str!("roles/plugin.md")),
];

/// What `role` does.
///
/// # Errors
/// Usage, when there is no such role.
pub fn text(role: &str) -> Result<&'static str> {
    let found = ROLES.iter().find(|(name, _)| *name == role).map(|(_, text)| *text);
    found.ok_or_else(|| {
        let known: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
        Error::usage(format!("there is no role '{}'", role.escape_debug())).hint(format!("one of: {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;

    #[test]
    fn every_address_has_a_role_with_a_text_of_its_own() {
        for address in [
            "overseer",
            "mayor",
            "deacon",
            "deacon/dogs/rex",
            "w/witness",
            "w/refinery",
            "w/polecats/toast",
            "w/crew/joe",
            "w/plugins/lint",
        ] {
            let address: Address = address.parse().unwrap();
            assert!(text(address.role()).unwrap().contains(address.role()), "{address}");
        }
        assert!(text("king").is_err());
    }
}

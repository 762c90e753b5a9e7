//! Who may do what with requests. These rights stop accidents and obedient agents, not an enemy with the same user.

use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::merge_request::MergeRequest;

/// Whether `who` steers the queue: people, the mayor, crew and refineries.
#[must_use]
pub fn steers(who: &Address) -> bool {
    match who {
        Address::Overseer(_) | Address::Mayor | Address::Crew(..) | Address::Refinery(_) => true,
        Address::Deacon | Address::Dog(_) | Address::Witness(_) | Address::Polecat(..) | Address::Plugin(..) => false,
    }
}

/// Refuses whoever does not steer the queue to `deed`.
///
/// # Errors
/// Refused.
pub fn check_steers(who: &Address, deed: &str) -> Result<()> {
    if steers(who) { Ok(()) } else { Err(not_yours(who, deed)) }
}

/// Refuses whoever neither steers the queue nor made the request `mr` to `deed`.
///
/// # Errors
/// Refused.
pub fn check_own(who: &Address, mr: &MergeRequest, deed: &str) -> Result<()> {
    if steers(who) || mr.author == who.to_string() { Ok(()) } else { Err(not_yours(who, deed)) }
}

/// Refuses everybody but the overseer to `deed`.
///
/// # Errors
/// Refused.
pub fn check_overseer(who: &Address, deed: &str) -> Result<()> {
    if matches!(who, Address::Overseer(_)) { Ok(()) } else { Err(not_yours(who, deed)) }
}

fn not_yours(who: &Address, deed: &str) -> Error {
    Error::refused(format!("{who} may not {deed}")).hint("ask the overseer: gt mail send overseer -s \"…\" -m \"…\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_steer_nothing_and_only_the_overseer_forces() {
        for (who, steers_it, forces) in [
            ("overseer", true, true),
            ("overseer/ann", true, true),
            ("mayor", true, false),
            ("widgets/crew/joe", true, false),
            ("widgets/refinery", true, false),
            ("widgets/polecats/toast", false, false),
            ("widgets/witness", false, false),
        ] {
            let who: Address = who.parse().unwrap();
            assert_eq!((check_steers(&who, "x").is_ok(), check_overseer(&who, "x").is_ok()), (steers_it, forces), "{who}");
        }
    }
}

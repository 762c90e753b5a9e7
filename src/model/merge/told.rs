//! Who hears of a choice that had to yield, and in what words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Conflict;
use crate::error::Result;
use crate::model::address::Address;
use crate::model::mail::{Letter, keyed_id, once_key};
use crate::model::protocol::Protocol;
use crate::model::record::Object;
use crate::name::Prefix;
use crate::time::Moment;

/// So many characters of a value are told; all of it is in the report.
const VALUE_CHARS_MAX: usize = 2_000;

/// Fields of a choice that name somebody whose choice it may have been.
const CHOSEN_BY: [&str; 4] = ["assignee", "agent", "author", "to"];
/// Fields of a record that name somebody whom it concerns.
const CONCERNS: [&str; 5] = ["assignee", "owner", "created_by", "author", "agent"];

impl Conflict {
    /// Whom it concerns: those whom the two choices name, and those whose record it is, `record` as it is after the
    /// merge; the overseer, when that is nobody.
    #[must_use]
    pub fn concerned(&self, record: Option<&Object>) -> BTreeSet<Address> {
        let choices = [&self.kept, &self.overruled].into_iter().filter_map(Value::as_object);
        let of_choices = choices.flat_map(|choice| CHOSEN_BY.iter().filter_map(|name| choice.get(*name)));
        let of_record = record.into_iter().flat_map(|record| CONCERNS.iter().filter_map(|name| record.get(*name)));
        let named: BTreeSet<Address> =
            of_choices.chain(of_record).filter_map(Value::as_str).filter_map(|text| text.parse().ok()).collect();
        if named.is_empty() { BTreeSet::from([Address::Overseer(None)]) } else { named }
    }

    /// The key of the letter about it to `to`.
    #[must_use]
    pub fn letter_key(&self, to: &Address) -> String {
        once_key(&format!("conflict-{}", self.hash()), to)
    }

    /// The letter about it to `to`, for a mailbox in the scope `prefix`; `at` is the moment of the merge.
    ///
    /// # Errors
    /// Usage, when what it tells breaks a limit of letters.
    pub fn letter(&self, to: &Address, prefix: &Prefix, at: Moment) -> Result<Letter> {
        let key = self.letter_key(to);
        let message = Protocol::SyncConflict {
            record: self.path.clone(),
            unit: self.unit.clone(),
            kept: in_words(&self.kept),
            overruled: in_words(&self.overruled),
            rule: self.rule.clone(),
            report: self.hash(),
        };
        let mut letter = message.letter(keyed_id(prefix, &key, 0, "")?, Address::Deacon, to.clone(), at)?;
        letter.key = Some(key);
        Ok(letter)
    }
}

/// A value as a letter tells it: a text as it is, else JSON; cut when it is long.
fn in_words(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::record::Rev;

    fn conflict(kept: Value, overruled: Value) -> Conflict {
        Conflict::new("beads/a/b/wi-ab.json", "status", "closed", (kept, Rev::default()), (overruled, Rev::default()))
    }

    fn names(conflict: &Conflict, record: &Value) -> Vec<String> {
        conflict.concerned(record.as_object()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn those_hear_of_it_whose_choice_or_record_it_is_else_the_overseer() {
        let two = conflict(json!({"assignee": "widgets/polecats/a"}), json!({"assignee": "widgets/polecats/b"}));
        let record = json!({"owner": "mayor/", "created_by": "Somebody Else"});
        assert_eq!(names(&two, &record), ["mayor", "widgets/polecats/a", "widgets/polecats/b"]);
        assert_eq!(names(&conflict(json!("x"), json!("y")), &json!({"created_by": "Somebody"})), ["overseer"]);
    }

    #[test]
    fn long_values_are_cut_in_letters_and_the_letter_is_one_wherever_it_is_written() {
        let long = conflict(json!("ä".repeat(50_000)), json!("b"));
        let (to, prefix) = (Address::Mayor, "wi".parse().unwrap());
        let letter = long.letter(&to, &prefix, Moment::from_millis(5)).unwrap();
        assert!(letter.body.len() < 10_000 && letter.subject == "SYNC_CONFLICT wi-ab status", "{}", letter.subject);
        assert_eq!(letter, long.letter(&to, &prefix, Moment::from_millis(5)).unwrap());
        assert_eq!(Protocol::of(&letter).unwrap().refs(), ["wi-ab".parse().unwrap()]);
    }
}

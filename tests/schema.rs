//! What `--json` gives is what the published schemas say: every document that a test here looks at is held against them.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use gastown::cli::schema;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::town::Town;

/// By command, those built so far.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Holds what `line` printed against the schema of its command.
#[track_caller]
pub fn check(args: &[String], document: &Value) {
    let command = schema::command_of(args).unwrap_or_else(|| panic!("{args:?} calls no command"));
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.entry(command.clone()).or_insert_with(|| {
        let schema = schema::of(&command).unwrap_or_else(|| panic!("no schema of gt {command}"));
        jsonschema::validator_for(&schema.into()).unwrap()
    });
    let faults: Vec<String> =
        validator.iter_errors(document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    drop(validators);
    assert!(faults.is_empty(), "gt {command} is not by its schema: {faults:#?}\n{document:#}");
}

#[test]
fn the_schemas_of_all_commands_are_printed_and_that_of_one_is_the_same() {
    let town = Town::new();
    let all = town.gt("schema").json();
    assert_eq!(all, town.gt("--json schema").json());
    let one = town.gt("schema bead dep add").json();
    assert_eq!(all["commands"]["bead dep add"], one);
    assert_eq!(town.gt("schema ready").json(), town.gt("schema bead ready").json(), "a short form has that of the full one");
    assert_eq!(one["title"], "gt bead dep add");
    for (command, schema) in all["commands"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "gt {command}: {schema:#}");
    }
    let refused = town.gt("--json schema bead dance").fails_with(3);
    let document: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert!(jsonschema::is_valid(&all["error"], &document), "{document}");
    assert!(!jsonschema::is_valid(&all["error"], &json!({})));
}

#[test]
fn a_document_that_breaks_its_schema_is_found() {
    let schema = Value::from(schema::of("show").unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let (town, rig) = Town::with_rig();
    let id = town.bead(&rig, "Good");
    let mut document = town.gt(&format!("--json show {id}")).json();
    assert!(validator.is_valid(&document));
    document[0]["priority"] = "high".into();
    assert!(!validator.is_valid(&document), "a priority is a number");
    document[0]["priority"] = 1.into();
    document[0].as_object_mut().unwrap().remove("title");
    assert!(!validator.is_valid(&document), "a bead has a title");
}

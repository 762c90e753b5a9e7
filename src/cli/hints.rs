//! Every command that a text of the program tells people to type is one that there is, with the flags it is told with.

use clap::error::ErrorKind;

/// Words after `gt` in sentences that speak of the program and name no command.
const PROSE: &[&str] = &["cannot ", "fetches", "itself", "knows ", "on ", "process ", "runs ", "uses", "works ", "hub rules"];

/// The string literals of a Rust source, up to its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(at) = rest.find(['"', '\'', '/', 'r']) {
        let from = &rest[at..];
        if from.starts_with("//") {
            rest = from.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(raw) = from.strip_prefix("r#\"") {
            let (text, after) = raw.split_once("\"#").unwrap_or((raw, ""));
            found.push(text.to_owned());
            rest = after;
        } else if let Some(plain) = from.strip_prefix('"') {
            let (text, after) = quoted(plain);
            found.push(text);
            rest = after;
        } else if from.starts_with("'\"'") || from.starts_with("'\\\"'") {
            rest = from[1..].split_once('\'').map_or("", |(_, after)| after);
        } else {
            rest = &from[1..];
        }
    }
    found
}

/// The text of a literal that begins after its quote, and what follows it.
fn quoted(source: &str) -> (String, &str) {
    let (mut text, mut chars) = (String::new(), source.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &source[at + 1..]),
            '\\' => match chars.next() {
                // A line that goes on in the next one.
                Some((_, '\n')) => {
                    let left = chars.as_str().trim_start();
                    chars = source[source.len() - left.len()..].char_indices();
                    let (more, after) = quoted(chars.as_str());
                    return (text + &more, after);
                }
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            c => text.push(c),
        }
    }
    (text, "")
}

/// The commands that a text tells people to type, as words; what stands for something is a word that fits everywhere.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("gt ") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./{".contains(c)) {
            continue;
        }
        let (mut words, mut quote) = (Vec::new(), None);
        for word in text[at + 3..].lines().next().unwrap_or_default().split(' ') {
            // What is quoted is one word.
            let is_inside = quote.is_some();
            quote = quote.or_else(|| word.chars().next().filter(|c| ['\'', '"'].contains(c)));
            let bare = word.trim_end_matches(['.', ';', ',', ':', ')', '?', '\'', '"', '`']);
            if let Some(mark) = quote {
                if !is_inside {
                    words.push("widgets".to_owned());
                }
                quote = Some(mark).filter(|_| !word.ends_with(mark) || word.len() == 1 && !is_inside);
                continue;
            }
            let is_placeholder = bare.contains(['{', '…']) || bare.len() > 1 && bare.chars().all(char::is_uppercase);
            words.push(if is_placeholder { "widgets" } else { bare }.to_owned());
            if bare.len() < word.len() || ["&&", "|"].contains(&word) {
                break;
            }
        }
        words.retain(|word| !["", "&&", "|"].contains(&word.as_str()));
        if !words
            .first()
            .is_some_and(|word| word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_lowercase()) && word != "widgets")
        {
            continue;
        }
        found.push(words);
    }
    found
}

/// Whether `words` begin with a command, and have no flag that it has not.
fn is_command(words: &[String]) -> bool {
    let last_flag = words.iter().rposition(|word| word.starts_with('-')).map_or(1, |at| at + 1);
    (last_flag..=words.len()).rev().any(|count| {
        let args = std::iter::once("gt").chain(words[..count].iter().map(String::as_str));
        match super::deferred().try_get_matches_from(args) {
            Ok(_) => true,
            Err(error) => {
                matches!(
                    error.kind(),
                    // A word that stands for another fits not everywhere.
                    ErrorKind::InvalidValue
                        | ErrorKind::ValueValidation
                        | ErrorKind::MissingRequiredArgument
                        | ErrorKind::TooFewValues
                        | ErrorKind::WrongNumberOfValues
                        | ErrorKind::DisplayHelp
                ) || count == words.len() && super::is_answer(&error)
            }
        }
    })
}

#[test]
fn every_command_that_is_told_to_be_typed_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().filter_map(Result::ok) {
        let Ok(source) = std::fs::read_to_string(entry.path()) else { continue };
        let is_page = entry.path().extension().is_some_and(|end| end == "md");
        for text in if is_page { vec![source] } else { literals(&source) } {
            for words in commands(&text) {
                count += 1;
                let is_prose = PROSE.iter().any(|start| words.join(" ").starts_with(start));
                if !is_prose && !is_command(&words) {
                    wrong.push(format!(
                        "{}: gt {}",
                        entry.path().strip_prefix(&root).unwrap_or(&root).display(),
                        words.join(" ")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "no such commands:\n{}", wrong.join("\n"));
    assert!(count > 100, "the texts were not found: {count}");
}

#[test]
fn commands_are_found_in_texts_and_wrong_ones_are_told_apart() {
    let source = "let c = '\"'; // gt no comment\nerror.hint(format!(\"first: gt convoy launch {id} \\\n    --force; then gt list shows it\"))";
    let found: Vec<_> = literals(source).iter().flat_map(|text| commands(text)).collect();
    assert_eq!(found, [vec!["convoy", "launch", "widgets", "--force"], vec!["list", "shows", "it"]]);
    let is = |line: &str| is_command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert!(is("convoy launch x --force") && is("list shows it") && is("bead comment add") && is("rig add --help"));
    assert!(!is("convoy start x") && !is("list --zork") && !is("convoy launch x --owned") && !is("zork"));
}

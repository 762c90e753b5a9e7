//! Reads Rust roughly: a copy with comments and literals emptied and the lines kept.
//!
//! Enough for the house's own formatted style and far from a parser.

/// The code with comments and the contents of literals blanked; line numbers stay.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1).copied()) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => block_comment_end(&chars, at),
            ('"', _) => quoted_end(&chars, at + 1, '"'),
            ('r', Some('"' | '#')) if !is_word_before(&chars, at) => raw_string_end(&chars, at),
            ('\'', _) => char_end(&chars, at),
            _ => at,
        };
        if end <= at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn is_word_before(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_')
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |len| at + len)
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 1;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// The end of a raw string that starts at `at`; `at` when none does (`r#type`, a plain `r`).
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let closing: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let mut end = at + 2 + hashes;
    while end < chars.len() {
        if chars[end..].iter().take(hashes + 1).copied().eq(closing.chars()) {
            return end + hashes + 1;
        }
        end += 1;
    }
    chars.len()
}

/// The end of a character literal at `at`; `at` when it is a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => quoted_end(chars, at + 1, '\''),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// The index behind the brace that closes the first one at or after `from`; `None` when a `;` or the end of
/// an enclosing block comes first, as after the type of a function pointer.
pub fn body_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (index, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' if depth == 1 => return Some(from + index + 1),
            '}' if depth == 0 => return None,
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Blanked code without its test modules.
pub fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = body_end(&code, start + "#[cfg(test)]".len()).unwrap_or(start + "#[cfg(test)]".len());
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    code
}

pub fn line_of(code: &str, index: usize) -> usize {
    code[..index].matches('\n').count() + 1
}

/// Where `word` stands as a whole word.
pub fn words_at<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(index, _)| index)
        .filter(move |index| !code[..*index].ends_with(is_part) && !code[index + word.len()..].starts_with(is_part))
}

pub fn identifier_at(code: &str) -> &str {
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    &code[..end]
}

#[test]
fn blanking_knows_literals_from_lifetimes() {
    let code =
        blanked("fn f<'a>(x: &'a str) { let c = '\\''; let d = '}'; let s = r#\"{\"}\"#; /* { /* } */ */ g(\"\\\"{\") } // {");
    assert_eq!(code.matches('{').count(), 1, "{code}");
    assert_eq!(code.matches('}').count(), 1, "{code}");
    assert!(code.contains("fn f<'a>(x: &'a str)"), "{code}");
}

//! A shell's line read as the commands that it would run, as far as that can be told without running anything.
//!
//! Quotes, chains, groups, substitutions, redirections, here-documents and comments are read as POSIX has them. What only
//! the shell can know (variables, globs, aliases) is left as it stands. Bounded: of a long line the beginning is read.

/// The most bytes of a line that are read.
const BYTES_MAX: usize = 64 * 1024;
/// How deep scripts within scripts are read.
const DEPTH_MAX: usize = 6;
/// The most commands that are read of one line.
const COMMANDS_MAX: usize = 1_000;

/// One simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// Its words, without quotes; assignments before it are words too.
    pub words: Vec<String>,
    /// The here-documents that it reads.
    pub input: Vec<String>,
}

/// The simple commands of `line` and of the substitutions in it, in order of their ends.
#[must_use]
pub fn commands(line: &str) -> Vec<Simple> {
    let mut end = line.len().min(BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let mut reader = Reader { chars: line[..end].chars().collect(), ..Reader::default() };
    reader.read(0);
    reader.done
}

/// What comes after `<<`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A word of the command.
    Word,
    /// The file of a redirection, which is no word.
    File,
    /// The end mark of a here-document, with leading tabs dropped or not.
    EndMark { is_indented: bool },
}

#[derive(Debug, Default)]
struct Reader {
    chars: Vec<char>,
    at: usize,
    done: Vec<Simple>,
}

/// The command that is being read.
struct Half {
    simple: Simple,
    word: Option<String>,
    next: Next,
    /// End marks of here-documents whose text begins after this line, and the command that each is for.
    awaited: Vec<(String, bool, usize)>,
    marks: Vec<(String, bool)>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn takes(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads commands up to the parenthesis that ends the substitution or group begun before, or to the end.
    fn read(&mut self, depth: usize) {
        let mut half = Half { simple: Simple::default(), word: None, next: Next::Word, awaited: Vec::new(), marks: Vec::new() };
        while let Some(c) = self.take() {
            if self.done.len() >= COMMANDS_MAX {
                return;
            }
            match c {
                ')' if depth > 0 => break,
                '(' => {
                    self.end_command(&mut half);
                    if depth < DEPTH_MAX {
                        self.read(depth + 1);
                    }
                }
                '\n' => {
                    self.end_command(&mut half);
                    self.read_documents(&mut half);
                }
                '&' if self.peek() == Some('>') => {}
                // A parenthesis that nothing opened ends a pattern of `case`.
                ';' | '|' | '&' | ')' => self.end_command(&mut half),
                ' ' | '\t' | '\r' => end_word(&mut half),
                '<' | '>' => self.redirect(c, &mut half, depth),
                '#' if half.word.is_none() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\\' => match self.take() {
                    Some('\n') | None => {}
                    Some(c) => half.word.get_or_insert_default().push(c),
                },
                '\'' => {
                    let word = half.word.get_or_insert_default();
                    while let Some(c) = self.take().filter(|c| *c != '\'') {
                        word.push(c);
                    }
                }
                '"' => self.in_double_quotes(&mut half, depth),
                '$' if self.peek() == Some('(') => self.substitute(&mut half, depth),
                '`' => self.in_backticks(&mut half, depth),
                c => half.word.get_or_insert_default().push(c),
            }
        }
        self.end_command(&mut half);
    }

    fn redirect(&mut self, first: char, half: &mut Half, depth: usize) {
        if self.peek() == Some('(') {
            // A process substitution: what it runs is run.
            self.at += 1;
            half.word.get_or_insert_default().push('_');
            if depth < DEPTH_MAX {
                self.read(depth + 1);
            }
            return;
        }
        // `2>file`: the number is no word.
        if half.word.as_ref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
            half.word = None;
        }
        end_word(half);
        half.next = Next::File;
        if first == '<' && self.takes('<') {
            if self.takes('<') {
                return;
            }
            half.next = Next::EndMark { is_indented: self.takes('-') };
            return;
        }
        while self.peek().is_some_and(|c| matches!(c, '>' | '&' | '|')) {
            self.at += 1;
        }
    }

    fn in_double_quotes(&mut self, half: &mut Half, depth: usize) {
        half.word.get_or_insert_default();
        while let Some(c) = self.take() {
            match c {
                '"' => return,
                '\\' => match self.take() {
                    Some('\n') | None => {}
                    Some(c) if matches!(c, '"' | '\\' | '$' | '`') => half.word.get_or_insert_default().push(c),
                    Some(c) => half.word.get_or_insert_default().extend(['\\', c]),
                },
                '$' if self.peek() == Some('(') => self.substitute(half, depth),
                '`' => self.in_backticks(half, depth),
                c => half.word.get_or_insert_default().push(c),
            }
        }
    }

    /// `$(…)`: its commands are read, and something stands for its output.
    fn substitute(&mut self, half: &mut Half, depth: usize) {
        self.at += 1;
        half.word.get_or_insert_default().push_str("$()");
        if self.peek() == Some('(') {
            // Arithmetic runs nothing by itself.
            let mut open = 1;
            while open > 0 {
                match self.take() {
                    Some('(') => open += 1,
                    Some(')') => open -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
        } else if depth < DEPTH_MAX {
            self.read(depth + 1);
        }
    }

    fn in_backticks(&mut self, half: &mut Half, depth: usize) {
        let mut script = String::new();
        while let Some(c) = self.take().filter(|c| *c != '`') {
            match (c, self.peek()) {
                ('\\', Some(next)) if matches!(next, '`' | '\\' | '$') => {
                    script.push(next);
                    self.at += 1;
                }
                (c, _) => script.push(c),
            }
        }
        half.word.get_or_insert_default().push_str("$()");
        if depth < DEPTH_MAX {
            self.done.extend(commands(&script));
        }
    }

    fn end_command(&mut self, half: &mut Half) {
        end_word(half);
        half.next = Next::Word;
        let marks = std::mem::take(&mut half.marks);
        half.awaited.extend(marks.into_iter().map(|(mark, is_indented)| (mark, is_indented, self.done.len())));
        let simple = std::mem::take(&mut half.simple);
        if !simple.words.is_empty() {
            self.done.push(simple);
        }
    }

    /// Reads the here-documents that begin on this line, each for its command.
    fn read_documents(&mut self, half: &mut Half) {
        for (mark, is_indented, of) in std::mem::take(&mut half.awaited) {
            let mut text = String::new();
            while self.at < self.chars.len() {
                let line: String = self.chars[self.at..].iter().take_while(|c| **c != '\n').collect();
                self.at = (self.at + line.chars().count() + 1).min(self.chars.len());
                let bare = if is_indented { line.trim_start_matches('\t') } else { &line };
                if bare == mark {
                    break;
                }
                text.push_str(bare);
                text.push('\n');
            }
            if let Some(simple) = self.done.get_mut(of) {
                simple.input.push(text);
            }
        }
    }
}

fn end_word(half: &mut Half) {
    let Some(word) = half.word.take() else { return };
    match std::mem::replace(&mut half.next, Next::Word) {
        Next::Word => half.simple.words.push(word),
        Next::File => {}
        Next::EndMark { is_indented } => half.marks.push((word, is_indented)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<String> {
        commands(line).into_iter().map(|simple| simple.words.join("|")).collect()
    }

    #[test]
    fn chains_groups_and_substitutions_are_taken_apart() {
        assert_eq!(read("a b && c || d; e | f & g\nh"), ["a|b", "c", "d", "e", "f", "g", "h"]);
        assert_eq!(read("(cd x && a) && b"), ["cd|x", "a", "b"]);
        assert_eq!(read("echo $(a $(b c) d) `e f`"), ["b|c", "a|$()|d", "e|f", "echo|$()|$()"]);
        assert_eq!(read("echo \"x $(a b)\" $((1 + 2))"), ["a|b", "echo|x $()|$()"]);
        assert_eq!(read("diff <(a b) c"), ["a|b", "diff|_|c"]);
    }

    #[test]
    fn quotes_keep_words_together_and_redirections_are_no_words() {
        assert_eq!(read(r#"git commit -m "a && b; 'c'" 'd | e' f\ g"#), ["git|commit|-m|a && b; 'c'|d | e|f g"]);
        assert_eq!(read("a 2>&1 >out <in b &>all c >>more"), ["a|b|c"]);
        assert_eq!(read("a # b && c\nd x#y"), ["a", "d|x#y"]);
        assert_eq!(read("a \\\n b ''"), ["a|b|"]);
    }

    #[test]
    fn a_here_document_is_input_and_no_command() {
        let found = commands("cat <<'END' >f && b\ngit stash\n\tx\nEND\nc <<-E <<< y\n\tz\n\tE\n");
        assert_eq!(found.iter().map(|simple| simple.words.join("|")).collect::<Vec<_>>(), ["cat", "b", "c"]);
        assert_eq!((found[0].input[0].as_str(), found[2].input[0].as_str()), ("git stash\n\tx\n", "z\n"));
        assert!(found[1].input.is_empty());
    }

    #[test]
    fn what_is_cut_off_or_endless_is_read_as_far_as_it_goes() {
        assert_eq!(read("a 'b"), ["a|b"]);
        assert_eq!(read("a $(b"), ["b", "a|$()"]);
        assert_eq!(read(&"(".repeat(100_000)), Vec::<String>::new());
        assert!(read(&"a;".repeat(100_000)).len() <= COMMANDS_MAX + 1);
        assert_eq!(read(&format!("{} b", "ä".repeat(BYTES_MAX))).len(), 1);
    }
}

//! Which characters a terminal, or whoever reads one, obeys instead of showing: foreign text is shown without them.

/// Whether `c` is a control character, turns the direction of writing, ends a line, or cannot be seen though programs read
/// it (the tag characters).
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}')
}

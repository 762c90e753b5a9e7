//! Secrets in texts: what looks like one, or is known as one, gives way to a mark before it is kept where others read.
//!
//! What a pattern can tell is told: tokens of well-known services, private keys, passwords in URLs, and values of names
//! that say what they are (`API_TOKEN=…`). It is a net, not a wall.

/// What stands in the place of a secret.
pub const MASK: &str = "[redacted]";

/// How tokens of well-known services begin, and how many characters they have at least.
const TOKENS: &[(&str, usize)] = &[
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("sk-", 24),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xapp-", 20),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 30),
    ("eyJhbGciOi", 40),
];

/// Words in names of what is secret.
const NAMES: &[&str] =
    &["secret", "token", "password", "passwd", "passphrase", "api_key", "apikey", "api-key", "private_key", "access_key"];

/// Fewer characters are no secret, but a word that happens to stand there.
const VALUE_CHARS_MIN: usize = 6;

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|word| name.contains(word))
}

/// The text with secrets masked: each of `known` wherever it stands, and what looks like one.
#[must_use]
pub fn mask(text: &str, known: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in known.iter().filter(|secret| secret.chars().count() >= VALUE_CHARS_MIN) {
        text = text.replace(secret.as_str(), MASK);
    }
    let text = mask_keys(&text);
    let mut masked = String::with_capacity(text.len());
    let mut is_bearer = false;
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let told = if is_bearer && word.len() >= VALUE_CHARS_MIN { MASK.to_owned() } else { mask_word(word) };
        is_bearer = matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic");
        masked.push_str(&told);
        masked.push_str(&part[word.len()..]);
    }
    masked
}

/// Masks the bodies of private keys in their usual wrapping.
fn mask_keys(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("-----BEGIN ") {
        let Some(head) = rest[begin..].find("PRIVATE KEY-----").map(|at| begin + at + "PRIVATE KEY-----".len()) else { break };
        // Another block may begin in between: then this one is no key.
        if rest[begin + 1..head].contains("-----BEGIN ") {
            masked.push_str(&rest[..=begin]);
            rest = &rest[begin + 1..];
            continue;
        }
        let end = rest[head..].find("-----END ").map_or(rest.len(), |at| head + at);
        masked.push_str(&rest[..head]);
        masked.push('\n');
        masked.push_str(MASK);
        masked.push('\n');
        rest = &rest[end..];
        // What ends it stays; else the same would be found again.
        let tail = rest.find('\n').unwrap_or(rest.len());
        masked.push_str(&rest[..tail]);
        rest = &rest[tail..];
    }
    masked + rest
}

fn mask_word(word: &str) -> String {
    if let Some(masked) = mask_url(word).or_else(|| mask_value(word)) {
        return masked;
    }
    let is_edge = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.');
    let mut masked = String::with_capacity(word.len());
    for piece in word.split_inclusive(is_edge) {
        let token = piece.trim_end_matches(is_edge);
        let is_token = TOKENS.iter().any(|(start, least)| token.starts_with(start) && token.len() >= *least);
        masked.push_str(if is_token { MASK } else { token });
        masked.push_str(&piece[token.len()..]);
    }
    masked
}

/// `scheme://user:password@host`.
fn mask_url(word: &str) -> Option<String> {
    let (before, after) = word.split_once("://")?;
    let authority = after.split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (name, _) = user.split_once(':')?;
    Some(format!("{before}://{name}:{MASK}{}", &after[user.len()..]))
}

/// `NAME=value` and `"name":"value"`, where the name says that the value is secret.
fn mask_value(word: &str) -> Option<String> {
    let at = word.find(['=', ':'])?;
    let (name, value) = (&word[..at], &word[at + 1..]);
    let bare = value.trim_matches(['"', '\'', ',', ';', '}']);
    if !is_secret_name(name) || bare.chars().count() < VALUE_CHARS_MIN || bare.starts_with('$') || bare == MASK {
        return None;
    }
    Some(word[..=at].to_owned() + &value.replace(bare, MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked_and_the_rest_stays() {
        let key = format!("ghp_{}", "a1B2".repeat(9));
        for (text, masked) in [
            (format!("push with {key}, then go"), "push with [redacted], then go".to_owned()),
            (format!("(\"{key}\")"), "(\"[redacted]\")".to_owned()),
            (
                "git clone https://ann:hunter2@example.org/x.git".into(),
                "git clone https://ann:[redacted]@example.org/x.git".into(),
            ),
            ("API_TOKEN=abcdef123 make".into(), "API_TOKEN=[redacted] make".into()),
            ("{\"password\":\"correct-horse\"}".into(), "{\"password\":\"[redacted]\"}".into()),
            ("Authorization: Bearer abc.def.ghi".into(), "Authorization: Bearer [redacted]".into()),
            ("the token was short; password: no".into(), "the token was short; password: no".into()),
            (
                "TOKEN=$CI_TOKEN sk-short https://example.org/a:b@c".into(),
                "TOKEN=$CI_TOKEN sk-short https://example.org/a:b@c".into(),
            ),
        ] {
            assert_eq!(mask(&text, &[]), masked);
            assert_eq!(mask(&masked, &[]), masked, "masking again changes nothing");
        }
    }

    #[test]
    fn private_keys_go_and_certificates_stay() {
        let text = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\nmore\n-----END OPENSSH PRIVATE KEY-----\nrest";
        let masked = mask(text, &[]);
        assert!(masked.contains("abc") && masked.contains("rest") && !masked.contains("secret"), "{masked}");
        assert!(!mask("-----BEGIN RSA PRIVATE KEY-----\nsecret", &[]).contains("secret"));
    }

    #[test]
    fn what_is_known_is_masked_wherever_it_stands() {
        assert_eq!(mask("xhunter22y", &["hunter22".into(), "x".into()]), "x[redacted]y");
    }

    #[test]
    fn any_text_is_taken() {
        for text in
            ["", "-----BEGIN ", "-----BEGIN -----BEGIN PRIVATE KEY-----", "://", "@://:@", "=", "ä=ö:ü token=ääääääää", "a\u{0}b"]
        {
            let masked = mask(text, &["ä".into()]);
            assert_eq!(mask(&masked, &[]), masked, "{text}");
        }
    }
}

//! The marks around foreign text: the same for the same text on the same machine, and nobody's to guess elsewhere.

use gix::objs::Kind;

use crate::name::Ids;
use crate::store::{self, batch::Batch};
use crate::town::Town;

/// Characters of a mark.
const MARK_CHARS: usize = 16;
/// What tells the secret from other random words of one process.
const SALT: u64 = 0x66_65_6e_63_65;

/// Makes the marks.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    secret: String,
}

impl Fence {
    /// With the secret of this machine, which is made when there is none. One that cannot be kept serves this once.
    #[must_use]
    pub fn of(town: &Town) -> Self {
        let path = town.hq.store.private_dir().join("fence");
        match std::fs::read_to_string(&path) {
            Ok(secret) if !secret.is_empty() => Self { secret },
            _ => {
                let secret = Ids::from_env(SALT).letters(32);
                // Without it the marks change from call to call, and hold all the same.
                let _ = store::write_file(&path, secret.as_bytes());
                Self { secret }
            }
        }
    }

    /// The mark around `text`. No text has its own: whoever wrote it did not know the secret.
    #[must_use]
    pub fn mark(&self, text: &str) -> String {
        let mut batch = Batch::default();
        let mut mark = batch.add(Kind::Blob, format!("{}\n{text}", self.secret).into_bytes()).to_string();
        mark.truncate(MARK_CHARS);
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_from_text_and_secret() {
        let (one, two) = (Fence { secret: "a".into() }, Fence { secret: "b".into() });
        assert_eq!(one.mark("x"), one.mark("x"));
        assert!(one.mark("x") != one.mark("y") && one.mark("x") != two.mark("x"));
        assert_eq!(one.mark("x").len(), MARK_CHARS);
    }
}

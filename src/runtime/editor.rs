//! A text in the hands of whoever sits at the terminal: their editor, on it, until it ends.

use std::ffi::OsStr;
use std::path::Path;

use crate::error::{Error, Kind, OrFail, Result};

/// Opens `file` with `editor`, a command line as `$EDITOR` has it, on the terminal of this command, and waits.
///
/// # Errors
/// External, when it cannot be started or ends with a failure.
#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
pub fn edit(editor: &OsStr, file: &Path, dir: &Path) -> Result<()> {
    let mut command = std::process::Command::new("/bin/sh");
    // As git does it: the words of the editor are the shell's, the file is one word of its own.
    let mut line = editor.to_owned();
    line.push(" \"$@\"");
    command.arg("-c").arg(line).arg("sh").arg(file).current_dir(dir);
    let status = command.status().or_fail(Kind::External, || format!("start the editor {}", editor.display()))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(Kind::External, format!("the editor {} ended with {status}", editor.display())).hint("nothing was changed"))
}

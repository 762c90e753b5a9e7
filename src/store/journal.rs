//! Whether a file system commits changes of names in the order in which they were made.
//!
//! Where it does, syncing the directory of a ref, which comes last, carries to the disk every rename that was
//! made before it anywhere on that file system: objects' directories then need no sync of their own.

use std::path::Path;

/// Whether the file system of `dir` has one journal, committed in order, for all its directories.
///
/// True for XFS and for ext3 and ext4 with a journal. Not for btrfs: its sync of a directory logs that directory
/// alone. Not for ext2, or ext4 without a journal, whose magic number is the same; so the kernel is asked whether
/// a journal runs. What cannot be told is `false`, which costs syncs and nothing else.
pub(crate) fn is_ordered(dir: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        const XFS: u64 = 0x5846_5342;
        const EXT: u64 = 0xEF53;
        let Ok(found) = rustix::fs::statfs(dir) else { return false };
        match u64::try_from(found.f_type) {
            Ok(XFS) => true,
            Ok(EXT) => runs_journal(dir),
            _ => false,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        false
    }
}

/// Asks sysfs by the number of the device: `journal_task` holds a process id, or `<none>`.
#[cfg(target_os = "linux")]
fn runs_journal(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(dir) else { return false };
    let number = format!("{}:{}", rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let Ok(device) = std::fs::read_link(format!("/sys/dev/block/{number}")) else { return false };
    let Some(name) = device.file_name().and_then(|name| name.to_str()) else { return false };
    let task = std::fs::read_to_string(format!("/sys/fs/ext4/{name}/journal_task")).unwrap_or_default();
    task.trim().parse::<u32>().is_ok()
}

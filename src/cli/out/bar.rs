//! Progress bars.

/// Columns of a bar.
const WIDTH: usize = 20;

/// How far `done` of `total` is, in twenty columns: the full part and the rest. Full only when all is done, and empty
/// only when nothing is.
pub(super) fn parts(done: usize, total: usize) -> (String, String) {
    let mut full = (done.min(total) * WIDTH).checked_div(total).unwrap_or(0);
    if done > 0 && total > 0 {
        full = full.max(1);
    }
    ("█".repeat(full), "░".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_end_and_empty_only_at_the_beginning() {
        let full = |done, total| parts(done, total).0.chars().count();
        assert_eq!([full(0, 0), full(0, 9), full(1, 999), full(998, 999), full(9, 9), full(10, 9)], [0, 0, 1, 19, 20, 20]);
    }
}

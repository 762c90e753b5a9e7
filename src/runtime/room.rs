//! What the machine has for work side by side.

/// Processor cores that may be used, and memory that is free, in MiB. Where the system does not tell, one core, and as much
/// memory as can be.
#[must_use]
pub fn of_machine() -> (usize, u64) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_kib(&text));
    (cores, memory.map_or(u64::MAX, |kib| kib / 1024))
}

fn available_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core_and_the_free_memory_is_read() {
        assert!(of_machine().0 >= 1);
        assert_eq!(available_kib("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2048));
        assert_eq!(available_kib("MemTotal: 9 kB\n"), None);
    }
}

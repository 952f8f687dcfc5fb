//! What the guest's kernel said, and what in it nobody wants to see.

/// Starts of messages that say the kernel found something wrong with itself.
const COMPLAINTS: [&str; 17] = [
    "BUG:",
    "kernel BUG at",
    "WARNING: CPU",
    "WARNING: possible",
    "WARNING: inconsistent",
    "WARNING: suspicious",
    "Oops:",
    "Oops ",
    "general protection fault",
    "Kernel panic",
    "INFO: task",
    "INFO: rcu",
    "rcu: INFO:",
    "soft lockup",
    "UBSAN:",
    "scheduling while atomic",
    "refcount_t:",
];

/// Lines of a kernel's log that complain.
pub fn complaints(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)) || is_warning_at(line))
        // What the kernel is told at its start may have such words in it.
        .filter(|line| !line.contains("Command line:"))
        .map(str::to_owned)
        .collect()
}

/// A warning as Linux writes it since 6.19: the place goes before the CPU.
fn is_warning_at(line: &str) -> bool {
    line.split_once("WARNING: ")
        .is_some_and(|(_, rest)| rest.contains("at ") && rest.contains(", CPU#"))
}

/// Whether the kernel stopped or lost a thread, rather than just warned.
pub fn is_fatal(line: &str) -> bool {
    [
        "BUG:",
        "kernel BUG at",
        "Oops",
        "general protection fault",
        "Kernel panic",
    ]
    .iter()
    .any(|word| line.contains(word))
}

/// Whether the line of an oops shows processor flags with a bit above 21 set: those are reserved and always 0 in hardware
/// (Intel SDM volume 1 §3.4.3), whatever software does. Seen with QEMU 7.2: an interrupted `rep stos` leaves its address there.
pub fn has_impossible_flags(line: &str) -> bool {
    line.split_once("EFLAGS: ").is_some_and(|(_, flags)| {
        let digits = flags.split_whitespace().next().unwrap_or_default();
        u32::from_str_radix(digits, 16).is_ok_and(|flags| flags >> 22 != 0)
    })
}

/// The last `count` lines.
pub fn tail(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_and_harmless_lines_are_not() {
        let log = "[    0.1] Command line: oops=panic BUG:\n[    1.0] nvme nvme0: 3/0/0 default/read/poll queues\n\
                   [    2.0] WARNING: CPU: 1 PID: 7 at lib/x.c:1 f+0x1/0x2\n[    3.0] BUG: kernel NULL pointer dereference\n";
        let found = complaints(log);
        assert_eq!(found.len(), 2);
        assert!(!is_fatal(&found[0]) && is_fatal(&found[1]));
    }

    #[test]
    fn newer_kernels_warn_in_other_words() {
        let log = "[    2.0] WARNING: kernel/irq/msi.c:77 at msi_domain_alloc+0x1/0x2, CPU#1: insmod/7\n\
                   [    2.1] WARNING: at vector_fire+0x1/0x2 [nvmev], CPU#0: swapper/0/0\n\
                   [    2.2] nvme: WARNING: firmware from 2012 looks old\n";
        assert_eq!(complaints(log).len(), 2);
    }

    #[test]
    fn only_reserved_bits_make_flags_impossible() {
        assert!(has_impossible_flags(
            "RSP: 0018:ffffcff6c040faf0 EFLAGS: ec62d302"
        ));
        assert!(!has_impossible_flags(
            "RSP: 0018:ffffcff6c040faf0 EFLAGS: 00210246"
        ));
        assert!(!has_impossible_flags("EFLAGS: "));
    }

    #[test]
    fn the_tail_of_a_short_log_is_all_of_it() {
        assert_eq!(tail("a\nb", 5), "a\nb");
        assert_eq!(tail("a\nb\nc", 1), "c");
    }
}

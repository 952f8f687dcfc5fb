//! Creating and deleting I/O queues, and aborting commands (NVMe Base 2.0 §5.1, §5.4 to §5.7): command dwords.

use crate::dword::dword;

dword! {
    /// Dword 10 of Create and Delete I/O Completion and Submission Queue (NVMe Base 2.0 §5.4 to §5.7).
    Cdw10Queue {
        /// QID: Queue Identifier.
        qid, with_qid: u16 = 15:0,
        /// QSIZE: entries, 0's based; reserved when a queue is deleted.
        entries_z, with_entries_z: u16 = 31:16,
    }
}

dword! {
    /// Dword 11 of Create I/O Completion Queue (NVMe Base 2.0 §5.4).
    Cdw11CreateIoCompletionQueue {
        /// PC: Physically Contiguous.
        is_contiguous, with_is_contiguous: bool = 0:0,
        /// IEN: Interrupts Enabled.
        interrupts_enabled, with_interrupts_enabled: bool = 1:1,
        /// IV: Interrupt Vector.
        vector, with_vector: u16 = 31:16,
    }
}

dword! {
    /// Dword 11 of Create I/O Submission Queue (NVMe Base 2.0 §5.5).
    Cdw11CreateIoSubmissionQueue {
        /// PC: Physically Contiguous.
        is_contiguous, with_is_contiguous: bool = 0:0,
        /// CQID: Completion Queue Identifier.
        cqid, with_cqid: u16 = 31:16,
    }
}

dword! {
    /// Dword 10 of Abort (NVMe Base 2.0 §5.1).
    Cdw10Abort {
        /// SQID: the submission queue of the command to abort.
        sqid, with_sqid: u16 = 15:0,
        /// CID: the identifier of the command to abort.
        cid, with_cid: u16 = 31:16,
    }
}

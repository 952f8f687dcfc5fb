//! Seeds of the target `traces`.

/// Traces in all formats, with each kind of line.
pub(super) fn of_traces() -> Vec<(&'static str, &'static str)> {
    vec![
        ("iolog_1", "0, 4096, 512\n1, 8192, 4096\n"),
        (
            "iolog_2",
            "fio version 2 iolog\n/x add\n/x open\n/x write 0 4096\n/y read 512 300000\n/x wait 100 0\n/x sync 0 0\n/x datasync\n\
             /x trim 0 1048576\n/x write 0 0\n/x close\n",
        ),
        (
            "iolog_3",
            "fio version 3 iolog\n1 /x add\n9 /x write 4096 4096\n7 /x read 0 512\n8 /x trim 0 4096\n9 /x sync_file_range 0 0\n9 /x wait 5 0\n",
        ),
        (
            "msr",
            "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime\n128166372003061629,hm,0,Read,7014609920,24576,41286\n\
             128166372003061529,hm,1,Write,8192,4096,26\n",
        ),
        (
            "blkparse",
            "Input file sda.blktrace.0 added\n  8,0    1        1     0.000000000   700  D  WS 4096 + 8 [writer]\n  8,0    1        2     0.001000000    71  D  FN \
             [kworker/1:1H]\n  8,16   1        2     0.331614356   184  D   R 36 (12 00 00 00 24 00 ..) [a b]\n  8,0    0        3     0.000000500   700  \
             D FWFS 64 + 8 [x]\n  8,0    0        4     0.5   700  Q  DS 64 + 8192 [x]\n  8,0    0        5     0.6   700  D  DS 64 + 8192 [x]\nCPU0 (sda):\n \
             Reads Queued:           0,        0KiB\n",
        ),
    ]
}

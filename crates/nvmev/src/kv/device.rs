//! A namespace that commands can be sent to: the kernel's passthrough.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nvme_spec::{Status, SubmissionQueueEntry};

use ioctl::{AdminCommand, IoCommand, NamespaceId};

/// What goes with a command.
pub enum Data<'a> {
    None,
    ToDevice(&'a [u8]),
    FromDevice(&'a mut [u8]),
}

/// Something that takes NVMe commands for one namespace.
pub trait Namespace: Sync {
    /// Sends an I/O command; the namespace's identifier and the data pointer are filled in. The result is the completion's status and dwords 0 and 1.
    ///
    /// # Errors
    /// If it could not be sent at all.
    fn io(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)>;

    /// Sends an admin command in the same way.
    ///
    /// # Errors
    /// As [`Namespace::io`].
    fn admin(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)>;
}

/// A namespace of the running kernel.
pub struct KernelNamespace {
    file: File,
    nsid: u32,
}

impl KernelNamespace {
    /// Opens a device file of a namespace.
    ///
    /// # Errors
    /// What is wrong, and what could help.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        // Some kernels ask for write access to send commands.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => format!("{name}: {error}: commands are for root"),
                io::ErrorKind::NotFound => {
                    format!("{name}: {error}: a key-value namespace is /dev/ngXnY, see `ls /dev/ng*`")
                }
                _ => format!("{name}: {error}"),
            })?;
        let nsid = NamespaceId::of(&file).map_err(|error| {
            format!("{name} is no NVMe namespace ({error}): give /dev/ngXnY, not the controller")
        })?;
        Ok(Self { file, nsid })
    }
}

impl Namespace for KernelNamespace {
    fn io(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)> {
        IoCommand::send(&self.file, self.nsid, entry, data)
    }

    fn admin(&self, entry: &SubmissionQueueEntry, data: Data<'_>) -> io::Result<(Status, u64)> {
        AdminCommand::send(&self.file, self.nsid, entry, data)
    }
}

/// The ioctls of linux/nvme_ioctl.h. All of this command's unsafe code is here.
#[expect(unsafe_code, reason = "an ioctl hands a structure to the kernel")]
mod ioctl {
    use std::fs::File;
    use std::io;

    use nvme_spec::{Status, SubmissionQueueEntry};
    use rustix::ioctl::{ioctl, opcode, Ioctl, IoctlOutput, Opcode};

    use super::Data;

    const GROUP: u8 = b'N';

    /// `struct nvme_passthru_cmd64`.
    #[repr(C)]
    #[derive(Default)]
    struct Passthrough {
        opcode: u8,
        flags: u8,
        reserved2: u16,
        nsid: u32,
        cdw2: u32,
        cdw3: u32,
        metadata: u64,
        addr: u64,
        metadata_len: u32,
        data_len: u32,
        cdw10_to_15: [u32; 6],
        timeout_ms: u32,
        reserved76: u32,
        result: u64,
    }

    const _: () = assert!(size_of::<Passthrough>() == 80);

    /// NVME_IOCTL_IO64_CMD.
    pub type IoCommand = Command<0x48>;
    /// NVME_IOCTL_ADMIN64_CMD.
    pub type AdminCommand = Command<0x47>;

    /// A passthrough command under the number `NUMBER`.
    pub struct Command<const NUMBER: u8>(Passthrough);

    impl<const NUMBER: u8> Command<NUMBER> {
        /// Sends `entry` to `nsid`.
        pub fn send(
            file: &File,
            nsid: u32,
            entry: &SubmissionQueueEntry,
            data: Data<'_>,
        ) -> io::Result<(Status, u64)> {
            // The kernel takes the direction of the data from the opcode.
            let is_to_device = entry.opcode & 1 != 0;
            let (addr, len) = match data {
                Data::None => (0, 0),
                Data::ToDevice(bytes) if is_to_device => (bytes.as_ptr().expose_provenance(), bytes.len()),
                Data::FromDevice(bytes) if !is_to_device => {
                    (bytes.as_mut_ptr().expose_provenance(), bytes.len())
                }
                Data::ToDevice(_) | Data::FromDevice(_) => return Err(io::ErrorKind::InvalidInput.into()),
            };
            let command = Self(Passthrough {
                opcode: entry.opcode,
                nsid,
                cdw2: entry.cdw2.get(),
                cdw3: entry.cdw3.get(),
                addr: addr as u64,
                data_len: u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?,
                cdw10_to_15: [
                    entry.cdw10,
                    entry.cdw11,
                    entry.cdw12,
                    entry.cdw13,
                    entry.cdw14,
                    entry.cdw15,
                ]
                .map(|dword| dword.get()),
                ..Default::default()
            });
            // SAFETY: the kernel reads, or writes if the borrow is a mutable one, `len` bytes at `addr`; `data` lives until this function ends.
            Ok(unsafe { ioctl(file, command) }?)
        }
    }

    // SAFETY: the opcode is that of an ioctl that reads and writes a `Passthrough`.
    unsafe impl<const NUMBER: u8> Ioctl for Command<NUMBER> {
        type Output = (Status, u64);
        const IS_MUTATING: bool = true;

        fn opcode(&self) -> Opcode {
            opcode::read_write::<Passthrough>(GROUP, NUMBER)
        }

        fn as_ptr(&mut self) -> *mut rustix::ffi::c_void {
            (&raw mut self.0).cast()
        }

        unsafe fn output_from_ptr(
            output: IoctlOutput,
            pointer: *mut rustix::ffi::c_void,
        ) -> rustix::io::Result<Self::Output> {
            // SAFETY: the pointer is that of `as_ptr`.
            let command = unsafe { &*pointer.cast::<Passthrough>() };
            // A positive result is the completion's status, with the Do Not Retry bit.
            Ok((Status((output & 0x7FF) as u16), command.result))
        }
    }

    /// NVME_IOCTL_ID: the namespace's identifier.
    pub struct NamespaceId;

    impl NamespaceId {
        /// That of an open device file.
        pub fn of(file: &File) -> io::Result<u32> {
            // SAFETY: it has no argument.
            Ok(unsafe { ioctl(file, Self) }?)
        }
    }

    // SAFETY: the opcode is that of an ioctl without an argument.
    unsafe impl Ioctl for NamespaceId {
        type Output = u32;
        const IS_MUTATING: bool = false;

        fn opcode(&self) -> Opcode {
            opcode::none(GROUP, 0x40)
        }

        fn as_ptr(&mut self) -> *mut rustix::ffi::c_void {
            std::ptr::null_mut()
        }

        unsafe fn output_from_ptr(
            output: IoctlOutput,
            _: *mut rustix::ffi::c_void,
        ) -> rustix::io::Result<Self::Output> {
            Ok(output as u32)
        }
    }
}

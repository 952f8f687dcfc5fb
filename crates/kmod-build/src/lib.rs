//! Builds `nvmev.ko` for a kernel whose headers are at hand.
//!
//! xtask uses it as a library; DKMS runs the command `kmod-build` (see kmod/dkms-build), which has
//! few dependencies because DKMS compiles it before each module.
//!
//! What is not here: finding or fetching kernels, installing what is missing, VMs. Those are xtask's.

pub mod module;
pub mod paths;
pub mod process;
pub mod tools;

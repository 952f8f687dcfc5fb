//! What `kmod/dkms.conf` says has to agree with the rest of the project.

use std::fs;

use kmod_build::paths;

/// The value of a setting, without its quotes.
fn setting(name: &str) -> String {
    let text = fs::read_to_string(paths::root().join("kmod/dkms.conf")).unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.expect(name).trim_matches('"').to_owned()
}

#[test]
fn the_package_has_the_version_of_the_module() {
    assert_eq!(setting("PACKAGE_VERSION"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn dkms_looks_for_the_module_where_the_build_puts_it() {
    let make = setting("MAKE[0]");
    let file = make.split_whitespace().last().unwrap();
    let location = setting("BUILT_MODULE_LOCATION[0]");
    let name = setting("BUILT_MODULE_NAME[0]");
    assert_eq!(file, format!("{location}/{name}.ko"));
    // Not the running kernel's headers: those of the kernel that DKMS was asked to build for.
    assert!(make.contains("'${kernel_source_dir}'"), "{make}");
}

/// DKMS 3 warns about these.
#[test]
fn no_directive_is_deprecated() {
    let text = fs::read_to_string(paths::root().join("kmod/dkms.conf")).unwrap();
    for name in ["CLEAN", "REMAKE_INITRD", "MODULES_CONF", "STRIP_DEBUG"] {
        assert!(!text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

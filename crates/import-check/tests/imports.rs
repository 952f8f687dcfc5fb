//! Imports as planted in small crates.

use import_check::{Graph, Layers, Sources};

fn sources(modules: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::default();
    for (path, text) in modules {
        sources.add(path, text).unwrap();
    }
    sources
}

fn cycles(modules: &[(&str, &str)]) -> Vec<String> {
    let graph = Graph::new(&sources(modules));
    graph.cycles().iter().map(ToString::to_string).collect()
}

#[test]
fn a_planted_cycle_is_found_with_the_names_that_tie_it() {
    let found = cycles(&[
        ("", "mod a; mod b; mod c;"),
        ("a", "use crate::b::B; pub struct A(B);"),
        ("b", "pub struct B; fn f() -> crate::c::C { todo!() }"),
        ("c", "pub struct C; fn g(_: super::a::A) {}"),
    ]);
    assert_eq!(
        found,
        ["3 modules import each other, by this way among others:\n  a.rs -> b.rs: B\n  b.rs -> c.rs: C\n  c.rs -> a.rs: A\n"]
    );
}

#[test]
fn the_shortest_way_is_printed_and_each_circle_once() {
    let found = cycles(&[
        ("", "mod a; mod b; mod c; mod d; mod e;"),
        ("a", "use crate::{b::B, c::C}; pub struct A;"),
        ("b", "use crate::c::C; pub struct B;"),
        ("c", "use crate::a::A; pub struct C;"),
        ("d", "use crate::e::E; pub struct D;"),
        ("e", "use crate::d::D; pub struct E;"),
    ]);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("3 modules") && found[0].contains("a.rs -> c.rs: C\n  c.rs -> a.rs: A\n"));
    assert!(found[1].starts_with("2 modules"));
}

#[test]
fn a_re_export_neither_hides_nor_invents_a_cycle() {
    // The item is defined in the child, so taking it through the parent is no import of the parent.
    let parent = "mod child; mod other; pub use child::Child; pub use crate::parent::other::*;";
    let invented = cycles(&[
        ("", "mod parent;"),
        ("parent", parent),
        ("parent/child", "use super::Other; pub struct Child;"),
        ("parent/other", "pub struct Other;"),
    ]);
    assert_eq!(invented, [] as [&str; 0]);
    let hidden = cycles(&[
        ("", "mod parent; pub use parent::child::Child as Renamed;"),
        ("parent", "pub mod child; mod other; pub use other::Other;"),
        ("parent/child", "use super::Other; pub struct Child;"),
        ("parent/other", "use crate::Renamed; pub struct Other;"),
    ]);
    assert_eq!(hidden.len(), 1, "{hidden:?}");
}

#[test]
fn nested_use_trees_selfs_and_supers_are_followed() {
    let found = cycles(&[
        ("", "mod top { } mod a; mod b;"),
        (
            "a",
            "use super::{b::{self, deep::{Deep as D}}}; fn f() { b::g(); } pub struct A;",
        ),
        ("b", "pub mod deep; pub fn g() {}"),
        ("b/deep", "use super::super::a::A; pub struct Deep;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2 modules"));
}

#[test]
fn code_for_tests_and_declarations_do_not_count() {
    let found = cycles(&[
        ("", "mod a;"),
        (
            "a",
            "mod b; pub struct A; #[cfg(test)] mod tests { use crate::a::b::B; }",
        ),
        (
            "a/b",
            "use crate::a::A; pub struct B; #[cfg(all(test, not(loom)))] fn t() { crate::a::A; }",
        ),
    ]);
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn what_is_not_for_tests_counts() {
    let found = cycles(&[
        ("", "mod a; mod b;"),
        ("a", "#[cfg(not(test))] use crate::b::B; pub struct A;"),
        (
            "b",
            "#[cfg(feature = \"test-faults\")] use crate::a::A; pub struct B;",
        ),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn what_a_macro_defines_and_what_comes_from_another_crate_is_not_the_roots() {
    let found = cycles(&[
        (
            "",
            "mod a; mod b; pub use a::*; pub use b::*; use other::tools; fn f() { a::A; }",
        ),
        ("a", "make! { /// A name.\n A: u8 { X = 1 } }"),
        ("b", "use crate::{tools, A}; fn f() { tools::g() } pub struct B;"),
    ]);
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn an_inline_modules_super_is_its_file() {
    let inline = "pub struct B; mod inside { use super::B; mod deep { use super::super::super::A; } }";
    let modules = [("", "mod a;"), ("a", "mod b; pub struct A;"), ("a/b", inline)];
    assert_eq!(cycles(&modules), [] as [&str; 0], "a does not import b");
    let both = [
        ("", "mod a;"),
        ("a", "mod b; pub struct A(b::B);"),
        ("a/b", inline),
    ];
    assert_eq!(cycles(&both).len(), 1);
}

const DOCUMENT: &str =
    "# Map\n\n### Layers of small\n\nText.\n\n```layers\nlow lower   what is below\nhigh/part\nhigh\n```\n";

#[test]
fn an_import_upwards_and_one_within_a_line_are_violations() {
    let layers = Layers::find(DOCUMENT, "small").unwrap().unwrap();
    let graph = Graph::new(&sources(&[
        ("", "mod low; mod lower; mod high; mod stray; use high::High;"),
        ("low", "use crate::lower::Lower; pub struct Low;"),
        ("lower", "use crate::high::part::Part; pub struct Lower;"),
        (
            "high",
            "pub mod part; use part::Part; use crate::low::Low; pub struct High;",
        ),
        ("high/part", "use crate::low::Low; pub struct Part;"),
        ("stray", ""),
    ]));
    assert_eq!(
        layers.violations(&graph),
        [
            "stray.rs is in no layer",
            "low.rs imports Lower from lower.rs, which is not above it",
            "lower.rs imports Part from high/part.rs, which is not above it",
        ]
    );
}

#[test]
fn a_map_that_cannot_be_read_is_an_error_and_a_crate_without_one_is_none() {
    assert!(Layers::find(DOCUMENT, "other").unwrap().is_none());
    assert!(Layers::find("### Layers of small\n\nNothing.\n## Next\n", "small").is_err());
    let twice = "### Layers of small\n```layers\na\nb a\n```\n";
    assert_eq!(
        Layers::find(twice, "small").unwrap_err().to_string(),
        "\"### Layers of small\" has a twice"
    );
}

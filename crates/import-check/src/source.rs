//! Reading the modules of a crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, File, Item, ItemUse, UseTree};

/// The path of a module from the crate's root, which is the empty one.
pub(crate) type ModulePath = Vec<String>;

/// A path in a module's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The segments as they are written; the last is `*` for a glob.
    pub segments: Vec<String>,
    /// The name by which a `use` makes it known; nothing for a path inside of an item.
    pub alias: Option<String>,
}

/// A module that has a file of its own.
#[derive(Debug, Default)]
pub struct Module {
    /// Its file, from the crate's folder on.
    pub file: PathBuf,
    /// Lines of the file.
    pub lines: usize,
    pub(crate) items: Vec<String>,
    pub(crate) paths: Vec<Named>,
    figures: Figures,
}

/// Numbers about sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Lines of the longest function, and its name.
    pub longest_function: (usize, String),
    /// `impl` blocks by the name of their type, without those of a trait.
    pub impl_blocks: BTreeMap<String, usize>,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        if other.longest_function.0 > self.longest_function.0 {
            self.longest_function.clone_from(&other.longest_function);
        }
        for (name, count) in &other.impl_blocks {
            *self.impl_blocks.entry(name.clone()).or_default() += count;
        }
    }
}

/// The modules of a crate.
#[derive(Debug, Default)]
pub struct Sources {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl Sources {
    /// Reads the crate whose root module is `root`, and all that it declares.
    ///
    /// # Errors
    /// A file that cannot be read or is no Rust, or a module without a file.
    pub fn read(root: &Path) -> Result<Self> {
        let mut sources = Self::default();
        let folder = root.parent().unwrap_or(Path::new("."));
        sources.read_module(Vec::new(), root, folder, folder)?;
        Ok(sources)
    }

    /// Adds a module that is in no file.
    ///
    /// # Errors
    /// If it is no Rust.
    pub fn add(&mut self, path: &str, text: &str) -> Result<()> {
        let path: ModulePath = path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(Into::into)
            .collect();
        let file = PathBuf::from(format!("{}.rs", path.join("/")));
        self.parse(path, &file, text)?;
        Ok(())
    }

    /// The modules, by the path of their files.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.values()
    }

    /// Numbers about all of them.
    pub fn figures(&self) -> Figures {
        let mut all = Figures::default();
        for module in self.modules.values() {
            all.add(&module.figures);
        }
        all
    }

    fn read_module(&mut self, path: ModulePath, file: &Path, children: &Path, base: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.strip_prefix(base).unwrap_or(file);
        for child in self.parse(path.clone(), name, &text)? {
            let beside = children.join(format!("{child}.rs"));
            let inside = children.join(&child).join("mod.rs");
            let file = match (beside.exists(), inside.exists()) {
                (true, _) => beside,
                (_, true) => inside,
                _ => bail!("{} declares `mod {child};`, which has no file", file.display()),
            };
            let mut child_path = path.clone();
            child_path.push(child.clone());
            self.read_module(child_path, &file, &children.join(&child), base)?;
        }
        Ok(())
    }

    /// Takes a module in; the result is the names of the modules that it declares.
    fn parse(&mut self, path: ModulePath, file: &Path, text: &str) -> Result<Vec<String>> {
        let parsed: File =
            syn::parse_file(text).with_context(|| format!("{} cannot be parsed", file.display()))?;
        let mut collector = Collector::default();
        collector.visit_file(&parsed);
        let module = Module {
            file: file.to_owned(),
            lines: text.lines().count(),
            items: collector.items,
            paths: collector.paths,
            figures: collector.figures,
        };
        self.modules.insert(path, module);
        Ok(collector.children)
    }
}

/// Whether an item is compiled for tests only.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let mut names = list.tokens.clone().into_iter();
                mentions_test(&mut names)
            })
    })
}

/// Whether a condition has `test` in it, but not behind `not`.
fn mentions_test(tokens: &mut dyn Iterator<Item = proc_macro2::TokenTree>) -> bool {
    let mut is_negated = false;
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(name) if name == "test" => return true,
            proc_macro2::TokenTree::Ident(name) => is_negated = name == "not",
            proc_macro2::TokenTree::Group(group)
                if !is_negated && mentions_test(&mut group.stream().into_iter()) =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// What a visit of a file finds.
#[derive(Default)]
struct Collector {
    children: Vec<String>,
    items: Vec<String>,
    paths: Vec<Named>,
    figures: Figures,
    /// Inline modules around: their items are the file's.
    depth: usize,
}

impl Collector {
    fn add_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before);
                }
            }
            UseTree::Name(name) => self.add_use(before, &name.ident.to_string(), None),
            UseTree::Rename(rename) => {
                let alias = rename.rename.to_string();
                self.add_use(before, &rename.ident.to_string(), Some(alias));
            }
            UseTree::Glob(_) => self.add_use(before, "*", None),
        }
    }

    fn add_use(&mut self, before: &[String], name: &str, alias: Option<String>) {
        let mut segments = before.to_vec();
        if name != "self" {
            segments.push(name.to_owned());
        }
        let alias = alias.or_else(|| segments.last().cloned());
        let segments = self.outside(segments);
        self.paths.push(Named { segments, alias });
    }

    /// A path as it would be written outside of the inline modules around it.
    fn outside(&self, segments: Vec<String>) -> Vec<String> {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        if supers == 0 || self.depth == 0 {
            return segments;
        }
        let inside = supers.min(self.depth);
        let mut rest = segments.split_at(inside).1.to_vec();
        if supers <= self.depth {
            rest.insert(0, "self".to_owned());
        }
        rest
    }

    fn note_function(&mut self, name: &str, span: Span, block: &Block) {
        let lines = block.span().end().line - span.start().line + 1;
        if lines > self.figures.longest_function.0 {
            self.figures.longest_function = (lines, name.to_owned());
        }
    }
}

/// The attributes and the name of an item, as far as it has them.
fn described(item: &Item) -> (&[Attribute], Option<String>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Enum(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::ExternCrate(item) => (&item.attrs, None),
        Item::Fn(item) => (&item.attrs, Some(item.sig.ident.to_string())),
        Item::ForeignMod(item) => (&item.attrs, None),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref().map(ToString::to_string)),
        Item::Mod(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Static(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Struct(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Trait(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Type(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Union(item) => (&item.attrs, Some(item.ident.to_string())),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = described(item);
        if is_for_tests(attributes) {
            return;
        }
        if self.depth == 0 {
            self.items.extend(name);
        }
        match item {
            Item::Mod(module) => match &module.content {
                None => self.children.push(module.ident.to_string()),
                Some((_, items)) => {
                    self.depth += 1;
                    items.iter().for_each(|item| self.visit_item(item));
                    self.depth -= 1;
                }
            },
            // What a macro defines is named outside of its groups: all names there may be items.
            Item::Macro(invoked) if self.depth == 0 => {
                let tokens = invoked.mac.tokens.clone().into_iter();
                self.items.extend(tokens.filter_map(|token| match token {
                    proc_macro2::TokenTree::Ident(name) => Some(name.to_string()),
                    _ => None,
                }));
            }
            Item::Fn(function) => {
                self.note_function(
                    &function.sig.ident.to_string(),
                    function.sig.span(),
                    &function.block,
                );
                visit::visit_item(self, item);
            }
            Item::Impl(block) => {
                if let (None, syn::Type::Path(of)) = (&block.trait_, &*block.self_ty) {
                    if let Some(last) = of.path.segments.last() {
                        *self
                            .figures
                            .impl_blocks
                            .entry(last.ident.to_string())
                            .or_default() += 1;
                    }
                }
                visit::visit_item(self, item);
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &mut Vec::new());
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_for_tests(&function.attrs) {
            return;
        }
        self.note_function(
            &function.sig.ident.to_string(),
            function.sig.span(),
            &function.block,
        );
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            let segments = self.outside(segments.collect());
            self.paths.push(Named {
                segments,
                alias: None,
            });
        }
        visit::visit_path(self, path);
    }
}

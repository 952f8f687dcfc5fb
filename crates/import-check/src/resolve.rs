//! From a path in a module to the module that defines what it names.

use crate::source::{ModulePath, Named, Sources};

/// Re-exports that a path may go through: more are a circle of re-exports.
const EXPORTS_MAX: usize = 16;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub module: ModulePath,
    /// The item, `*` for all of them, or nothing if the path names the module itself.
    pub item: Option<String>,
}

impl Sources {
    /// What `named` in module `from` leads to; nothing if that is not in this crate.
    pub(crate) fn resolve(&self, from: &ModulePath, named: &Named) -> Option<Target> {
        let absolute = self.absolute(from, &named.segments)?;
        self.follow(absolute, 0)
    }

    /// The path from the crate's root on; nothing if it leads to another crate.
    fn absolute(&self, from: &ModulePath, segments: &[String]) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        let mut path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            name => return self.absolute_of_name(from, name, rest),
        };
        let mut rest = rest;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "super" => drop(path.pop()?),
                "self" => {}
                _ => break,
            }
            rest = after;
        }
        path.extend_from_slice(rest);
        Some(path)
    }

    /// A path that begins with a name: a child of the module, or something that a `use` has made known.
    fn absolute_of_name(&self, from: &ModulePath, name: &str, rest: &[String]) -> Option<ModulePath> {
        let mut child = from.clone();
        child.push(name.to_owned());
        if self.modules.contains_key(&child) {
            child.extend_from_slice(rest);
            return Some(child);
        }
        // Only a module that is known by its name has items: the first segment is not looked for again.
        let known = self.modules.get(from)?.paths.iter().find(|known| {
            known.alias.as_deref() == Some(name) && known.segments.first().map(String::as_str) != Some(name)
        })?;
        let mut path = self.absolute(from, &known.segments)?;
        path.extend_from_slice(rest);
        Some(path)
    }

    /// Follows re-exports.
    fn follow(&self, path: ModulePath, exports: usize) -> Option<Target> {
        let depth = (0..=path.len()).rev().find(|&depth| {
            path.get(..depth)
                .is_some_and(|prefix| self.modules.contains_key(prefix))
        })?;
        let (module, rest) = path.split_at(depth);
        let module = module.to_vec();
        let Some(item) = rest.first() else {
            return Some(Target { module, item: None });
        };
        let source = self.modules.get(&module)?;
        let is_defined = source.items.contains(item);
        if !is_defined && item != "*" && exports < EXPORTS_MAX {
            // What is not exported is visible in the modules below.
            let used = source.paths.iter().filter(|named| named.alias.is_some());
            for named in used {
                let is_glob = named.segments.last().is_some_and(|last| last == "*");
                let mut path = if named.alias.as_deref() == Some(item) {
                    self.absolute(&module, &named.segments)?
                } else if is_glob {
                    let Some(mut path) = self.absolute(&module, &named.segments) else {
                        continue;
                    };
                    path.pop();
                    path.push(item.clone());
                    path
                } else {
                    continue;
                };
                path.extend(rest.iter().skip(1).cloned());
                match self.follow(path, exports + 1) {
                    Some(target) if !is_glob || self.defines(&target) => return Some(target),
                    _ => {}
                }
            }
        }
        Some(Target {
            module,
            item: Some(item.clone()),
        })
    }

    fn defines(&self, target: &Target) -> bool {
        let item = target.item.as_ref();
        item.is_none_or(|item| {
            self.modules
                .get(&target.module)
                .is_some_and(|module| module.items.contains(item))
        })
    }
}

//! The layers of a crate: each imports only what stands above it in a list.

use anyhow::{bail, ensure, Context, Result};

use crate::graph::Graph;
use crate::source::ModulePath;

/// Layers, the lowest first. A line of the list can name several; those do not import each other either.
#[derive(Debug)]
pub struct Layers {
    /// The line, and the module with all below it that no other entry names.
    entries: Vec<(usize, ModulePath)>,
}

impl Layers {
    /// Finds the list below the heading `### Layers of NAME` in `document`: a block that begins with ` ```layers `, with a line for
    /// each layer. Names end at the first two blanks; the rest of a line explains them. Nothing if there is no such heading.
    ///
    /// # Errors
    /// A heading without a list, or an entry that is there twice.
    pub fn find(document: &str, name: &str) -> Result<Option<Self>> {
        let heading = format!("### Layers of {name}");
        let mut lines = document.lines().skip_while(|line| line.trim() != heading);
        if lines.next().is_none() {
            return Ok(None);
        }
        let mut block = lines
            .take_while(|line| !line.starts_with('#'))
            .skip_while(|line| line.trim() != "```layers");
        block
            .next()
            .with_context(|| format!("{heading:?} has no block of layers below it"))?;
        let mut entries: Vec<(usize, ModulePath)> = Vec::new();
        for (number, line) in block.take_while(|line| line.trim() != "```").enumerate() {
            let names = line.split("  ").next().unwrap_or_default();
            for name in names.split_whitespace() {
                let path: ModulePath = name.split('/').map(Into::into).collect();
                ensure!(
                    !entries.iter().any(|(_, known)| *known == path),
                    "{heading:?} has {name} twice"
                );
                entries.push((number, path));
            }
        }
        if entries.is_empty() {
            bail!("{heading:?} has no layers");
        }
        Ok(Some(Self { entries }))
    }

    /// The entry of a module: the longest one that it begins with.
    fn entry(&self, module: &ModulePath) -> Option<usize> {
        let entries = self.entries.iter().enumerate();
        let own = entries.filter(|(_, (_, entry))| module.starts_with(entry));
        own.max_by_key(|(_, (_, entry))| entry.len())
            .map(|(index, _)| index)
    }

    /// What goes against the layers, a line for each. The crate's root, which puts everything together, is no layer.
    pub fn violations(&self, graph: &Graph) -> Vec<String> {
        let mut found = Vec::new();
        for (module, file) in graph.files.iter().filter(|(module, _)| !module.is_empty()) {
            if self.entry(module).is_none() {
                found.push(format!("{file} is in no layer"));
            }
        }
        for (from, targets) in &graph.edges {
            for (to, names) in targets {
                let (Some(from_entry), Some(to_entry)) = (self.entry(from), self.entry(to)) else {
                    continue;
                };
                let (from_line, to_line) = (self.entries[from_entry].0, self.entries[to_entry].0);
                if from_entry != to_entry && to_line >= from_line {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    found.push(format!(
                        "{} imports {} from {}, which is not above it",
                        graph.files[from],
                        names.join(", "),
                        graph.files[to]
                    ));
                }
            }
        }
        found
    }
}

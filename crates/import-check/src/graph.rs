//! Imports as a graph, and its cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::source::{ModulePath, Sources};

/// Which modules import which, with the names that they take.
#[derive(Debug)]
pub struct Graph {
    /// The files, by module.
    pub(crate) files: BTreeMap<ModulePath, String>,
    pub(crate) edges: BTreeMap<ModulePath, BTreeMap<ModulePath, BTreeSet<String>>>,
}

/// Modules that import each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Cycle {
    /// How many modules reach each other through imports.
    pub modules: usize,
    /// A shortest way around: each file, and what it imports from the next one; the last imports from the first.
    pub way: Vec<(String, Vec<String>)>,
}

impl Graph {
    /// The imports of `sources`.
    pub fn new(sources: &Sources) -> Self {
        let mut edges: BTreeMap<ModulePath, BTreeMap<ModulePath, BTreeSet<String>>> = BTreeMap::new();
        for (from, module) in &sources.modules {
            for named in &module.paths {
                let Some(target) = sources.resolve(from, named) else {
                    continue;
                };
                // A path to a module itself is not an import of anything in it.
                let Some(item) = target.item.filter(|_| target.module != *from) else {
                    continue;
                };
                let names = edges.entry(from.clone()).or_default().entry(target.module);
                names.or_default().insert(item);
            }
        }
        let files = sources
            .modules
            .iter()
            .map(|(path, module)| (path.clone(), module.file.display().to_string()));
        Self {
            files: files.collect(),
            edges,
        }
    }

    /// All cycles, one for each set of modules that reach each other.
    pub fn cycles(&self) -> Vec<Cycle> {
        let numbers: BTreeMap<&ModulePath, usize> = self.files.keys().zip(0..).collect();
        let mut graph = DiGraphMap::<usize, ()>::new();
        for number in numbers.values() {
            graph.add_node(*number);
        }
        for (from, targets) in &self.edges {
            for to in targets.keys() {
                if let (Some(&from), Some(&to)) = (numbers.get(from), numbers.get(to)) {
                    graph.add_edge(from, to, ());
                }
            }
        }
        let modules: Vec<&ModulePath> = self.files.keys().collect();
        let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
        let mut cycles: Vec<Cycle> = circles
            .map(|circle| {
                let circle: BTreeSet<&ModulePath> =
                    circle.into_iter().map(|number| modules[number]).collect();
                Cycle {
                    modules: circle.len(),
                    way: self.shortest_way(&circle),
                }
            })
            .collect();
        cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.modules));
        cycles
    }

    /// The shortest way from a module of `circle` back to it.
    fn shortest_way(&self, circle: &BTreeSet<&ModulePath>) -> Vec<(String, Vec<String>)> {
        let ways = circle.iter().filter_map(|start| self.way_back(start, circle));
        let shortest = ways.min_by_key(Vec::len).unwrap_or_default();
        let next = shortest.iter().cycle().skip(1);
        let steps = shortest.iter().zip(next);
        steps
            .map(|(from, to)| {
                let names = self.edges.get(*from).and_then(|targets| targets.get(*to));
                let names = names.into_iter().flatten().cloned().collect();
                (self.files[*from].clone(), names)
            })
            .collect()
    }

    fn way_back<'a>(
        &'a self,
        start: &'a ModulePath,
        circle: &BTreeSet<&ModulePath>,
    ) -> Option<Vec<&'a ModulePath>> {
        let mut before: BTreeMap<&ModulePath, &ModulePath> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for to in self.edges.get(at).into_iter().flat_map(BTreeMap::keys) {
                if to == start {
                    let mut way = vec![at];
                    while let Some(previous) = before.get(way[way.len() - 1]) {
                        way.push(previous);
                    }
                    way.reverse();
                    return Some(way);
                }
                if circle.contains(to) && !before.contains_key(to) {
                    before.insert(to, at);
                    queue.push_back(to);
                }
            }
        }
        None
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} modules import each other, by this way among others:",
            self.modules
        )?;
        for (index, (file, names)) in self.way.iter().enumerate() {
            let (next, _) = &self.way[(index + 1) % self.way.len()];
            writeln!(f, "  {file} -> {next}: {}", names.join(", "))?;
        }
        Ok(())
    }
}

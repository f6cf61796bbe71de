//! What the layout of the source promises: modules of a crate import downwards only, files and
//! functions stay short enough to be read whole.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, UseTree, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

/// Lines of a file and of a function, and what nine functions in ten stay below.
const FILE: usize = 450;
const FUNCTION: usize = 60;
const MOST_FUNCTIONS: usize = 25;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file below a folder, but for build outputs.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort_unstable();
}

fn workspace_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    files
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg") && a.parse_args::<syn::Path>().is_ok_and(|p| p.is_ident("test"))
    })
}

#[test]
fn files_and_functions_are_short_enough_to_be_read_whole() {
    struct Functions(Vec<(usize, String)>);
    impl Functions {
        fn note(&mut self, name: &syn::Ident, whole: proc_macro2::Span) {
            let lines = whole.end().line - whole.start().line + 1;
            self.0.push((lines, name.to_string()));
        }
    }
    impl<'ast> Visit<'ast> for Functions {
        fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
            self.note(&f.sig.ident, f.sig.span().join(f.block.span()).unwrap_or(f.block.span()));
            visit::visit_item_fn(self, f);
        }
        fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
            self.note(&f.sig.ident, f.sig.span().join(f.block.span()).unwrap_or(f.block.span()));
            visit::visit_impl_item_fn(self, f);
        }
    }
    let mut too_long = Vec::new();
    let mut all = Vec::new();
    for file in workspace_files() {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > FILE {
            too_long.push(format!("{}: {lines} lines", file.display()));
        }
        let mut functions = Functions(Vec::new());
        functions.visit_file(&syn::parse_file(&text).unwrap());
        for (lines, name) in functions.0 {
            if lines > FUNCTION {
                too_long.push(format!("{}: {name} has {lines} lines", file.display()));
            }
            all.push(lines);
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
    all.sort_unstable();
    let p90 = all[all.len() * 9 / 10];
    assert!(all.len() > 1_000 && p90 <= MOST_FUNCTIONS, "{p90} of {} functions", all.len());
}

type Module = Vec<String>;

/// A module's file: what it uses, and under which names it hands on items of others.
#[derive(Default)]
struct Source {
    uses: BTreeSet<Module>,
    hands_on: BTreeMap<String, Module>,
}

/// Reads paths of one file, those of tests left out.
struct Paths<'a> {
    here: &'a Module,
    source: Source,
}

impl Paths<'_> {
    /// A path from the root of the crate, if it is one of this crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let up = path.iter().take_while(|part| *part == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([self.here, &path[1..]].concat()),
            "super" if up <= self.here.len() => {
                Some([&self.here[..self.here.len() - up], &path[up..]].concat())
            }
            _ => None,
        }
    }

    fn each_use(&mut self, tree: &UseTree, before: &[String], handed_on: bool) {
        match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.each_use(&path.tree, &before, handed_on);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.each_use(tree, before, handed_on));
            }
            UseTree::Name(name) => self.used(before, &name.ident, &name.ident, handed_on),
            UseTree::Rename(name) => self.used(before, &name.ident, &name.rename, handed_on),
            UseTree::Glob(_) => self.source.uses.extend(self.absolute(before)),
        }
    }

    fn used(&mut self, before: &[String], name: &syn::Ident, called: &syn::Ident, on: bool) {
        let path = [before, &[name.to_string()]].concat();
        // `use child::Item` in the file that declares `child`.
        let path = self.absolute(&path).unwrap_or_else(|| [self.here, &path[..]].concat());
        if on {
            self.source.hands_on.insert(called.to_string(), path);
        } else {
            self.source.uses.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(ItemMod { attrs, .. }) => attrs,
            Item::Fn(f) => &f.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            let handed_on = !matches!(item.vis, Visibility::Inherited);
            self.each_use(&item.tree, &[], handed_on);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if parts.len() > 1 {
            self.source.uses.extend(self.absolute(&parts));
        }
        visit::visit_path(self, path);
    }
}

/// The modules of a crate that are files.
fn modules(src: &Path) -> BTreeMap<Module, Source> {
    let mut files = Vec::new();
    rust_files(src, &mut files);
    let mut found = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(src).unwrap().with_extension("");
        let mut module: Module =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let last = module.last().cloned().unwrap();
        if last == "tests" {
            continue;
        }
        if ["lib", "main", "mod"].contains(&last.as_str()) {
            module.pop();
        }
        let mut paths = Paths { here: &module, source: Source::default() };
        paths.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
        found.insert(module.clone(), paths.source);
    }
    found
}

/// The module where an item lies that is named by a path, through those that hand it on.
fn home(path: &[String], modules: &BTreeMap<Module, Source>, depth: usize) -> Option<Module> {
    let (module, rest) = (0..=path.len())
        .rev()
        .map(|at| path.split_at(at))
        .find(|(module, _)| modules.contains_key(*module))?;
    let handed_on = rest.first().and_then(|name| modules[module].hands_on.get(name));
    match handed_on {
        Some(path) if depth < 8 => home(path, modules, depth + 1).or_else(|| Some(module.to_vec())),
        _ => Some(module.to_vec()),
    }
}

/// A circle of modules that import each other, if there is one: depth first, with the way taken.
fn circle(
    at: &Module,
    edges: &BTreeMap<Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<Vec<Module>> {
    if let Some(start) = way.iter().position(|module| module == at) {
        return Some([&way[start..], std::slice::from_ref(at)].concat());
    }
    if !done.insert(at.clone()) {
        return None;
    }
    way.push(at.clone());
    let found = edges[at].iter().find_map(|next| circle(next, edges, way, done));
    way.pop();
    found
}

#[test]
fn modules_of_a_crate_import_downwards_only() {
    let mut circles = Vec::new();
    for krate in fs::read_dir(root().join("crates")).unwrap() {
        let krate = krate.unwrap().path();
        let modules = modules(&krate.join("src"));
        let edges: BTreeMap<Module, BTreeSet<Module>> = modules
            .iter()
            .map(|(module, source)| {
                let homes = source.uses.iter().filter_map(|path| home(path, &modules, 0));
                (module.clone(), homes.filter(|home| home != module).collect())
            })
            .collect();
        let mut done = BTreeSet::new();
        for module in edges.keys() {
            if let Some(found) = circle(module, &edges, &mut Vec::new(), &mut done) {
                let names: Vec<String> = found
                    .iter()
                    .map(|m| if m.is_empty() { "lib".to_owned() } else { m.join("::") })
                    .collect();
                let name = krate.file_name().unwrap().to_string_lossy().into_owned();
                circles.push(format!("{name}: {}", names.join(" -> ")));
            }
        }
    }
    assert!(circles.is_empty(), "modules in a circle:\n{}", circles.join("\n"));
}

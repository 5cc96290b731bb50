//! `plugin new`: a small mapper that works, to begin from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{DONE, USE, complain, description::FILE, locate};
use crate::words::MapperName;

/// The template's files and their places; `{{name}}` and `{{sdk}}` in them are filled in.
const TEMPLATE: [(&str, &str); 11] = [
    ("Cargo.toml", include_str!("../../../../plugin-sdk/rust/template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../../../../plugin-sdk/rust/template/src/lib.rs")),
    (FILE, include_str!("../../../../plugin-sdk/rust/template/mapper.yaml")),
    ("README.md", include_str!("../../../../plugin-sdk/rust/template/README.md")),
    ("cases/release/in.json", include_str!("../../../../plugin-sdk/rust/template/cases/release/in.json")),
    ("cases/release/out.json", include_str!("../../../../plugin-sdk/rust/template/cases/release/out.json")),
    (
        "cases/confirmation/context.json",
        include_str!("../../../../plugin-sdk/rust/template/cases/confirmation/context.json"),
    ),
    (
        "cases/confirmation/in.json",
        include_str!("../../../../plugin-sdk/rust/template/cases/confirmation/in.json"),
    ),
    (
        "cases/confirmation/out.json",
        include_str!("../../../../plugin-sdk/rust/template/cases/confirmation/out.json"),
    ),
    (
        "cases/confirmation-without-number/in.json",
        include_str!("../../../../plugin-sdk/rust/template/cases/confirmation-without-number/in.json"),
    ),
    (
        "cases/confirmation-without-number/out.json",
        include_str!("../../../../plugin-sdk/rust/template/cases/confirmation-without-number/out.json"),
    ),
];

/// The SDK in the source tree that this binary was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/rust");

/// What `plugin new` is told.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The mapper's name: letters, digits, `-` and `_`, beginning with a letter.
    #[arg(value_name = "NAME")]
    name: String,
    /// The language that it is written in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Lang,
    /// The folder to make it in; `plugins/` here or above if none is given, else the current folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Languages that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// Rust
    Rust,
}

/// Why there is no new mapper.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The name would be no name of a mapper or of its package.
    #[error(
        "`{0}` is no name for a mapper: a to z, 0 to 9, `-` and `_` are, beginning with a letter, 64 at most"
    )]
    Name(String),
    /// Something is there already.
    #[error("{}: something of that name is there already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// The SDK is nowhere to be found.
    #[error(
        "the mapper SDK was not found: no `plugin-sdk/rust` above {} or the current folder, nor at {BUILT_FROM}\n\
         help: run this inside a checkout of the gateway's source", .0.display()
    )]
    NoSdk(PathBuf),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Runs it and gives the exit code.
pub(super) fn run(args: &NewArgs, here: &Path) -> u8 {
    let Lang::Rust = args.lang;
    let parent = match &args.dir {
        Some(folder) => here.join(folder),
        None => locate::plugins(here).unwrap_or_else(|| here.to_owned()),
    };
    match make(&args.name, &parent, here) {
        Ok(folder) => {
            let shown = folder.strip_prefix(here).unwrap_or(&folder).display().to_string();
            anstream::println!("{shown}");
            anstream::eprintln!(
                "a mapper that works: it reads a warehouse's ship confirmation and writes an order release\n\
                 next\n  test    crossdock plugin test {shown}\n  edit    {shown}/src/lib.rs, {shown}/mapper.yaml\n  \
                 try     crossdock plugin run {shown} {shown}/cases/confirmation/in.json"
            );
            DONE
        }
        Err(error) => complain(&error, USE),
    }
}

/// Makes the mapper's folder in `parent` and gives its path.
pub(super) fn make(name: &str, parent: &Path, here: &Path) -> Result<PathBuf, Error> {
    let fine = name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.contains('.');
    if !fine || MapperName::new(name).is_err() {
        return Err(Error::Name(name.chars().take(80).collect()));
    }
    let folder = parent.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists(folder));
    }
    let sdk = sdk(parent, here).ok_or_else(|| Error::NoSdk(parent.to_owned()))?;
    let sdk = relative(&folder, &sdk).display().to_string().replace('\\', "/");
    for (place, text) in TEMPLATE {
        let path = folder.join(place);
        let text = text.replace("{{name}}", name).replace("{{sdk}}", &sdk);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|source| Error::Write { path, source })?;
    }
    Ok(folder)
}

fn sdk(parent: &Path, here: &Path) -> Option<PathBuf> {
    let above = parent.ancestors().chain(here.ancestors()).map(|folder| folder.join("plugin-sdk/rust"));
    above.chain([PathBuf::from(BUILT_FROM)]).find(|sdk| sdk.join("Cargo.toml").is_file())
}

/// The way from `folder` to `to` where they have a folder in common below the root, else `to` itself.
fn relative(folder: &Path, to: &Path) -> PathBuf {
    let whole = to.canonicalize().unwrap_or_else(|_| to.to_owned());
    let parent = folder.parent().and_then(|parent| parent.canonicalize().ok());
    let (Some(parent), Some(name)) = (parent, folder.file_name()) else { return whole };
    let from = parent.join(name);
    let shared = from.components().zip(whole.components()).take_while(|(a, b)| a == b).count();
    // A tree that was moved as a whole still builds; far-off places are better named outright.
    let up = from.components().count() - shared;
    if shared < 2 || up > 4 {
        return whole;
    }
    (0..up)
        .map(|_| "..".as_ref())
        .chain(whole.components().skip(shared).map(|part| part.as_os_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_mapper_has_its_name_and_its_sdk_in_every_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("plugin-sdk/rust")).unwrap();
        fs::create_dir_all(root.path().join("plugins")).unwrap();
        fs::write(root.path().join("plugin-sdk/rust/Cargo.toml"), "").unwrap();
        let folder = make("acme-wms", &root.path().join("plugins"), root.path()).unwrap();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("\"../../plugin-sdk/rust\""), "{manifest}");
        for (place, _) in TEMPLATE {
            let text = fs::read_to_string(folder.join(place)).unwrap();
            assert!(!text.contains("{{"), "{place}: {text}");
        }
        assert!(super::super::description::Description::read(&folder).is_ok());
        assert_eq!(super::super::cases::read(&folder).unwrap().into_iter().filter(Result::is_ok).count(), 3);
    }

    #[test]
    fn every_file_of_the_template_is_there() {
        let folder = Path::new(BUILT_FROM).join("template");
        let mut found = 0;
        let mut queue = vec![folder];
        while let Some(next) = queue.pop() {
            for entry in next.read_dir().unwrap().flatten() {
                if entry.path().is_dir() { queue.push(entry.path()) } else { found += 1 }
            }
        }
        assert_eq!(found, TEMPLATE.len());
    }

    #[test]
    fn nothing_is_overwritten_and_odd_names_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("there")).unwrap();
        assert!(matches!(make("there", root.path(), root.path()), Err(Error::Exists(_))));
        for name in ["", "Acme", "../up", "a/b", "1st", "a.b", "a b", &"a".repeat(65)] {
            assert!(matches!(make(name, root.path(), root.path()), Err(Error::Name(_))), "{name}");
        }
    }
}

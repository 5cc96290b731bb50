//! `plugin new`: a small mapper that works, to begin from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    DONE, USE, complain,
    description::{FILE, Language},
    language, locate,
};
use crate::words::MapperName;

/// What every template shares; `{{name}}` and the like are filled in.
const SHARED: [(&str, &str); 9] = [
    (FILE, include_str!("../../../../plugin-sdk/template/mapper.yaml")),
    ("README.md", include_str!("../../../../plugin-sdk/template/README.md")),
    ("cases/release/in.json", include_str!("../../../../plugin-sdk/template/cases/release/in.json")),
    ("cases/release/out.json", include_str!("../../../../plugin-sdk/template/cases/release/out.json")),
    (
        "cases/confirmation/context.json",
        include_str!("../../../../plugin-sdk/template/cases/confirmation/context.json"),
    ),
    (
        "cases/confirmation/in.json",
        include_str!("../../../../plugin-sdk/template/cases/confirmation/in.json"),
    ),
    (
        "cases/confirmation/out.json",
        include_str!("../../../../plugin-sdk/template/cases/confirmation/out.json"),
    ),
    (
        "cases/confirmation-without-number/in.json",
        include_str!("../../../../plugin-sdk/template/cases/confirmation-without-number/in.json"),
    ),
    (
        "cases/confirmation-without-number/out.json",
        include_str!("../../../../plugin-sdk/template/cases/confirmation-without-number/out.json"),
    ),
];

/// Words of Rust, and packages that every mapper refers to or that cargo keeps for itself; a package cannot be called so.
const RESERVED: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "crossdock_canonical",
    "crossdock_mapper",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The SDKs in the source tree that this binary was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk");

/// What `plugin new` is told.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The mapper's name: letters, digits, `-` and `_`, beginning with a letter.
    #[arg(value_name = "NAME")]
    name: String,
    /// The language that it is written in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// The folder to make it in; `plugins/` here or above if none is given, else the current folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Why there is no new mapper.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The name would be no name of a mapper or of its package.
    #[error(
        "`{0}` is no name for a mapper: a to z, 0 to 9, `-` and `_` are, beginning with a letter, 64 at most"
    )]
    Name(String),
    /// Cargo would not take it.
    #[error(
        "`{0}` is no name for a mapper in Rust: cargo makes a package of it, and refuses that name\n\
         help: `{0}-mapper` is one"
    )]
    Reserved(String),
    /// Something is there already.
    #[error("{}: something of that name is there already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// The SDK is nowhere to be found.
    #[error(
        "the mapper SDK was not found: no `plugin-sdk/{sdk}` above {} or the current folder, nor in {BUILT_FROM}\n\
         help: run this inside a checkout of the gateway's source", parent.display()
    )]
    NoSdk {
        /// Its folder's name.
        sdk: &'static str,
        /// Where the mapper was to be.
        parent: PathBuf,
    },
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
    let parent = match &args.dir {
        Some(folder) => here.join(folder),
        None => locate::plugins(here).unwrap_or_else(|| here.to_owned()),
    };
    match make(&args.name, args.lang, &parent, here) {
        Ok(folder) => {
            let main = language::room(args.lang).template().main;
            let shown = folder.strip_prefix(here).unwrap_or(&folder).display().to_string();
            anstream::println!("{shown}");
            anstream::eprintln!(
                "a mapper that works: it reads a warehouse's ship confirmation and writes an order release\n\
                 next\n  test    crossdock plugin test {shown}\n  edit    {shown}/{main}, {shown}/mapper.yaml\n  \
                 try     crossdock plugin run {shown} {shown}/cases/confirmation/in.json"
            );
            DONE
        }
        Err(error) => complain(&error, USE),
    }
}

/// Makes the mapper's folder in `parent` and gives its path.
pub(super) fn make(name: &str, language: Language, parent: &Path, here: &Path) -> Result<PathBuf, Error> {
    let fine = name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.contains('.');
    if !fine || MapperName::new(name).is_err() {
        return Err(Error::Name(name.chars().take(80).collect()));
    }
    if language == Language::Rust && RESERVED.contains(&name.replace('-', "_").as_str()) {
        return Err(Error::Reserved(name.to_owned()));
    }
    let folder = parent.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists(folder));
    }
    let template = language::room(language).template();
    let sdk = match template.sdk {
        Some(sdk) => {
            let found = find_sdk(sdk, parent, here);
            let found = found.ok_or_else(|| Error::NoSdk { sdk, parent: parent.to_owned() })?;
            relative(&folder, &found).display().to_string().replace('\\', "/")
        }
        None => String::new(),
    };
    // A language may have its own form of what is shared.
    for (place, text) in SHARED.iter().chain(template.files) {
        let path = folder.join(place);
        let text = text.replace("{{name}}", name).replace("{{sdk}}", &sdk);
        let text =
            text.replace("{{language}}", &language.to_string()).replace("{{natively}}", template.natively);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|source| Error::Write { path, source })?;
    }
    Ok(folder)
}

fn find_sdk(sdk: &str, parent: &Path, here: &Path) -> Option<PathBuf> {
    let above = parent.ancestors().chain(here.ancestors()).map(|folder| folder.join("plugin-sdk"));
    let each = above.chain([PathBuf::from(BUILT_FROM)]).map(|sdks| sdks.join(sdk));
    each.into_iter().find(|sdk| sdk.is_dir())
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
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_new_mapper_has_its_name_and_its_sdk_in_every_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("plugin-sdk/rust")).unwrap();
        let plugins = root.path().join("plugins");
        fs::create_dir_all(&plugins).unwrap();
        for language in Language::value_variants() {
            let name = format!("acme-{language}");
            let folder = make(&name, *language, &plugins, root.path()).unwrap();
            for place in all(&folder) {
                let text = fs::read_to_string(&place).unwrap();
                for blank in ["name", "sdk", "language", "natively"] {
                    let blank = format!("{{{{{blank}}}}}");
                    assert!(!text.contains(&blank), "{}: {text}", place.display());
                }
            }
            let found = super::super::description::Description::read(&folder).unwrap();
            assert_eq!((found.name.as_str(), found.language), (name.as_str(), *language));
            let cases = super::super::cases::read(&folder).unwrap();
            assert_eq!(cases.into_iter().filter(Result::is_ok).count(), 3);
            assert!(folder.join(language::room(*language).template().main).is_file());
        }
        let manifest = fs::read_to_string(plugins.join("acme-rust/Cargo.toml")).unwrap();
        assert!(manifest.contains("\"../../plugin-sdk/rust\""), "{manifest}");
    }

    #[test]
    fn every_file_of_the_templates_is_there() {
        let sdks = Path::new(BUILT_FROM);
        let files = |folder: &str| all(&sdks.join(folder)).len();
        assert_eq!(files("template"), SHARED.len());
        let rooms = [
            (Language::Rust, "rust/template"),
            (Language::C, "c/template"),
            (Language::JavaScript, "js/template"),
            (Language::TypeScript, "js/template-ts"),
            (Language::Python, "python/template"),
            (Language::Go, "go/template"),
            (Language::Zig, "zig/template"),
            (Language::AssemblyScript, "assemblyscript/template"),
            (Language::Java, "java/template"),
            (Language::Kotlin, "kotlin/template"),
        ];
        assert_eq!(rooms.len(), Language::value_variants().len());
        for (language, folder) in rooms {
            let written = language::room(language).template().files;
            let own = written
                .iter()
                .filter(|(place, _)| !place.starts_with("sdk/") && !place.starts_with("crossdock/"));
            let own = own.count();
            assert_eq!(files(folder), own, "{folder}");
        }
    }

    fn all(folder: &Path) -> Vec<PathBuf> {
        let (mut found, mut queue) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(next) = queue.pop() {
            for path in next.read_dir().unwrap().flatten().map(|entry| entry.path()) {
                if path.is_dir() { queue.push(path) } else { found.push(path) }
            }
        }
        found
    }

    #[test]
    fn a_word_that_cargo_keeps_for_itself_is_refused_in_rust_alone() {
        let root = tempfile::tempdir().unwrap();
        for name in ["fn", "test", "proc-macro", "crossdock-mapper"] {
            let error = make(name, Language::Rust, root.path(), root.path()).unwrap_err();
            assert!(matches!(error, Error::Reserved(_)), "{name}: {error}");
        }
        make("fn", Language::Python, root.path(), root.path()).unwrap();
    }

    #[test]
    fn nothing_is_overwritten_and_odd_names_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("there")).unwrap();
        assert!(matches!(make("there", Language::Rust, root.path(), root.path()), Err(Error::Exists(_))));
        for name in ["", "Acme", "../up", "a/b", "1st", "a.b", "a b", &"a".repeat(65)] {
            assert!(
                matches!(make(name, Language::Rust, root.path(), root.path()), Err(Error::Name(_))),
                "{name}"
            );
        }
    }
}

//! Makes Rust of what people edit: the code lists under `tables/` and the structures of the messages under `messages/`.

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tables");
    println!("cargo::rerun-if-changed=messages");
    // A profile for this package alone, as Cargo.toml has it, makes cargo forget that the names of functions are to be
    // left out of the module. The linker is told here.
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|machine| machine == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--strip-all");
    }
    let out = env::var("OUT_DIR").expect("cargo names the folder");
    let mut code = String::new();
    for (name, text) in texts("tables") {
        table(&name, &text, &mut code);
    }
    fs::write(Path::new(&out).join("tables.rs"), code).expect("the folder can be written");
    let mut code = String::new();
    for (name, text) in texts("messages") {
        let lines: Vec<&str> = text.lines().collect();
        writeln!(code, "/// The segments of {name}, each with those below it.").expect("text");
        writeln!(code, "pub static {name}: &[Level] = {};", levels(&lines, 0, &name)).expect("text");
    }
    fs::write(Path::new(&out).join("messages.rs"), code).expect("the folder can be written");
}

/// The files of a folder by their names, without the ending.
fn texts(folder: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|file| file.expect("it can be listed").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().to_uppercase();
            (name, fs::read_to_string(&path).expect("it is text"))
        })
        .collect();
    found.sort();
    found
}

/// A row for each line, by its code; and of every name the first code. The last column is for people.
fn table(name: &str, text: &str, code: &mut String) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let columns = lines.next().expect("the columns have names").split(',').count() - 1;
    let mut rows: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.splitn(columns + 1, ',').take(columns).collect();
        assert!(cells.len() == columns, "tables/{name}: {line}: {} columns are needed", columns + 1);
        assert!(rows.iter().all(|row| row[0] != cells[0]), "tables/{name}: {line}: the code stands twice");
        rows.push(cells);
    }
    let mut written: Vec<[&str; 2]> = Vec::new();
    for row in &rows {
        if written.iter().all(|[name, _]| *name != row[1]) {
            written.push([row[1], row[0]]);
        }
    }
    written.sort_unstable();
    rows.sort_unstable();
    writeln!(code, "/// `tables/{}.csv`.", name.to_lowercase()).expect("text");
    writeln!(
        code,
        "pub static {name}: &Table<{columns}> = &Table {{ rows: &{rows:?}, written: &{written:?} }};"
    )
    .expect("text");
}

/// Segments of one depth; what is indented more stands below the last of them.
fn levels(lines: &[&str], depth: usize, name: &str) -> String {
    let depth_of = |line: &str| (line.len() - line.trim_start().len()) / 2;
    let mut found: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if depth_of(line) > depth {
            let below = lines[at..].iter().take_while(|line| depth_of(line) > depth).count();
            let parent = found.last_mut().unwrap_or_else(|| panic!("messages/{name}: {line}: below nothing"));
            parent.1 = levels(&lines[at..at + below], depth + 1, name);
            at += below;
            continue;
        }
        for tag in line.split_whitespace() {
            assert!(tag.len() == 3, "messages/{name}: {tag} is no segment");
            found.push((tag.to_owned(), "&[]".to_owned()));
        }
        at += 1;
    }
    let levels: Vec<_> =
        found.iter().map(|(tag, below)| format!("Level {{ tag: tag({tag:?}), below: {below} }}")).collect();
    format!("&[{}]", levels.join(", "))
}

//! The documentation names files, tests and pages that exist. All faults are reported at once, with file and line.
//!
//! Read are `README.md` and every page below `docs`, `certs` and `dist`. Outside of fenced blocks, each word of a code
//! span that begins with one of [`FOLDERS`] must be a file or a folder; `path::name` must be a function in that file.
//! Patterns are not understood. A relative link must lead to a file, and to a heading where it names one.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the paths begin that are looked for.
const FOLDERS: &[&str] = &[
    ".ci/", ".config/", "benches/", "certs/", "config/", "dist/", "docs/", "src/", "tests/",
];

struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    for folder in ["certs", "dist", "docs"] {
        markdown_files(&root().join(folder), &mut paths);
    }
    paths.retain(|path| path.exists());
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path,
    };
    paths.into_iter().map(page).collect()
}

fn markdown_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    for path in found {
        if path.is_dir() {
            markdown_files(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

/// The lines outside of fenced blocks, each with its number from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// The parts of a line between backticks, and those outside of them.
fn code_and_text(line: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut code, mut text) = (Vec::new(), Vec::new());
    for (index, part) in line.split('`').enumerate() {
        let side = if index % 2 == 1 { &mut code } else { &mut text };
        side.push(part);
    }
    (code, text)
}

/// The paths that a code span names.
fn paths(span: &str) -> impl Iterator<Item = &str> {
    span.split_whitespace()
        .map(|word| word.trim_end_matches([',', ';', '.', ')']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

/// Why a path is not right, if it is not.
fn fault_of_path(path: &str) -> Option<String> {
    let (file, function) = match path.split_once("::") {
        Some((file, function)) => (file, Some(function)),
        None => (path, None),
    };
    let place = root().join(file);
    if !place.exists() {
        return Some(format!("there is no `{file}`"));
    }
    let function = function?;
    let text = fs::read_to_string(&place).unwrap_or_default();
    let is_there = text.contains(&format!("fn {function}("));
    (!is_there).then(|| format!("there is no `{function}` in `{file}`"))
}

/// The targets of the links in a text, but for those that lead out of the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// Why a link is not right, if it is not. `page` is the file it stands in.
fn fault_of_link(page: &Path, target: &str) -> Option<String> {
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let place = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(file)
    };
    if !place.exists() {
        return Some(format!("the link to `{target}` leads nowhere"));
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&place).unwrap_or_default();
    let is_there = anchors(&text).any(|heading| heading == anchor);
    (!is_there).then(|| format!("`{target}` names a heading that is not there"))
}

/// The names by which the headings of a page can be linked to.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        });
        kept.collect()
    })
}

#[test]
fn everything_the_documentation_names_exists() {
    let pages = pages();
    assert!(pages.len() > 10, "the documentation is missing");
    let (mut faults, mut checked) = (Vec::new(), 0);
    for Page { path, text } in &pages {
        let shown = path.strip_prefix(root()).unwrap().display();
        for (number, line) in prose(text) {
            let (code, text) = code_and_text(line);
            let text = text.join("`");
            let of_paths = code.into_iter().flat_map(paths).map(fault_of_path);
            let of_links = links(&text).map(|target| fault_of_link(path, target));
            for fault in of_paths.chain(of_links) {
                checked += 1;
                faults.extend(fault.map(|fault| format!("{shown}:{number}: {fault}")));
            }
        }
    }
    assert!(checked > 100, "only {checked} paths and links were found");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The rows of a page's tables, by what stands in the first column.
fn rows(text: &str) -> Vec<(String, String)> {
    let lines = prose(text).into_iter();
    let rows = lines.filter_map(|(_, line)| {
        let (id, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((id.to_owned(), rest.to_owned()))
    });
    rows.collect()
}

/// The classes of attacks and faults that are known.
fn threats() -> Vec<String> {
    let attacks = "S1 S2 S3 T1 T2 T3 T4 T5 A1 E1 E2 E3 F1 H1 P1 C1 D1 M1 L1 R1 X1 U1";
    let attacks = attacks.split(' ').map(str::to_owned);
    let inside = (1..=16).map(|number| format!("W-{number:02}"));
    let faults = (1..=31).map(|number| format!("F{number:02}"));
    attacks.chain(inside).chain(faults).collect()
}

#[test]
fn every_threat_has_a_test_or_says_why_not() {
    let page = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let rows = rows(&page);
    let mut faults = Vec::new();
    for id in threats() {
        let of_id: Vec<_> = rows.iter().filter(|(of, _)| *of == id).collect();
        let [(_, row)] = of_id.as_slice() else {
            faults.push(format!("{id} has {} rows", of_id.len()));
            continue;
        };
        let says_why_not = row.contains(" | no: ") || row.contains(" | partly: ");
        let (code, _) = code_and_text(row);
        let has_test = code
            .iter()
            .any(|code| code.contains("tests") || code.contains("::"));
        if !has_test && !says_why_not {
            faults.push(format!("{id} has no test"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A test of the test: faults are found.
#[test]
fn what_does_not_exist_is_a_fault() {
    assert_eq!(fault_of_path("src/clock.rs"), None);
    assert!(fault_of_path("src/clocks.rs").is_some());
    assert!(fault_of_path("src/*.rs").is_some());
    let test = "tests/docs.rs::what_does_not_exist_is_a_fault";
    assert_eq!(fault_of_path(test), None);
    assert!(fault_of_path("tests/docs.rs::no_such_test").is_some());
    let page = root().join("docs/flow.md");
    assert_eq!(fault_of_link(&page, "rfc.md"), None);
    assert!(fault_of_link(&page, "rcf.md").is_some());
    assert!(fault_of_link(&page, "rfc.md#no-such-heading").is_some());
}

/// A test of the test: paths and links are found where they stand, and nowhere else.
#[test]
fn paths_stand_in_code_spans_and_links_outside() {
    let (code, text) = code_and_text("see `x --config config/a.toml` and [b](c.md#d), not src/e");
    let found: Vec<_> = code.into_iter().flat_map(paths).collect();
    assert_eq!(found, ["config/a.toml"]);
    let text = text.join("`");
    assert_eq!(links(&text).collect::<Vec<_>>(), ["c.md#d"]);
    assert_eq!(prose("a\n```\n`src/b`\n```\nc"), [(1, "a"), (5, "c")]);
    let headings: Vec<_> = anchors("# One's `own` part, 2\n").collect();
    assert_eq!(headings, ["ones-own-part-2"]);
}

/// The configurations of a page: its blocks of TOML.
fn configurations(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

/// Makes the files that a configuration names, so that nothing but itself is judged.
fn make_files(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("secrets")).unwrap();
    for quoted in text.split('"').skip(1).step_by(2) {
        let Some(extension) = Path::new(quoted).extension().and_then(|name| name.to_str()) else {
            if quoted.starts_with("secrets/") {
                write_private(&folder.join(quoted), b"a secret\n");
            }
            continue;
        };
        let path = folder.join(quoted);
        match extension {
            "json" => write_private(&path, service_account().as_bytes()),
            "pem" if quoted.starts_with("secrets/") => {
                write_private(&path, rsa_key().serialize_pem().as_bytes());
            }
            _ => {}
        }
    }
}

fn rsa_key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap()
}

fn service_account() -> String {
    let key = rsa_key().serialize_pem();
    serde_json::json!({
        "type": "service_account",
        "client_email": "relay@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": key,
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn write_private(path: &Path, octets: &[u8]) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap().write_all(octets).unwrap();
}

/// Every configuration that a beginner is told to copy is accepted as it stands.
#[test]
fn the_configurations_of_the_page_on_upstreams_are_accepted() {
    let text = fs::read_to_string(root().join("docs/upstreams.md")).unwrap();
    let all = configurations(&text);
    assert!(all.len() >= 8, "only {} configurations", all.len());
    for configuration in all {
        let folder = tempfile::tempdir().unwrap();
        make_files(folder.path(), &configuration);
        let path = folder.path().join("posthouse.toml");
        write_private(&path, configuration.as_bytes());
        if let Err(report) = posthouse::config::load(&path) {
            panic!("{configuration}\n{report}");
        }
    }
}

/// A test of the test: a key that does not exist is found.
#[test]
fn a_wrong_configuration_on_a_page_would_be_found() {
    let page = "text\n```toml\n[relay]\nupstreams = [\"main\"]\n```\n";
    let all = configurations(page);
    assert_eq!(all, ["[relay]\nupstreams = [\"main\"]\n"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthouse.toml");
    write_private(&path, all.concat().as_bytes());
    assert!(posthouse::config::load(&path).is_err());
}

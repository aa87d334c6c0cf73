//! `posthouse man`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::arguments;
use super::failure::{Code, Failure};
use super::output::Output;

/// Print the manual page, or write those of all commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse man | man -l -
  posthouse man --directory /usr/local/share/man/man1")]
pub(super) struct Arguments {
    /// Write one page for each command into this directory instead
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut command = arguments::Arguments::command();
    // Names of nested commands and their usage are filled in by this.
    command.build();
    let Some(directory) = &arguments.directory else {
        let page = page(&command, "posthouse")?;
        return output.text(&page);
    };
    let cannot_create = |error| Failure::file(Code::CannotCreate, "create", directory, &error);
    fs::create_dir_all(directory).map_err(cannot_create)?;
    let mut pages = vec![(command, "posthouse".to_owned())];
    while let Some((command, name)) = pages.pop() {
        let path = directory.join(format!("{name}.1"));
        let written = File::create(&path).and_then(|mut file| {
            let page = page(&command, &name).unwrap_or_default();
            file.write_all(page.as_bytes())
        });
        written.map_err(|error| Failure::file(Code::CannotCreate, "write", &path, &error))?;
        for below in command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
        {
            pages.push((below.clone(), format!("{name}-{}", below.get_name())));
        }
    }
    output.line(format_args!(
        "manual pages written to {}",
        directory.display()
    ))
}

fn page(command: &clap::Command, name: &str) -> Result<String, Failure> {
    let mut page = Vec::new();
    // The title of a page is kept for good by clap, which wants it to live as long as the program.
    let man = Man::new(command.clone()).title(name.to_uppercase());
    man.render(&mut page)
        .map_err(|error| Failure::output(&error))?;
    String::from_utf8(page).map_err(|error| Failure::of(Code::Io, &error))
}

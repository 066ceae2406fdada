//! Completions for shells and man pages, from the flags themselves.

use super::Page;
use super::commands::visible;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;

/// The script that makes a shell complete a command.
#[must_use]
pub fn completions(shell: Shell, command: &Command) -> Vec<u8> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    // into memory: the generator panics where it cannot write
    clap_complete::generate(shell, &mut command.clone(), name, &mut script);
    script
}

/// One man page for the command and each command below it: `seawall.1`, `seawall-check.1`, …
///
/// # Errors
/// Never, as they are written to memory.
pub fn man_pages(command: &Command) -> io::Result<Vec<Page>> {
    let source = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &source, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, source: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let man = Man::new(command.clone()).source(source).manual("Seawall Manual");
    let mut roff = Vec::new();
    man.render(&mut roff)?;
    let text = String::from_utf8(roff).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    pages.push(Page { path: man.get_filename(), text });
    visible(command).try_for_each(|subcommand| add(subcommand, source, pages))
}

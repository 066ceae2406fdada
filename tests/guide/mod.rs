//! Runs a page of the documentation as a person would type it: every `console` block is a session of commands with what they print,
//! every other block with a file name after its language is that file's content. Shared by `tests/cli` (what needs no cluster) and
//! `tests/cluster` (all of it).
//!
//! In a session a line that begins with `$ ` is a command (a `\` at its end continues it on the next line), and what follows is all
//! that it prints, standard output and error together. A line `...` stands for any lines, `...` within a line for any text.
//! `<!-- exits 1 -->` above a block says with which code its commands end; a command that ends with ` &` goes on while the rest
//! is run, and what it prints is waited for. `<!-- from here on: a cluster -->` parts the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command that goes on may take until it has printed what the page shows.
const START: Duration = Duration::from_secs(60);

/// One thing to do.
#[derive(Debug)]
pub(crate) struct Step {
    /// Line of the page, from 1.
    pub(crate) line: usize,
    /// Whether it stands below the mark.
    pub(crate) cluster: bool,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// A file is written.
    File { path: String, text: String },
    /// A command is run.
    Command { text: String, prints: Vec<String>, exits: i32, goes_on: bool },
}

/// The steps of a page, in order. Panics at a block that is neither: what is shown is tried.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut cluster, mut exits) = (false, 0);
    let mut lines = page.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, line)) = lines.next() {
        let comment = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(comment) = comment {
            cluster |= comment == "from here on: a cluster";
            if let Some(code) = comment.strip_prefix("exits ") {
                exits = code.parse().unwrap();
            }
        }
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
        match info.split_once(' ') {
            Some((_, path)) => {
                let text = body.iter().map(|(_, line)| format!("{line}\n")).collect();
                steps.push(Step { line: number, cluster, what: What::File { path: path.to_owned(), text } });
            }
            None if info == "console" => session(&body, cluster, exits, &mut steps),
            None => panic!(
                "line {number}: a block of {info:?} without a file name is not tried; write `console` or `{info} PATH`"
            ),
        }
        exits = 0;
    }
    steps
}

fn session(body: &[(usize, &str)], cluster: bool, exits: i32, steps: &mut Vec<Step>) {
    let mut continued = false;
    for (number, line) in body {
        let last = steps.last_mut().map(|step| &mut step.what);
        match (line.strip_prefix("$ "), last) {
            (None, Some(What::Command { text, .. })) if continued => {
                text.push('\n');
                text.push_str(line);
            }
            (Some(command), _) => {
                let what = What::Command { text: command.to_owned(), prints: Vec::new(), exits, goes_on: false };
                steps.push(Step { line: *number, cluster, what });
            }
            (None, Some(What::Command { prints, .. })) => prints.push((*line).to_owned()),
            (None, _) => panic!("line {number}: a session begins with `$ `"),
        }
        if let Some(Step { what: What::Command { text, goes_on, .. }, .. }) = steps.last_mut() {
            continued = text.ends_with('\\');
            *goes_on = text.ends_with(" &");
        }
    }
}

/// Whether text is what the page shows.
pub(crate) fn fits(shown: &[String], found: &[&str]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first.trim() == "..." => (0..=found.len()).any(|skipped| fits(rest, &found[skipped..])),
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, left)| line_fits(first, line) && fits(rest, left))
        }
    }
}

fn line_fits(shown: &str, found: &str) -> bool {
    let parts: Vec<&str> = shown.split("...").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return shown == found };
    let Some(mut left) = found.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// A person at a terminal in a folder of their own.
pub(crate) struct Person {
    folder: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Person {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Person {
    /// With these programs, and the system's.
    pub(crate) fn new(programs: &[&Path]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let person = Self { folder, running: Vec::new() };
        for part in ["bin", "work", "home"] {
            fs::create_dir(person.at(part)).unwrap();
        }
        for program in programs {
            std::os::unix::fs::symlink(program, person.at("bin").join(program.file_name().unwrap())).unwrap();
        }
        person
    }

    fn at(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    /// Where the kubeconfig of this person is.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.at("home/.kube/config")
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("bash");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.at("bin").display());
        shell.args(["--noprofile", "--norc", "-c", command]).current_dir(self.at("work")).env_clear();
        shell.env("PATH", path).env("HOME", self.at("home")).env("LC_ALL", "C.UTF-8").env("NO_PROXY", "*");
        // the ports that the page does not name are the usual ones; other tests run beside this one
        shell.env("SEAWALL_LISTEN", "127.0.0.1:0").env("SEAWALL_METRICS_LISTEN", "127.0.0.1:0");
        shell.stdin(Stdio::null());
        shell
    }

    /// Does one thing; the error is for the author of the page.
    pub(crate) fn does(&mut self, step: &Step) -> Result<(), String> {
        match &step.what {
            What::File { path, text } => {
                let file = self.at("work").join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).map_err(|e| e.to_string())
            }
            What::Command { text, prints, goes_on: true, .. } => self.starts(text, prints),
            What::Command { text, .. } if text.starts_with("kill %") => self.ends(text),
            What::Command { text, prints, exits, .. } => {
                let output = self.shell(&format!("{{ {text}\n}} 2>&1")).output().unwrap();
                let printed = String::from_utf8_lossy(&output.stdout).into_owned();
                let code = output.status.code().unwrap_or(-1);
                if code != *exits {
                    return Err(format!("$ {text}\nends with {code}, the page says {exits}:\n{printed}"));
                }
                judge(text, prints, &printed)
            }
        }
    }

    /// `kill %1`, which a shell that is not interactive does not know: what was started first gets the signal, and ends.
    fn ends(&mut self, text: &str) -> Result<(), String> {
        let number: usize = text.trim_start_matches("kill %").parse().map_err(|_| format!("$ {text}: no number"))?;
        let job = number.checked_sub(1).and_then(|index| self.running.get_mut(index));
        let job = job.ok_or_else(|| format!("$ {text}: nothing goes on under this number"))?;
        let status = Command::new("kill").arg(job.id().to_string()).status().unwrap();
        if status.success() { Ok(()) } else { Err(format!("$ {text}: {status}")) }
    }

    /// Starts what goes on, and waits for what it prints.
    fn starts(&mut self, text: &str, prints: &[String]) -> Result<(), String> {
        let log = self.at(&format!("log-{}", self.running.len()));
        let file = fs::File::create(&log).unwrap();
        let command = format!("exec {}", text.trim_end_matches(" &"));
        let child = self.shell(&command).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        self.running.push(child);
        let deadline = Instant::now() + START;
        loop {
            let printed = fs::read_to_string(&log).unwrap();
            let told = judge(text, prints, &printed);
            if told.is_ok() || Instant::now() > deadline {
                return told;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn judge(text: &str, prints: &[String], printed: &str) -> Result<(), String> {
    let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
    if fits(prints, &lines) {
        return Ok(());
    }
    Err(format!("$ {text}\nprints\n{printed}\nthe page says\n{}", prints.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_left_out_may_be_anything_and_the_rest_must_be_there() {
        let of = |wanted: &str, found: &str| fits(&shown(wanted), &found.lines().collect::<Vec<_>>());
        assert!(of("a\n...\nd", "a\nb\nc\nd") && of("a\n...\nd", "a\nd") && of("...", ""));
        assert!(!of("a\n...\nd", "a\nb\nc") && !of("a", "a\nb") && !of("", "a") && !of("a", ""));
        assert!(of("took ... ms", "took 12 ms") && of("...b...", "abc") && !of("took ... ms", "took 12 s"));
        assert!(!of("a...a", "a"), "what stands before and after must both be there");
    }

    #[test]
    fn a_page_is_cut_into_files_and_commands() {
        let page = "text\n```yaml a/b.yaml\nk: v\n```\n<!-- exits 1 -->\n```console\n$ one \\\n  two\nout\n$ three\n```\n\
                    <!-- from here on: a cluster -->\n```console\n$ serve &\nready\n```\n";
        let steps = steps(page);
        assert_eq!(
            steps.iter().map(|step| (step.line, step.cluster)).collect::<Vec<_>>(),
            [(2, false), (7, false), (10, false), (14, true)]
        );
        assert!(matches!(&steps[0].what, What::File { path, text } if path == "a/b.yaml" && text == "k: v\n"));
        assert!(
            matches!(&steps[1].what, What::Command { text, prints, exits: 1, goes_on: false } if text == "one \\\n  two" && prints == &["out"])
        );
        assert!(matches!(&steps[3].what, What::Command { goes_on: true, exits: 0, .. }));
    }

    #[test]
    fn a_person_sees_a_wrong_code_and_a_wrong_line() {
        let mut person = Person::new(&[]);
        let step = |text: &str, prints: &str, exits| Step {
            line: 1,
            cluster: false,
            what: What::Command { text: text.to_owned(), prints: shown(prints), exits, goes_on: text.ends_with(" &") },
        };
        assert_eq!(person.does(&step("echo a >&2; echo b", "a\nb", 0)), Ok(()));
        assert!(person.does(&step("exit 3", "", 0)).unwrap_err().contains("ends with 3, the page says 0"));
        assert!(person.does(&step("echo a", "b", 0)).unwrap_err().contains("prints\na"));
        assert_eq!(person.does(&step("sh -c 'echo up; sleep 100' &", "up", 0)), Ok(()));
    }
}

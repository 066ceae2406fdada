//! Questions on a terminal: the default is shown, an answer that cannot be used is explained and asked for again.

use super::AuthoringError;
use std::io::{BufRead, Write};

/// One thing that a policy needs to be told.
pub struct Question<'q, T> {
    /// The flag that answers it, without the dashes.
    pub flag: &'static str,
    /// The question, without the default.
    pub text: &'q str,
    /// The answer where none is given.
    pub default: &'q str,
    /// Reads an answer, or says what is wrong with it.
    pub read: &'q dyn Fn(&str) -> Result<T, String>,
}

/// Who answers: the flags, then a person where there is a terminal, then the defaults.
pub struct Talk<'t> {
    /// Where answers come from and where questions go to; `None` without a terminal.
    pub terminal: Option<(&'t mut dyn BufRead, &'t mut dyn Write)>,
    /// Which flags were left to their defaults, as `--flag value`.
    pub assumed: Vec<String>,
}

impl std::fmt::Debug for Talk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").field("terminal", &self.terminal.is_some()).finish_non_exhaustive()
    }
}

impl Talk<'_> {
    /// The answer to a question.
    ///
    /// # Errors
    /// When the terminal fails or ends, or the default itself is wrong.
    pub fn ask<T>(&mut self, question: &Question<'_, T>) -> Result<T, AuthoringError> {
        let Question { flag, text, default, read } = question;
        let Some((answers, questions)) = &mut self.terminal else {
            self.assumed.push(format!("--{flag} {}", quoted(default)));
            return read(default).map_err(|problem| AuthoringError::Flags(vec![format!("--{flag}: {problem}")]));
        };
        loop {
            write!(questions, "{text} [{default}]: ").map_err(AuthoringError::Terminal)?;
            questions.flush().map_err(AuthoringError::Terminal)?;
            let mut line = String::new();
            if answers.read_line(&mut line).map_err(AuthoringError::Terminal)? == 0 {
                return Err(AuthoringError::Ended(flag));
            }
            let answer = line.trim();
            match read(if answer.is_empty() { default } else { answer }) {
                Ok(value) => return Ok(value),
                Err(problem) => writeln!(questions, "  {problem}").map_err(AuthoringError::Terminal)?,
            }
        }
    }
}

/// As a shell wants it.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{}'", word.replace('\'', "'\\''")) } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(word: &str) -> Result<u8, String> {
        word.parse().map_err(|_| format!("{word:?} is no number"))
    }

    fn question(read: &dyn Fn(&str) -> Result<u8, String>) -> Question<'_, u8> {
        Question { flag: "number", text: "Which number", default: "7", read }
    }

    #[test]
    fn a_wrong_answer_is_explained_and_asked_again() {
        let (mut answers, mut questions) = (&b"x\n\n"[..], Vec::new());
        let mut talk = Talk { terminal: Some((&mut answers, &mut questions)), assumed: Vec::new() };
        assert_eq!(talk.ask(&question(&number)).unwrap(), 7);
        let shown = String::from_utf8(questions).unwrap();
        assert_eq!(shown, "Which number [7]:   \"x\" is no number\nWhich number [7]: ");
    }

    #[test]
    fn a_closed_terminal_ends_it_and_without_one_the_default_is_told() {
        let (mut answers, mut questions) = (&b""[..], Vec::new());
        let mut talk = Talk { terminal: Some((&mut answers, &mut questions)), assumed: Vec::new() };
        assert!(matches!(talk.ask(&question(&number)), Err(AuthoringError::Ended("number"))));
        let mut talk = Talk { terminal: None, assumed: Vec::new() };
        assert_eq!(talk.ask(&question(&number)).unwrap(), 7);
        assert_eq!(talk.assumed, ["--number 7"]);
    }
}

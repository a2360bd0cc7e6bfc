//! The words of comments: few sentences may consist mostly of pronouns, and no file may be long.
//!
//! A sentence of ten words or more counts as heavy if over 24% of its words are pronouns or their kin. Counted over all
//! sources but tests, benches and examples.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::tree;

use super::Verdict;

/// Largest share of heavy sentences.
const MOST_HEAVY: f64 = 0.015;
/// Largest share of such words in a sentence that is not heavy.
const MOST_WORDS: f64 = 0.24;
/// Sentences shorter than this many words do not count.
const LEAST_WORDS: usize = 10;
/// Longest file, in lines.
const MOST_LINES: usize = 600;
/// Heavy sentences that a failure shows.
const SHOWN: usize = 10;

const WORDS: &str = " it its itself that this these those what which who whom whose one ones another other others they \
                     them their he such so there then thereof ";

/// Count all of it.
pub(super) fn check() -> Result<Verdict, Error> {
    let (mut all, mut heavy) = (0, Vec::new());
    let mut verdict = Verdict::passed();
    for file in sources(&tree::root())? {
        let text = fs::read_to_string(&file).map_err(Error::file(&file))?;
        let lines = text.lines().count();
        if lines > MOST_LINES {
            let shown = file.display();
            verdict.join(Verdict::failed(format!("{shown}: {lines} lines, at most {MOST_LINES}: split it")));
        }
        for sentence in sentences(&text) {
            let Some(share) = share(&sentence) else { continue };
            all += 1;
            if share > MOST_WORDS {
                heavy.push(format!("{}: {sentence}", file.display()));
            }
        }
    }
    println!("{} of {all} sentences of comments are mostly pronouns", heavy.len());
    if heavy.len() as f64 > MOST_HEAVY * f64::from(all) {
        heavy.iter().rev().take(SHOWN).for_each(|one| println!("{one}"));
        let why = format!("{} of {all} sentences are mostly pronouns: name the nouns", heavy.len());
        verdict.join(Verdict::failed(why));
    }
    Ok(verdict)
}

fn sources(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::file(&folder))? {
            let path = entry.map_err(Error::file(&folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "tests", "benches", "examples"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Sentences of each run of comment lines.
fn sentences(source: &str) -> Vec<String> {
    let (mut all, mut run) = (Vec::new(), String::new());
    for line in source.lines().chain([""]) {
        let words =
            line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']).trim());
        match words.filter(|words| !words.is_empty()) {
            Some(words) => {
                run.push_str(words);
                run.push(' ');
            }
            None => {
                all.extend(split(&run));
                run.clear();
            }
        }
    }
    all
}

fn split(run: &str) -> Vec<String> {
    let (mut all, mut sentence, mut in_code) = (Vec::new(), String::new(), false);
    for word in run.split_whitespace() {
        in_code ^= word.matches('`').count() % 2 == 1;
        sentence.push_str(word);
        sentence.push(' ');
        if word.ends_with(['.', ':', ';', '?', '!']) && !in_code {
            all.push(std::mem::take(&mut sentence).trim().to_owned());
        }
    }
    if !sentence.trim().is_empty() {
        all.push(sentence.trim().to_owned());
    }
    all
}

/// Share of pronouns among the words of a sentence; none of a short one. Code counts as one word.
fn share(sentence: &str) -> Option<f64> {
    let text: String =
        sentence.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "X" }).collect();
    let words: Vec<String> = text
        .split(|c: char| !(c.is_ascii_alphabetic() || c == '\''))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let pronouns = words.iter().filter(|word| WORDS.contains(&format!(" {word} "))).count();
    (words.len() >= LEAST_WORDS).then(|| pronouns as f64 / words.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_cut_and_counted() {
        let source = "//! One. Two `a. b` three:\n//! four\nfn f() {}\n    // five\n";
        assert_eq!(sentences(source), ["One.", "Two `a. b` three:", "four", "five"]);
        assert_eq!(share("too short"), None);
        let heavy = share("What they have there is that which those others of it then had");
        assert!(heavy.is_some_and(|share| share > MOST_WORDS), "{heavy:?}");
        let light = share("Replicas of a source prefer different nodes, and a lost node ends no request");
        assert_eq!(light, Some(0.0));
    }
}

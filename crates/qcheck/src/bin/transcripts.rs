//! `transcripts FILE`: plays console transcripts and says which outputs are those of the pages.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Parser;
use qcheck::{
    child, compare, interpreter,
    page::{self, Page},
    report::{self, Played},
    world,
};

/// Pages that need what a process here cannot have, each with the reason.
const IMPOSSIBLE: &str = include_str!("../../impossible.txt");
/// Scores that are kept: a lower one fails.
const SCORES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/score.txt");

/// Plays console transcripts, each page in a fresh interpreter in a fresh folder.
#[derive(Parser)]
struct Options {
    /// a file of blocks, one JSON object a line
    file: Option<PathBuf>,
    /// play these pages only (repeatable; a part of the name is enough)
    #[arg(long)]
    page: Vec<String>,
    /// show so many misses of each page
    #[arg(long, default_value_t = 1)]
    show: usize,
    /// print every miss whole
    #[arg(long)]
    misses: bool,
    /// seconds that a step may take
    #[arg(long, default_value_t = 10)]
    limit: u64,
    /// pages played at a time; all processors where it is not given
    #[arg(long)]
    jobs: Option<usize>,
    /// keep this run's score as the one to reach
    #[arg(long)]
    keep: bool,
    /// play one page, given on standard input
    #[arg(long, hide = true)]
    child: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.child {
        return play(Duration::from_secs(options.limit));
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("transcripts: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The child: a page on standard input, an outcome a line on standard output.
fn play(limit: Duration) -> ExitCode {
    let work = move || {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).ok()?;
        let page: Page = serde_json::from_str(&line).ok()?;
        let mut interpreter = interpreter::Interpreter::new(world::rooted(), limit);
        child::play(&page, &mut interpreter);
        Some(())
    };
    let thread = thread::Builder::new().stack_size(interpreter::STACK).spawn(work);
    match thread.map(|t| t.join()) {
        Ok(Ok(Some(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let file = options.file.clone().ok_or("which file of transcripts?")?;
    let mut pages = page::read(&file)?;
    if !options.page.is_empty() {
        pages.retain(|p| options.page.iter().any(|part| p.name.contains(part.as_str())));
    }
    let played = play_all(&pages, options)?;
    for page in &played {
        match options.misses {
            true => print!("{}", report::misses(page)),
            false => print!("{}", report::page(page, options.show)),
        }
    }
    let reasons: Vec<(&str, &str)> = IMPOSSIBLE.lines().filter_map(|l| l.split_once('\t')).collect();
    let listed = reasons.iter().filter(|(name, _)| pages.iter().any(|p| p.name == *name));
    for (n, (name, reason)) in listed.enumerate() {
        if n == 0 {
            println!("\npages that need what a process here cannot have (counted all the same):");
        }
        println!("{name:<44} {reason}");
    }
    let all = report::count(played.iter().flat_map(|p| &p.steps));
    let share = 100.0 * all.shapes as f64 / all.checkable.max(1) as f64;
    println!("\n{} match by shape only ({share:.1}%; what is above 3% counts against the score)", all.shapes);
    let steps = || played.iter().flat_map(|p| &p.steps);
    let unset = steps().filter(|s| s.unset).count();
    println!("{unset} misses use a name that no step of their page sets");
    let notes = steps().filter(|s| !s.matched && compare::annotated(&s.page, &s.ours)).count();
    println!("{notes} misses differ by what the page's writer noted behind the output");
    let score = all.score();
    let kept = match options.page.is_empty() {
        true => check(&file, score, options.keep)?,
        false => true,
    };
    println!("{score} of {} match", all.checkable);
    Ok(kept)
}

fn play_all(pages: &[Page], options: &Options) -> Result<Vec<Played>, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let args = ["--child".to_string(), "--limit".into(), options.limit.to_string()];
    let limit = Duration::from_secs(options.limit);
    let jobs = options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(2, |n| n.get()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 64) {
            scope.spawn(|| {
                while let Some((n, page)) = next_page(pages, &next) {
                    let outcomes = child::run(&program, &args, page, limit);
                    done.lock().unwrap_or_else(|p| p.into_inner()).push((n, outcomes));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|p| p.into_inner());
    done.sort_by_key(|(n, _)| *n);
    let played = |(n, outcomes): (usize, Result<Vec<child::Outcome>, String>)| {
        let steps = outcomes?.into_iter().filter(|s| !s.page.is_empty()).collect();
        Ok(Played { page: pages[n].name.clone(), steps })
    };
    done.into_iter().map(played).collect()
}

fn next_page<'a>(pages: &'a [Page], next: &AtomicUsize) -> Option<(usize, &'a Page)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    pages.get(n).map(|page| (n, page))
}

/// Compares the score with the kept one of a file of this name; false where it is lower.
fn check(file: &Path, score: usize, keep: bool) -> Result<bool, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(SCORES).unwrap_or_default();
    let mut scores: Vec<(String, usize)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, score)| Some((name.to_string(), score.trim().parse().ok()?)))
        .collect();
    let kept = scores.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
    if keep {
        scores.retain(|(n, _)| *n != name);
        scores.push((name, score));
        let text: String = scores.iter().map(|(n, s)| format!("{n} {s}\n")).collect();
        std::fs::write(SCORES, text).map_err(|e| format!("{SCORES}: {e}"))?;
        return Ok(true);
    }
    match kept {
        Some(kept) if score < kept => {
            println!("the kept score is {kept}: something that matched no longer does");
            Ok(false)
        }
        Some(kept) if score > kept => {
            println!("the kept score is {kept}: keep the new one with --keep");
            Ok(true)
        }
        _ => Ok(true),
    }
}

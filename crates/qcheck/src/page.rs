//! Transcripts as they lie in a file: one block of a page per line, each with its steps.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What was typed, and what the console printed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// the input
    #[serde(rename = "in")]
    pub input: String,
    /// the output without its final newline; empty where the page shows none
    #[serde(rename = "out")]
    pub output: String,
}

/// Steps that a page shows together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Block {
    /// the page
    pub page: String,
    /// number of the block on its page
    pub block: u32,
    /// its steps, in order
    pub steps: Vec<Step>,
}

/// The blocks of one page, played in one interpreter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// name of the page
    pub name: String,
    /// its blocks, in order
    pub blocks: Vec<Block>,
}

impl Page {
    /// Number of steps that have an output to check.
    pub fn checkable(&self) -> usize {
        self.blocks.iter().flat_map(|b| &b.steps).filter(|s| !s.output.is_empty()).count()
    }
}

/// The pages of a file of transcripts, in the order of their first block.
pub fn read(path: &Path) -> Result<Vec<Page>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut pages: Vec<Page> = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let block: Block =
            serde_json::from_str(line).map_err(|e| format!("{}:{}: {e}", path.display(), n + 1))?;
        match pages.iter_mut().find(|p| p.name == block.page) {
            Some(page) => page.blocks.push(block),
            None => pages.push(Page { name: block.page.clone(), blocks: vec![block] }),
        }
    }
    Ok(pages)
}

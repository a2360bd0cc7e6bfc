//! The fenced blocks of a page, and what is done with each: said by the words after the fence.

use std::fmt;

/// One fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// File below the root of the repository.
    pub(super) page: String,
    /// Line of the opening fence, from 1.
    pub(super) line: usize,
    /// What is done with it.
    pub(super) kind: Kind,
    /// Its text, with an end of line after each line.
    pub(super) text: String,
}

/// What is done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `console`: commands after `$ `, each with what it prints. `like`: numbers may differ. `live`: the mesh has a
    /// real-time tier.
    Console { like: bool, live: bool },
    /// `sh`: a script that ends with success while a mesh runs.
    Script,
    /// `sh parse`: commands whose flags are read, and no more.
    Parse,
    /// `sh up`: each line a program that gets ready, and ends by an interrupt.
    Up,
    /// `sh processes`: processes that form a mesh together.
    Processes,
    /// `sh cluster`: for the end-to-end tests.
    Cluster,
    /// `getdata`: a request, an empty line, the table that comes.
    GetData,
    /// `q`, `python`, `js`: a program against the mesh.
    Program(Language),
    /// `yaml assembly`: a data process starts with it.
    Assembly,
    /// `yaml labels`: labels that the default selector of a resource called `prod` finds.
    Labels,
    /// `yaml servicegateway`: the plugin takes it, put into a minimal resource where it is a part of one.
    Resource,
    /// `log`: lines whose words are in the sources.
    Log,
    /// `mermaid`, `text`: a picture.
    Picture,
}

/// A language of programs against the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Q,
    /// `q rdb`: the mesh is a data process with the assembly file of the page.
    QOfRdb,
    Python,
    JavaScript,
    Java,
    /// Text of an example that is compiled with the client's own dependencies.
    Rust,
}

impl Kind {
    /// By the words after the fence.
    fn read(words: &str) -> Option<Kind> {
        Some(match words {
            "console" => Kind::Console { like: false, live: false },
            "console like" => Kind::Console { like: true, live: false },
            "console like live" => Kind::Console { like: true, live: true },
            "sh" => Kind::Script,
            "sh parse" => Kind::Parse,
            "sh up" => Kind::Up,
            "sh processes" => Kind::Processes,
            "sh cluster" => Kind::Cluster,
            "getdata" => Kind::GetData,
            "q" => Kind::Program(Language::Q),
            "python" => Kind::Program(Language::Python),
            "js" => Kind::Program(Language::JavaScript),
            "java" => Kind::Program(Language::Java),
            "rust" => Kind::Program(Language::Rust),
            "yaml assembly" => Kind::Assembly,
            "q rdb" => Kind::Program(Language::QOfRdb),
            "yaml labels" => Kind::Labels,
            "yaml servicegateway" => Kind::Resource,
            "log" => Kind::Log,
            "mermaid" | "text" => Kind::Picture,
            _ => return None,
        })
    }
}

/// Why a page could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    place: String,
    why: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// The blocks of a page, or what is wrong with its fences.
pub(super) fn read(page: &str, text: &str) -> Result<Vec<Block>, Unread> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, Kind, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        let Some(words) = fence else {
            if let Some((_, indent, _, text)) = &mut open {
                text.push_str(line.get(*indent..).unwrap_or(line.trim_start()));
                text.push('\n');
            }
            continue;
        };
        let unread = |why: String| Unread { place: format!("{page}:{}", at + 1), why };
        match open.take() {
            Some((line, _, kind, text)) if words.trim().is_empty() => {
                blocks.push(Block { page: page.into(), line, kind, text });
            }
            Some((line, ..)) => return Err(unread(format!("the block of line {line} has not ended"))),
            None => {
                let kind = Kind::read(words.trim()).ok_or_else(|| {
                    unread(format!("a block `{}`: docs/testing.md says which there are", words.trim()))
                })?;
                open = Some((at + 1, line.len() - line.trim_start().len(), kind, String::new()));
            }
        }
    }
    match open {
        Some((line, ..)) => {
            Err(Unread { place: format!("{page}:{line}"), why: "the block does not end".into() })
        }
        None => Ok(blocks),
    }
}

/// Commands of a `console` block, each with what it prints.
pub(super) fn commands(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.into(), String::new())),
            // A command goes on while a quote is open or its line ends with a backslash.
            (None, Some((command, printed))) if printed.is_empty() && unfinished(command) => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, printed))) => {
                printed.push_str(line);
                printed.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

fn unfinished(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// Lines of commands, without comments and empty lines; continued lines are joined.
pub(super) fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let bare = joined.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim().to_string());
    bare.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_place_kind_and_text() {
        let text = "# page\n\n  ```console like\n  $ a\n  1\n  ```\n";
        let blocks = read("p.md", text).unwrap();
        let kind = Kind::Console { like: true, live: false };
        assert_eq!(blocks, [Block { page: "p.md".into(), line: 3, kind, text: "$ a\n1\n".into() }]);
    }

    #[test]
    fn a_block_without_a_known_kind_or_end_is_an_error_with_its_place() {
        assert!(read("p.md", "\n```\nx\n```\n").unwrap_err().to_string().starts_with("p.md:2: a block ``"));
        assert!(read("p.md", "```sh\nx\n").unwrap_err().to_string().starts_with("p.md:1: "));
    }

    #[test]
    fn commands_go_on_over_lines() {
        let found = commands("$ a 'x\n y'\nout\n$ b \\\n c\n$ d\n");
        let expected = [("a 'x\n y'", "out\n"), ("b \\\n c", ""), ("d", "")];
        assert_eq!(found, expected.map(|(c, p)| (c.to_string(), p.to_string())));
    }

    #[test]
    fn lines_lose_comments() {
        assert_eq!(lines("a --b   # why\n# none\n\nc \\\n d\n"), ["a --b", "c   d"]);
    }
}

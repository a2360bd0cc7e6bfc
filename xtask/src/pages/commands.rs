//! Commands that stand in a line of text, between backticks: their flags must be ones that there are.

/// What such a command begins with.
const BEGIN: [&str; 4] = ["qmesh ", "cargo xtask ", "cargo run --release -- ", "kubectl qmesh "];
/// What stands for something else there: such a command is a form, not a command.
const FORM: [char; 6] = ['…', '[', '<', '|', '{', '*'];

/// The commands of a page, with their lines.
pub(super) fn inline(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Between an odd and the next even backtick is code.
        for code in line.split('`').skip(1).step_by(2) {
            if BEGIN.iter().any(|begin| code.starts_with(begin)) && !code.contains(FORM) {
                found.push((at + 1, code.to_string()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_and_forms_are_not() {
        let text = "Use `qmesh up --live` or\n`cargo xtask test --only unit`; `qmesh query [API]`, `other`.\n```\n`qmesh x`\n```\n";
        let found: Vec<(usize, String)> = inline(text);
        let expected = [(1, "qmesh up --live"), (2, "cargo xtask test --only unit")];
        assert_eq!(found, expected.map(|(line, c)| (line, c.to_string())));
    }
}

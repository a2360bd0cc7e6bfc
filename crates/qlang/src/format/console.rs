//! What the console shows of a value: lists an item a line, dictionaries as `key| value`, tables with a rule,
//! cut to the console's size with `..`.

use kvalue::Type;

use super::{atom, inline::inline_bytes, precision};
use crate::{
    ctx::Settings,
    value::{Sym, Table, Value, Vector},
};

/// What a console of `size` lines and columns prints for a value, with the final newline; empty for `::`.
pub fn console_bytes(v: &Value, s: &Settings, size: (usize, usize)) -> Vec<u8> {
    if v.is_function() {
        // The text of a function is shown whole.
        let mut out = inline_bytes(v, s, usize::MAX);
        out.push(b'\n');
        return out;
    }
    let screen = Screen { s, lines: size.0.max(5) - 2, width: size.1.max(5) - 1 };
    let (lines, more) = screen.value(v);
    let mut out = Vec::new();
    let cut = more || lines.len() > screen.lines;
    let shown = if cut { lines.len().min(screen.lines - 1) } else { lines.len() };
    for line in &lines[..shown] {
        if line.len() > screen.width {
            out.extend_from_slice(&line[..screen.width - 2]);
            out.extend_from_slice(b"..");
        } else {
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
    if cut {
        out.extend_from_slice(b"..\n");
    }
    out
}

struct Screen<'a> {
    s: &'a Settings,
    lines: usize,
    width: usize,
}

type Line = Vec<u8>;

impl Screen<'_> {
    /// The lines of a value, as many as the screen may need, and whether there would be more.
    fn value(&self, v: &Value) -> (Vec<Line>, bool) {
        match v {
            Value::Nil | Value::Hole => (Vec::new(), false),
            Value::List(l) if !l.is_empty() => {
                let (head, more) = self.head(l.len(), 0);
                (self.rows(&l[..head]), more)
            }
            Value::Table(t) if !t.columns.is_empty() => {
                let (head, more) = self.head(t.len(), 2);
                (self.table(t, head), more)
            }
            Value::Mapped(m) => match m.head(2 + self.lines) {
                Ok(loaded) => self.value(&loaded),
                Err(_) => (vec![self.inline(v)], false),
            },
            Value::Dict(d) => {
                let header = matches!(d.keys, Value::Table(_)) || matches!(d.values, Value::Table(_));
                // An empty dictionary shows nothing.
                if d.is_empty() && !header {
                    return (Vec::new(), false);
                }
                let (head, more) = self.head(d.len(), if header { 2 } else { 0 });
                let left = self.side(&d.keys, head, header, true);
                let right = self.side(&d.values, head, header, false);
                let mut lines: Vec<Line> = left
                    .into_iter()
                    .zip(right)
                    .map(|(mut l, r)| {
                        l.extend_from_slice(b"| ");
                        l.extend_from_slice(&r);
                        l
                    })
                    .collect();
                if header && lines.len() > 1 {
                    // The rule has no blank before the bar.
                    if let Some(bar) = lines[1].iter().position(|&b| b == b'|') {
                        lines[1][..bar].fill(b'-');
                    }
                }
                (lines, more)
            }
            v => (vec![self.inline(v)], false),
        }
    }

    /// How many of `n` items to format below `taken` lines, and whether some are left out.
    fn head(&self, n: usize, taken: usize) -> (usize, bool) {
        let room = self.lines.saturating_sub(taken).max(1);
        if n > room { (room - usize::from(room > 1), true) } else { (n, false) }
    }

    fn inline(&self, v: &Value) -> Line {
        inline_bytes(v, self.s, self.width + 1)
    }

    /// One line an item; items of lists of equal length stand in columns.
    fn rows(&self, items: &[Value]) -> Vec<Line> {
        let Some(width) = matrix(items) else { return items.iter().map(|v| self.inline(v)).collect() };
        // Columns that no line has room for need no text.
        let columns = width.min(self.width);
        let cells: Vec<Vec<Line>> = items.iter().map(|v| self.cells(v, columns)).collect();
        let mut lines: Vec<Line> = vec![Line::new(); items.len()];
        for c in 0..columns {
            let wide = cells.iter().map(|r| r[c].len()).max().unwrap_or(0);
            for (line, row) in lines.iter_mut().zip(&cells) {
                line.extend_from_slice(&row[c]);
                pad(line, wide - row[c].len() + usize::from(c + 1 < width));
            }
        }
        lines
    }

    /// The first `n` items as cells: plain text of the elements of a vector, q text of the items of a general list.
    fn cells(&self, v: &Value, n: usize) -> Vec<Line> {
        match v {
            Value::Vector(v) => (0..n).map(|i| self.plain(v, i)).collect(),
            v => (0..n).map(|i| self.inline(&v.at(i))).collect(),
        }
    }

    fn plain(&self, v: &Vector, i: usize) -> Line {
        let mut out = Line::new();
        let x = match v.at(i) {
            Value::Enum(e) => match e.value() {
                Value::Dict(_) | Value::List(_) => return self.inline(&e.value()),
                x => x,
            },
            x => x,
        };
        if let Some((ty, x)) = x.as_scalar() {
            atom::plain(&mut out, ty, x, precision(self.s));
        }
        out
    }

    fn table(&self, t: &Table, rows: usize) -> Vec<Line> {
        let columns: Vec<(Sym, Vec<Line>)> =
            t.names.iter().zip(&t.columns).map(|(n, c)| (*n, self.cells(c, rows))).collect();
        let mut lines = vec![Line::new(); rows + 2];
        let mut wide = 0;
        for (i, (name, cells)) in columns.iter().enumerate() {
            if wide > self.width + 1 {
                break;
            }
            let width = cells.iter().map(Vec::len).max().unwrap_or(0).max(name.bytes().len());
            if i > 0 {
                lines.iter_mut().for_each(|l| l.push(b' '));
                lines[1].pop();
                lines[1].push(b'-');
            }
            lines[0].extend_from_slice(name.bytes());
            pad(&mut lines[0], width - name.bytes().len());
            let rule = lines[1].len() + width;
            lines[1].resize(rule, b'-');
            for (line, cell) in lines[2..].iter_mut().zip(cells) {
                line.extend_from_slice(cell);
                pad(line, width - cell.len());
            }
            wide += width + 1;
        }
        lines
    }

    /// Keys or values of a dictionary. With `header` two lines stand above the items: names and rule of a table,
    /// blanks for a list.
    fn side(&self, v: &Value, rows: usize, header: bool, key: bool) -> Vec<Line> {
        let mut lines = match v {
            Value::Table(t) => self.table(t, rows),
            v => {
                let mut lines = match v {
                    Value::List(l) if !key => self.rows(&l[..rows.min(l.len())]),
                    v => self.cells(v, rows),
                };
                if header {
                    let width = lines.iter().map(Vec::len).max().unwrap_or(0);
                    lines.insert(0, Line::new());
                    lines.insert(1, vec![b'-'; width]);
                }
                lines
            }
        };
        if key {
            let width = lines.iter().map(Vec::len).max().unwrap_or(0);
            for line in &mut lines {
                let missing = width - line.len();
                pad(line, missing);
            }
        }
        lines
    }
}

fn pad(line: &mut Line, n: usize) {
    line.resize(line.len() + n, b' ');
}

/// The common length of the items, where they are lists that stand in columns: not all of them strings, all
/// boolean or all byte vectors.
fn matrix(items: &[Value]) -> Option<usize> {
    let first = items.first()?;
    let n = first.count();
    if !items.iter().all(|v| v.is_list() && v.count() == n) {
        return None;
    }
    let line = |v: &Value| match v {
        Value::Vector(v) if matches!(v.ty, Type::Char | Type::Boolean | Type::Byte) => Some(v.ty),
        _ => None,
    };
    match line(first) {
        Some(ty) if items.iter().all(|v| line(v) == Some(ty)) => None,
        _ => Some(n),
    }
}

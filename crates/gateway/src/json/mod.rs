//! q objects as JSON, written straight from their encoded bytes, a piece at a time.
//!
//! | q | JSON |
//! | --- | --- |
//! | table, keyed table | array of row objects (key columns first) |
//! | dictionary | object; keys that are no text are written as text |
//! | list, vector | array; char vector: string |
//! | boolean | `true`, `false` |
//! | short, int, long | number |
//! | real, float | shortest number that reads back the same |
//! | byte | two hex digits in a string, as `.j.j` does |
//! | char, symbol, guid | string; bytes that are no UTF-8 become U+FFFD |
//! | timestamp, datetime | `2024-11-22T12:15:22.941000000`, `2024-11-22T12:15:22.941` |
//! | date, month | `2024-11-22`, `2024-11` |
//! | timespan | `0D07:33:41.240573052` |
//! | time, second, minute | `12:15:22.941`, `12:15:22`, `12:15` |
//! | lambda | its text |
//! | `::`, other functions, null and infinite numbers and times | `null` |
//!
//! Null symbols, chars and guids have texts of their own and are written as those. Infinities are `null`
//! because JSON has none and clients take KX's raw integers for data. Nothing is decoded into values; rows
//! are read from the columns where these lie in the frame. Tests: `tests.rs`.

mod cell;
mod cursor;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use qipc::{DecodeError, Limits, TableView};

use cursor::{Cursor, is_leaf, leaf_len, put_leaf};

const TABLE: u8 = 98;
const DICT: u8 = 99;
const SORTED_DICT: u8 = 127;

/// A JSON text in the making.
pub(crate) struct Json {
    stack: Vec<Frame>,
    limits: Limits,
}

/// Something whose beginning has been written and whose end has not.
enum Frame {
    /// Text to write, then nothing.
    Text(Bytes),
    /// An object to begin.
    Object(Bytes),
    /// An object to begin as lines.
    Lines(Bytes),
    /// A response header to begin.
    Header(Bytes),
    Rows(Rows),
    List {
        items: Cursor,
        first: bool,
    },
    Dict {
        keys: Cursor,
        values: Cursor,
        first: bool,
        is_header: bool,
    },
}

/// Rows of a table that are not written yet.
struct Rows {
    columns: Vec<Column>,
    left: u64,
    /// column whose cell comes next; 0 begins a row
    at: usize,
    first: bool,
    ends: Ends,
}

struct Column {
    /// `{"name":` or `,"name":`
    prefix: Vec<u8>,
    cells: Cursor,
}

impl Json {
    /// `prefix`, the object as JSON, `suffix`. The object is validated when its turn comes.
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>, limits: &Limits) -> Json {
        let mut stack: Vec<Frame> = parts
            .into_iter()
            .map(|p| match p {
                Part::Text(text) => Frame::Text(Bytes::from_static(text.as_bytes())),
                Part::Object(object) => Frame::Object(object),
                Part::Lines(object) => Frame::Lines(object),
                Part::Header(object) => Frame::Header(object),
                Part::Raw(text) => Frame::Text(text),
            })
            .collect();
        stack.reverse();
        Json { stack, limits: limits.clone() }
    }

    /// Writes until `out` holds `enough` bytes. False once all is written.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> Result<bool, DecodeError> {
        while out.len() < enough {
            let Some(top) = self.stack.last_mut() else { return Ok(false) };
            match top.step(out, enough, &self.limits)? {
                Step::More => {}
                Step::Done => {
                    self.stack.pop();
                }
                Step::Replace(frame) => *top = *frame,
                Step::Push(object) => self.stack.push(Frame::Object(object)),
                Step::PushFrame(frame) => self.stack.push(*frame),
            }
        }
        Ok(!self.stack.is_empty())
    }

    /// All of an object's JSON.
    pub(crate) fn text(object: &Bytes, limits: &Limits) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        Json::new([Part::Object(object.clone())], limits).fill(&mut out, usize::MAX)?;
        Ok(out)
    }
}

/// A part of a JSON text.
pub(crate) enum Part {
    /// written as it is
    Text(&'static str),
    /// text made before, written as it is
    Raw(Bytes),
    /// an encoded q object
    Object(Bytes),
    /// an encoded response header: an object whose `refVintage` is a number whatever its value
    Header(Bytes),
    /// an encoded q object as lines: one for each row of a table, one for anything else (NDJSON)
    Lines(Bytes),
}

enum Step {
    More,
    Done,
    Replace(Box<Frame>),
    Push(Bytes),
    PushFrame(Box<Frame>),
}

/// What stands between rows and behind the last one.
#[derive(Debug, Clone, Copy)]
struct Ends {
    between: &'static [u8],
    after_row: &'static [u8],
    last: &'static [u8],
}

impl Ends {
    const ARRAY: Ends = Ends { between: b",", after_row: b"", last: b"]" };
    const LINES: Ends = Ends { between: b"", after_row: b"\n", last: b"" };
}

impl Frame {
    fn step(&mut self, out: &mut Vec<u8>, enough: usize, limits: &Limits) -> Result<Step, DecodeError> {
        match self {
            Frame::Text(text) => {
                out.extend_from_slice(text);
                Ok(Step::Done)
            }
            Frame::Object(object) => open(&object.clone(), out, limits),
            Frame::Lines(object) => match open(&object.clone(), out, limits)? {
                Step::Replace(frame) => match *frame {
                    Frame::Rows(mut rows) => {
                        // The bracket of the array that lines are not.
                        out.pop();
                        rows.ends = Ends::LINES;
                        Ok(Step::Replace(Box::new(Frame::Rows(rows))))
                    }
                    other => {
                        *self = Frame::Text(Bytes::from_static(b"\n"));
                        Ok(Step::PushFrame(Box::new(other)))
                    }
                },
                _ => {
                    out.push(b'\n');
                    Ok(Step::Done)
                }
            },
            Frame::Header(object) => {
                let mut step = open(&object.clone(), out, limits)?;
                if let Step::Replace(frame) = &mut step
                    && let Frame::Dict { is_header, .. } = &mut **frame
                {
                    *is_header = true;
                }
                Ok(step)
            }
            Frame::Rows(rows) => rows.step(out, enough),
            Frame::List { items, first } => {
                while out.len() < enough {
                    if items.is_done() {
                        out.push(b']');
                        return Ok(Step::Done);
                    }
                    if !std::mem::take(first) {
                        out.push(b',');
                    }
                    if let Some(nested) = items.put(out)? {
                        return Ok(Step::Push(nested));
                    }
                }
                Ok(Step::More)
            }
            Frame::Dict { keys, values, first, is_header } => {
                while out.len() < enough {
                    if keys.is_done() || values.is_done() {
                        out.push(b'}');
                        return Ok(Step::Done);
                    }
                    if !std::mem::take(first) {
                        out.push(b',');
                    }
                    let key = out.len();
                    put_key(keys, out, limits)?;
                    // An integer by KX's OpenAPI, though it is `-0Wj` where no reference data took part.
                    let whole = *is_header && out[key..] == *b"\"refVintage\"";
                    out.push(b':');
                    if whole && let Some(n) = values.long() {
                        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                        continue;
                    }
                    if let Some(nested) = values.put(out)? {
                        return Ok(Step::Push(nested));
                    }
                }
                Ok(Step::More)
            }
        }
    }
}

/// Begins an object; what is small is written whole.
fn open(object: &Bytes, out: &mut Vec<u8>, limits: &Limits) -> Result<Step, DecodeError> {
    if is_leaf(object) {
        let len = qipc::object_len(object, limits)?;
        put_leaf(&object[..len], out);
        return Ok(Step::Done);
    }
    match object[0] {
        TABLE => {
            let view = qipc::table_view(object, limits)?;
            out.push(b'[');
            Ok(Step::Replace(Box::new(Frame::Rows(Rows::new(&[view], limits)?))))
        }
        DICT | SORTED_DICT => {
            let inside = object.slice(1..);
            let split = qipc::object_len(&inside, limits)?;
            let (keys, values) = (inside.slice(..split), inside.slice(split..));
            if keys[0] == TABLE && values.first() == Some(&TABLE) {
                let views = [qipc::table_view(&keys, limits)?, qipc::table_view(&values, limits)?];
                out.push(b'[');
                return Ok(Step::Replace(Box::new(Frame::Rows(Rows::new(&views, limits)?))));
            }
            let (keys, values) = (Cursor::open(&keys, limits)?, Cursor::open(&values, limits)?);
            out.push(b'{');
            Ok(Step::Replace(Box::new(Frame::Dict { keys, values, first: true, is_header: false })))
        }
        _ => {
            let items = Cursor::open(object, limits)?;
            out.push(b'[');
            Ok(Step::Replace(Box::new(Frame::List { items, first: true })))
        }
    }
}

/// A key as a JSON string.
fn put_key(keys: &mut Cursor, out: &mut Vec<u8>, limits: &Limits) -> Result<(), DecodeError> {
    let start = out.len();
    if let Some(nested) = keys.put(out)? {
        out.truncate(start);
        out.extend(Json::text(&nested, limits)?);
    }
    if out.get(start) != Some(&b'"') || out.len() - start < 2 {
        let text = out.split_off(start);
        cell::put_string(&text, out);
    }
    Ok(())
}

impl Rows {
    fn new(views: &[TableView], limits: &Limits) -> Result<Rows, DecodeError> {
        let left = views.first().map_or(0, TableView::rows);
        let mut columns: Vec<Column> = Vec::new();
        for view in views {
            for (name, column) in view.names.iter().zip(&view.columns) {
                let mut prefix = vec![if columns.is_empty() { b'{' } else { b',' }];
                cell::put_string(name, &mut prefix);
                prefix.push(b':');
                columns.push(Column { prefix, cells: Cursor::of_column(column, limits)? });
            }
        }
        // A keyed table whose sides differ in length was refused when it was validated.
        let left = if columns.is_empty() { 0 } else { left };
        Ok(Rows { left, columns, at: 0, first: true, ends: Ends::ARRAY })
    }

    fn step(&mut self, out: &mut Vec<u8>, enough: usize) -> Result<Step, DecodeError> {
        while out.len() < enough {
            if self.left == 0 {
                out.extend_from_slice(self.ends.last);
                return Ok(Step::Done);
            }
            if self.at == 0 && !std::mem::take(&mut self.first) {
                out.extend_from_slice(self.ends.between);
            }
            while let Some(column) = self.columns.get_mut(self.at) {
                self.at += 1;
                out.extend_from_slice(&column.prefix);
                if let Some(nested) = column.cells.put(out)? {
                    return Ok(Step::Push(nested));
                }
            }
            out.push(b'}');
            out.extend_from_slice(self.ends.after_row);
            self.at = 0;
            self.left -= 1;
        }
        Ok(Step::More)
    }

    /// The next row as one text: for a table whose rows are values of a dictionary or cells of a column.
    fn put_row(&mut self, out: &mut Vec<u8>, limits: &Limits) -> Result<(), DecodeError> {
        if self.columns.is_empty() {
            out.extend_from_slice(b"{}");
        }
        for column in &mut self.columns {
            out.extend_from_slice(&column.prefix);
            if let Some(nested) = column.cells.put(out)? {
                out.extend(Json::text(&nested, limits)?);
            }
        }
        if !self.columns.is_empty() {
            out.push(b'}');
        }
        self.left = self.left.saturating_sub(1);
        Ok(())
    }
}

/// Length of a leaf or of any other object.
fn item_len(bytes: &[u8], limits: &Limits) -> Result<usize, DecodeError> {
    match leaf_len(bytes) {
        Some(len) => Ok(len),
        None => qipc::object_len(bytes, limits),
    }
}

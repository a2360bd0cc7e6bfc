//! Tables as XML and as spreadsheets, for `save`.

use crate::{
    R,
    ctx::Ctx,
    ops::text::write_element,
    value::{Table, Value},
};

/// The lines of a table as `xml` or `xls`.
pub(super) fn lines(ctx: &mut dyn Ctx, kind: &str, t: &Table) -> R<Vec<Vec<u8>>> {
    let digits = crate::format::precision(ctx.settings());
    let cell = |column: &Value, i: usize| -> Vec<u8> {
        let mut out = Vec::new();
        match column {
            Value::Vector(v) => write_element(&mut out, v, i, digits),
            column => out = column.at(i).as_name().unwrap_or_default(),
        }
        escaped(&out)
    };
    if kind == "xml" {
        let mut lines = vec![b"<R>".to_vec()];
        for i in 0..t.len() {
            let mut line = b"<r>".to_vec();
            for (name, column) in t.names.iter().zip(&t.columns) {
                let name = name.bytes();
                line.extend([b"<", name, b">", &cell(column, i), b"</", name, b">"].concat());
            }
            line.extend_from_slice(b"</r>");
            lines.push(line);
        }
        lines.push(b"</R>".to_vec());
        return Ok(lines);
    }
    let mut body = b"<Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\" \
        xmlns:ss=\"urn:schemas-microsoft-com:office:spreadsheet\"><Worksheet ss:Name=\"Sheet\"><Table>"
        .to_vec();
    let row = |cells: Vec<(&str, Vec<u8>)>| {
        let mut out = b"<Row>".to_vec();
        for (ty, text) in cells {
            out.extend_from_slice(format!("<Cell><Data ss:Type=\"{ty}\">").as_bytes());
            out.extend_from_slice(&text);
            out.extend_from_slice(b"</Data></Cell>");
        }
        out.extend_from_slice(b"</Row>");
        out
    };
    body.extend(row(t.names.iter().map(|n| ("String", escaped(n.bytes()))).collect()));
    for i in 0..t.len() {
        let cells = t.columns.iter().map(|c| {
            let is_number = matches!(c, Value::Vector(v) if v.ty.is_numeric());
            (if is_number { "Number" } else { "String" }, cell(c, i))
        });
        body.extend(row(cells.collect()));
    }
    body.extend_from_slice(b"</Table></Worksheet></Workbook>");
    Ok(vec![b"<?xml version=\"1.0\"?><?mso-application progid=\"Excel.Sheet\"?>".to_vec(), body])
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        match b {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b => out.push(*b),
        }
    }
    out
}

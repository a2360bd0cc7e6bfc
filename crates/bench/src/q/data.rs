//! Made-up trades and quotes as columns of raw little-endian numbers, one file each: all sides of the benches read
//! the same bytes. Symbols are codes, with a text file of their names.

use std::path::Path;

use qlang::value::{Data, Sym, Table, Value};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::error::Error;

/// Rows of trades and of quotes.
pub(crate) const ROWS: usize = 10_000_000;
/// 2024.01.02 as q's timestamp.
const DAY: i64 = 8767 * 86_400_000_000_000;
/// From half past nine to four.
const OPEN: (i64, i64) = (34_200_000_000_000, 23_400_000_000_000);
const SYMS: usize = 500;
const EXCHANGES: usize = 12;
const CONDS: usize = 40;
/// Items that vectors are searched for, and steps they are put between.
pub(crate) const FEW: usize = 1000;

/// Writes the files, unless they are there.
pub(crate) fn write(dir: &Path) -> Result<(), Error> {
    let mark = dir.join(format!("complete-{ROWS}"));
    if mark.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(Error::io(dir.display().to_string()))?;
    let mut random = StdRng::seed_from_u64(17);
    names(dir, "sym", (0..SYMS).map(|i| format!("s{i:03}")))?;
    names(dir, "ex", (0..EXCHANGES).map(|i| format!("X{i:02}")))?;
    names(dir, "cond", (0..CONDS).map(|i| format!("{}{}", (b'A' + (i % 10) as u8) as char, i / 10)))?;
    times(dir, "trade.time", &mut random)?;
    codes(dir, "trade.sym", SYMS, &mut random)?;
    codes(dir, "trade.ex", EXCHANGES, &mut random)?;
    codes(dir, "trade.cond", CONDS, &mut random)?;
    longs(dir, "trade.size", (0..ROWS).map(|_| random.random_range(1..10_000)))?;
    floats(dir, "trade.price", (0..ROWS).map(|_| f64::from(random.random_range(1000u32..20_000)) / 100.0))?;
    times(dir, "quote.time", &mut random)?;
    codes(dir, "quote.sym", SYMS, &mut random)?;
    floats(dir, "quote.bid", (0..ROWS).map(|_| f64::from(random.random_range(1000u32..20_000)) / 100.0))?;
    floats(dir, "quote.ask", (0..ROWS).map(|_| f64::from(random.random_range(1000u32..20_000)) / 100.0))?;
    floats(dir, "vectors.b", (0..ROWS).map(|_| random.random::<f64>()))?;
    longs(dir, "vectors.few", (0..FEW).map(|_| random.random_range(1..20_000)))?;
    let mut steps: Vec<f64> = (0..FEW).map(|_| random.random::<f64>() * 200.0).collect();
    steps.sort_by(f64::total_cmp);
    floats(dir, "vectors.steps", steps.into_iter())?;
    std::fs::write(&mark, b"").map_err(Error::io(mark.display().to_string()))
}

fn put(dir: &Path, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
    let path = dir.join(name);
    std::fs::write(&path, bytes).map_err(Error::io(path.display().to_string()))
}

fn names(dir: &Path, name: &str, names: impl Iterator<Item = String>) -> Result<(), Error> {
    let text: String = names.map(|n| n + "\n").collect();
    put(dir, &format!("{name}.names"), text.into_bytes())
}

fn longs(dir: &Path, name: &str, items: impl Iterator<Item = i64>) -> Result<(), Error> {
    put(dir, name, items.flat_map(i64::to_le_bytes).collect())
}

fn floats(dir: &Path, name: &str, items: impl Iterator<Item = f64>) -> Result<(), Error> {
    put(dir, name, items.flat_map(f64::to_le_bytes).collect())
}

fn codes(dir: &Path, name: &str, count: usize, random: &mut StdRng) -> Result<(), Error> {
    let items = (0..ROWS).map(|_| random.random_range(0..count as u32));
    put(dir, name, items.flat_map(u32::to_le_bytes).collect())
}

fn times(dir: &Path, name: &str, random: &mut StdRng) -> Result<(), Error> {
    let mut times: Vec<i64> = (0..ROWS).map(|_| DAY + OPEN.0 + random.random_range(0..OPEN.1)).collect();
    times.sort_unstable();
    longs(dir, name, times.into_iter())
}

fn bytes(dir: &Path, name: &str) -> Result<Vec<u8>, Error> {
    let path = dir.join(name);
    std::fs::read(&path).map_err(Error::io(path.display().to_string()))
}

fn numbers<const N: usize, T>(dir: &Path, name: &str, from: fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
    Ok(bytes(dir, name)?.as_chunks::<N>().0.iter().map(|chunk| from(*chunk)).collect())
}

/// A float column.
pub(crate) fn float_column(dir: &Path, name: &str) -> Result<Value, Error> {
    Ok(Value::floats(numbers(dir, name, f64::from_le_bytes)?))
}

/// A long column.
pub(crate) fn long_column(dir: &Path, name: &str) -> Result<Value, Error> {
    Ok(Value::longs(numbers(dir, name, i64::from_le_bytes)?))
}

/// A symbol column's codes.
pub(crate) fn code_column(dir: &Path, name: &str) -> Result<Vec<u32>, Error> {
    numbers(dir, name, u32::from_le_bytes)
}

fn column(dir: &Path, table: &str, name: &str) -> Result<Value, Error> {
    let file = format!("{table}.{name}");
    match name {
        "time" => {
            let times = numbers(dir, &file, i64::from_le_bytes)?;
            let sorted = qlang::value::Vector::new(kvalue::Type::Timestamp, Data::I64(times.into()));
            Ok(Value::Vector(sorted.with_attr(kvalue::Attr::Sorted).into()))
        }
        "sym" | "ex" | "cond" => {
            let text = String::from_utf8_lossy(&bytes(dir, &format!("{name}.names"))?).into_owned();
            let names: Vec<Sym> = text.split_whitespace().map(Sym::new).collect();
            Ok(Value::syms(code_column(dir, &file)?.into_iter().map(|c| names[c as usize]).collect()))
        }
        "size" => long_column(dir, &file),
        _ => float_column(dir, &file),
    }
}

/// A table of these columns.
pub(crate) fn table(dir: &Path, table: &str, names: &[&str]) -> Result<Value, Error> {
    let columns = names.iter().map(|name| column(dir, table, name)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<Sym> = names.iter().map(Sym::new).collect();
    Ok(Value::table(Table::new(names, columns).map_err(|e| Error::Other(e.to_string()))?))
}

//! What a column file is: its shape, type, attribute, rows, and where its data starts.
//!
//! Rule: the count in a header is not reliable (stale after appends, 0 in newer files). Without an index
//! behind the data the rows follow from the size; with one, the header's count is checked against the index.
//! Tests: `tests/vectors.rs`.

use kvalue::{Attr, Type};

use super::{i64_at, image::Image, symbols};
use crate::HdbError;

/// Where data starts in page-form files.
pub(crate) const PAGE: u64 = 4096;
/// Where the object header stands in page-form files.
const PAGE_HEADER: usize = 4080;
/// Type number of the old nested forms above the type of their items.
const NESTED: u8 = 77;

/// The form of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// elements of one fixed width
    Fixed(Type),
    /// indices of `width` bytes into the domain of this name
    Enum { domain: String, width: u64 },
    /// kdb+ up to 3.5: cumulative ends into `name#`
    Nested(Type),
    /// kdb+ from 3.6: references into the heap `name#`
    AnyMap,
    /// one serialised object
    Serialised,
}

/// A column file's header, checked against its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) shape: Shape,
    pub(crate) attr: Attr,
    pub(crate) rows: u64,
    /// Offset of the first element.
    pub(crate) start: u64,
    /// Bytes of an element.
    pub(crate) width: u64,
}

impl Header {
    /// Bytes of elements `rows`, as plain offsets.
    pub(crate) fn bytes_of(&self, rows: &std::ops::Range<usize>) -> std::ops::Range<u64> {
        self.start + rows.start as u64 * self.width..self.start + rows.end as u64 * self.width
    }

    /// Offset behind the last element.
    pub(crate) fn data_end(&self) -> u64 {
        self.start + self.rows * self.width
    }
}

/// Reads the header of a column file.
pub(crate) fn read(image: &Image) -> Result<Header, HdbError> {
    let head = image.head(PAGE)?;
    let path = image.path();
    let start_of = |n: usize| format!("{} bytes starting {:02x?}", image.len(), &head[..head.len().min(n)]);
    let corrupt = |expected: &str| HdbError::corrupt(path, start_of(4), expected);
    match head.get(..2) {
        Some([0xff, 0x01]) => {
            if head.get(2) == Some(&0x0b) {
                return Err(HdbError::corrupt(
                    path,
                    "a plain symbol vector",
                    "an enumerated column (q's 'type: enumerate with .Q.en before saving)",
                ));
            }
            // Rows are known once the object is decoded.
            Ok(Header { shape: Shape::Serialised, attr: Attr::None, rows: 0, start: 2, width: 0 })
        }
        Some([0xfe, 0x20]) => plain(image, &head),
        Some([0xfe, _]) => enum32(image, &head),
        Some([0xfd, 0x20]) => page(image, &head),
        Some([0xff, _]) => Err(HdbError::Unsupported {
            path: path.into(),
            what: "a column of kdb+ 2.x".into(),
            next: "save it again with kdb+ 3.0 or later",
        }),
        _ => Err(corrupt("a column file (starting ff 01, fe or fd 20)")),
    }
}

fn attr_of(image: &Image, byte: u8) -> Result<Attr, HdbError> {
    Attr::from_number(byte)
        .ok_or_else(|| HdbError::corrupt(image.path(), format!("attribute {byte}"), "0 to 4"))
}

/// Shape B: `fe 20`, type, attribute, reference count, count; data at 16.
fn plain(image: &Image, head: &[u8]) -> Result<Header, HdbError> {
    let (Some(&ty), Some(&attr), Some(count)) = (head.get(2), head.get(3), i64_at(head, 8)) else {
        return Err(HdbError::corrupt(image.path(), format!("{} bytes", head.len()), "a header of 16 bytes"));
    };
    let attr = attr_of(image, attr)?;
    if let Some(t) = Type::from_number(ty).filter(|t| t.width().is_some()) {
        return sized(image, Shape::Fixed(t), attr, 16, t.width().unwrap_or(1) as u64, count);
    }
    let item = ty.checked_sub(NESTED).and_then(Type::from_number).filter(|t| t.width().is_some());
    if let Some(t) = item {
        return sized(image, Shape::Nested(t), attr, 16, 8, count);
    }
    if ty == 97 || ty == NESTED + Type::Symbol.number() {
        return Err(HdbError::Unsupported {
            path: image.path().into(),
            what: "nested symbols of kdb+ before 3.6".into(),
            next: "save the column again with kdb+ 3.6 or later",
        });
    }
    Err(HdbError::corrupt(image.path(), format!("type {ty}"), "a type of fixed width (1-19 but 11) or 78-97"))
}

/// Shape C: `fe`, the domain's name, attribute, count; 32-bit indices. A long name moves the header.
fn enum32(image: &Image, head: &[u8]) -> Result<Header, HdbError> {
    let corrupt = |found: String, expected: &str| HdbError::corrupt(image.path(), found, expected);
    let nul = kvalue::nul::find(head.get(1..).unwrap_or_default()).map(|i| i + 1);
    let Some(nul) = nul else {
        return Err(corrupt("a domain name without end".into(), "a name ended by NUL within 4096 bytes"));
    };
    let domain = symbols::leaf(image.path(), &head[1..nul])?.to_owned();
    // A name of up to 9 bytes fits; each 8 bytes more move count and data by 8.
    let count_at = 16 + 8 * ((nul.max(3) - 3) / 8);
    let (Some(&attr), Some(count)) = (head.get(count_at - 5), i64_at(head, count_at)) else {
        return Err(corrupt(format!("{} bytes", head.len()), "the header of an enumerated column"));
    };
    let attr = attr_of(image, attr)?;
    sized(image, Shape::Enum { domain, width: 4 }, attr, count_at as u64 + 8, 4, count)
}

/// Shape D: `fd 20`, a name at 16, the object header at 4080, data at 4096.
fn page(image: &Image, head: &[u8]) -> Result<Header, HdbError> {
    let corrupt = |found: String, expected: &str| HdbError::corrupt(image.path(), found, expected);
    let (Some(object), Some(count)) = (head.get(PAGE_HEADER..), i64_at(head, PAGE_HEADER + 8)) else {
        return Err(corrupt(format!("{} bytes", head.len()), "a first page of 4096 bytes"));
    };
    if object[0] != 0xfd {
        return Err(corrupt(format!("{:02x?} at byte 4080", &object[..4]), "fd, an object header"));
    }
    let attr = attr_of(image, object[3])?;
    match object[2] {
        20 => {
            let name = &head[16..PAGE_HEADER];
            let Some(nul) = kvalue::nul::find(name) else {
                return Err(corrupt("a domain name without end".into(), "a name ended by NUL"));
            };
            let domain = symbols::leaf(image.path(), &name[..nul])?.to_owned();
            sized(image, Shape::Enum { domain, width: 8 }, attr, PAGE, 8, count)
        }
        77 => sized(image, Shape::AnyMap, attr, PAGE, 8, count),
        ty => match Type::from_number(ty).filter(|t| t.width().is_some()) {
            Some(t) => sized(image, Shape::Fixed(t), attr, PAGE, t.width().unwrap_or(1) as u64, count),
            None => Err(corrupt(format!("type {ty} in a page-form file"), "20 (enumeration) or 77 (nested)")),
        },
    }
}

fn sized(
    image: &Image,
    shape: Shape,
    attr: Attr,
    start: u64,
    width: u64,
    count: i64,
) -> Result<Header, HdbError> {
    let corrupt = |found: String, expected: String| HdbError::corrupt(image.path(), found, expected);
    let Some(room) = image.len().checked_sub(start) else {
        return Err(corrupt(format!("{} bytes", image.len()), format!("data from byte {start} on")));
    };
    let rows = match attr {
        Attr::None | Attr::Sorted => {
            if !room.is_multiple_of(width) {
                return Err(corrupt(
                    format!("{room} bytes of data"),
                    format!("a whole number of elements of {width} bytes (a write was torn)"),
                ));
            }
            room / width
        }
        Attr::Unique | Attr::Parted | Attr::Grouped => {
            let fits = u64::try_from(count).ok().filter(|&n| n <= room / width);
            fits.ok_or_else(|| {
                corrupt(format!("a count of {count}"), format!("0 to {}, what the file holds", room / width))
            })?
        }
    };
    Ok(Header { shape, attr, rows, start, width })
}

//! The grammar of a serialised object, written once.
//!
//! [`Parser`] walks the bytes and checks all that can be checked without building anything; what is built is
//! up to a [`Build`]: a value (`decode`), nothing (`scan`), or the same bytes in the other byte order
//! (`scan`). So the three can never disagree about what is valid.
//!
//! Rule kept: a count claimed by a peer is used only once the needed bytes are present. Tests: `tests/hostile.rs`,
//! `tests/properties.rs`, the fuzz target `decode`.

use std::ops::Range;

use kvalue::{Attr, Type, nul};

use crate::{DecodeError, Limits};

/// Byte order of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first: x86, ARM, and all that we send.
    Little,
    /// Most significant byte first: old SPARC and POWER peers.
    Big,
}

/// Wire type of a general list.
pub(crate) const LIST: u8 = 0;
/// Wire type of a table.
pub(crate) const TABLE: u8 = 98;
/// Wire type of a dictionary.
pub(crate) const DICT: u8 = 99;
/// Wire type of a sorted dictionary.
pub(crate) const SORTED_DICT: u8 = 127;
/// Wire type of an error.
pub(crate) const ERROR: u8 = 0x80;
/// Set in the attribute byte where the count has eight bytes.
pub(crate) const LARGE_COUNT: u8 = 0x80;
/// Least bytes an object takes: a type byte and one more.
pub(crate) const LEAST_OBJECT: usize = 2;

/// What the walk makes of the parts it finds. Ranges are byte ranges of the walked bytes.
pub(crate) trait Build {
    /// What an object becomes.
    type Out;
    /// Items of a list that is being read.
    type Items;

    /// `count` numbers of `width` bytes lie at `at`: counts, atoms, elements. Where byte order matters.
    fn numbers(&mut self, at: usize, width: usize, count: usize);
    /// An atom's payload (a symbol without its NUL).
    fn atom(&mut self, ty: Type, data: Range<usize>) -> Result<Self::Out, DecodeError>;
    /// A vector's elements.
    fn vector(
        &mut self,
        ty: Type,
        attr: Attr,
        count: usize,
        data: Range<usize>,
    ) -> Result<Self::Out, DecodeError>;
    /// A list of `count` items begins.
    fn items(&mut self, count: usize) -> Self::Items;
    /// Its next item.
    fn push(&mut self, items: &mut Self::Items, item: Self::Out);
    /// It is complete.
    fn list(&mut self, attr: Attr, items: Self::Items) -> Self::Out;
    /// Keys and values of equal count.
    fn dict(&mut self, keys: Self::Out, values: Self::Out, sorted: bool) -> Result<Self::Out, DecodeError>;
    /// Names (a range of NUL-terminated text) and columns of equal length.
    fn table(
        &mut self,
        attr: Attr,
        names: (usize, Range<usize>),
        columns: Self::Items,
    ) -> Result<Self::Out, DecodeError>;
    /// A function begins: what follows until [`Build::function`] are its parts, not values.
    fn enter_function(&mut self);
    /// A function is complete; `code` is `Some` for a unary primitive.
    fn function(&mut self, whole: Range<usize>, unary: Option<u8>) -> Self::Out;
}

/// What the grammar needs to know of an object to check those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Wire type.
    pub(crate) ty: u8,
    /// Items of a list, pairs of a dictionary, rows of a table; 1 otherwise.
    pub(crate) count: u64,
}

impl Shape {
    /// True for what can be a column or a side of a dictionary.
    fn is_list(self) -> bool {
        self.ty < 20 || self.ty == TABLE
    }
}

/// A vector's or list's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListHeader {
    pub(crate) attr: Attr,
    pub(crate) count: usize,
}

/// A position in a serialised object.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    endian: Endian,
    max_depth: usize,
    objects_left: usize,
    max_objects: usize,
}

const NO_TYPE: Option<Type> = None;

/// Basic types by number.
const TYPES: [Option<Type>; 20] = {
    let mut table = [NO_TYPE; 20];
    let mut i = 0;
    while i < Type::ALL.len() {
        table[Type::ALL[i].number() as usize] = Some(Type::ALL[i]);
        i += 1;
    }
    table
};

/// The basic type of a vector's type byte.
pub(crate) fn basic_type(byte: u8) -> Option<Type> {
    TYPES.get(usize::from(byte)).copied().flatten()
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8], endian: Endian, limits: &Limits) -> Self {
        Parser {
            bytes,
            at: 0,
            endian,
            max_depth: limits.max_depth.min(Limits::DEPTH_CEILING),
            objects_left: limits.max_objects,
            max_objects: limits.max_objects,
        }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// One object that fills the bytes exactly.
    pub(crate) fn whole<B: Build>(&mut self, build: &mut B) -> Result<B::Out, DecodeError> {
        let (_, out) = self.object(build, 1)?;
        self.finish()?;
        Ok(out)
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { end: self.at, len: self.bytes.len() })
        }
    }

    /// The next object; `depth` is 1 for the outermost.
    pub(crate) fn object<B: Build>(
        &mut self,
        build: &mut B,
        depth: usize,
    ) -> Result<(Shape, B::Out), DecodeError> {
        let start = self.at;
        if depth > self.max_depth {
            return Err(DecodeError::TooDeep { offset: start, limit: self.max_depth });
        }
        self.objects_left = self
            .objects_left
            .checked_sub(1)
            .ok_or(DecodeError::TooManyObjects { limit: self.max_objects })?;
        let byte = self.byte("an object")?;
        let one = Shape { ty: byte, count: 1 };
        match byte {
            LIST => {
                let header = self.list_header(build)?;
                let items = self.list_body(build, header.count, depth, None)?;
                Ok((Shape { ty: LIST, count: header.count as u64 }, build.list(header.attr, items)))
            }
            1..=19 => {
                let ty = basic_type(byte).ok_or_else(|| bad_type(start, byte))?;
                let header = self.list_header(build)?;
                let data = self.elements(build, ty, header.count)?;
                let shape = Shape { ty: byte, count: header.count as u64 };
                Ok((shape, build.vector(ty, header.attr, header.count, data)?))
            }
            TABLE => self.table(build, depth),
            DICT | SORTED_DICT => self.dict(build, depth, byte == SORTED_DICT),
            100..=112 => {
                build.enter_function();
                let unary = self.function(build, byte, depth)?;
                Ok((one, build.function(start..self.at, unary)))
            }
            ERROR => Err(DecodeError::ErrorObject { offset: start }),
            _ => {
                let ty = basic_type(byte.wrapping_neg()).ok_or_else(|| bad_type(start, byte))?;
                let data = match ty.width() {
                    Some(width) => {
                        let at = self.take(width as u64, "an atom")?;
                        if ty != Type::Guid {
                            build.numbers(at, width, 1);
                        }
                        at..self.at
                    }
                    None => self.name("a symbol")?,
                };
                Ok((one, build.atom(ty, data)?))
            }
        }
    }

    /// Attribute byte and count.
    pub(crate) fn list_header<B: Build>(&mut self, build: &mut B) -> Result<ListHeader, DecodeError> {
        let offset = self.at;
        let byte = self.byte("an attribute")?;
        let attr = Attr::from_number(byte & !LARGE_COUNT).ok_or(DecodeError::BadMessage {
            offset,
            byte,
            expected: "an attribute (0 to 4)",
        })?;
        let width = if byte & LARGE_COUNT == 0 { 4 } else { 8 };
        let at = self.take(width, "a count")?;
        build.numbers(at, width as usize, 1);
        let count = self.number(at, width as usize);
        // Each item takes at least one byte, so a count beyond the bytes left is a lie whatever the type.
        let left = self.left();
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok(ListHeader { attr, count }),
            _ => Err(DecodeError::Truncated { what: "a list", offset: self.at, needed: count, left }),
        }
    }

    /// The elements of a vector of a basic type.
    pub(crate) fn elements<B: Build>(
        &mut self,
        build: &mut B,
        ty: Type,
        count: usize,
    ) -> Result<Range<usize>, DecodeError> {
        let start = self.at;
        match ty.width() {
            Some(width) => {
                self.take(count as u64 * width as u64, "a vector")?;
                // A guid's bytes lie in the order of its text in both byte orders.
                if width > 1 && ty != Type::Guid {
                    build.numbers(start, width, count);
                }
            }
            None => {
                let left = self.left();
                let len = nul::names(&self.bytes[start..], count).ok_or(DecodeError::Truncated {
                    what: "a symbol vector",
                    offset: start,
                    needed: left as u64 + 1,
                    left,
                })?;
                self.at += len;
            }
        }
        Ok(start..self.at)
    }

    /// `count` objects; in a table each must be a list of the same count, which is given back in `rows`.
    pub(crate) fn list_body<B: Build>(
        &mut self,
        build: &mut B,
        count: usize,
        depth: usize,
        mut rows: Option<&mut u64>,
    ) -> Result<B::Items, DecodeError> {
        let least = (count * LEAST_OBJECT) as u64;
        if least > self.left() as u64 {
            return Err(DecodeError::Truncated {
                what: "a list",
                offset: self.at,
                needed: least,
                left: self.left(),
            });
        }
        let mut items = build.items(count);
        for i in 0..count {
            let offset = self.at;
            let (shape, item) = self.object(build, depth + 1)?;
            if let Some(rows) = rows.as_deref_mut() {
                if !shape.is_list() {
                    return Err(DecodeError::BadMessage {
                        offset,
                        byte: shape.ty,
                        expected: "a column: a vector, a list or a table",
                    });
                }
                if i == 0 {
                    *rows = shape.count;
                } else if shape.count != *rows {
                    let (got, expected) = (shape.count, *rows);
                    return Err(DecodeError::Length { what: "a column", offset, got, expected });
                }
            }
            build.push(&mut items, item);
        }
        Ok(items)
    }

    /// What follows a table's type byte up to the columns: attribute and names.
    pub(crate) fn table_names<B: Build>(
        &mut self,
        build: &mut B,
    ) -> Result<(Attr, usize, Range<usize>), DecodeError> {
        let offset = self.at;
        let byte = self.byte("a table's attribute")?;
        let attr = Attr::from_number(byte).ok_or(DecodeError::BadMessage {
            offset,
            byte,
            expected: "a table's attribute (0 to 4)",
        })?;
        self.expect(DICT, "a table's dictionary (0x63)")?;
        self.expect(Type::Symbol.number(), "column names: a symbol vector (0x0b)")?;
        let names = self.list_header(build)?;
        let range = self.elements(build, Type::Symbol, names.count)?;
        let offset = self.at;
        self.expect(LIST, "columns: a general list (0x00)")?;
        let columns = self.list_header(build)?;
        if columns.count != names.count {
            return Err(DecodeError::Length {
                what: "the list of columns",
                offset,
                got: columns.count as u64,
                expected: names.count as u64,
            });
        }
        Ok((attr, names.count, range))
    }

    fn table<B: Build>(&mut self, build: &mut B, depth: usize) -> Result<(Shape, B::Out), DecodeError> {
        let (attr, count, names) = self.table_names(build)?;
        let mut rows = 0;
        let columns = self.list_body(build, count, depth, Some(&mut rows))?;
        Ok((Shape { ty: TABLE, count: rows }, build.table(attr, (count, names), columns)?))
    }

    fn dict<B: Build>(
        &mut self,
        build: &mut B,
        depth: usize,
        sorted: bool,
    ) -> Result<(Shape, B::Out), DecodeError> {
        let (k, keys) = self.side(build, depth)?;
        let offset = self.at;
        let (v, values) = self.side(build, depth)?;
        if k.count != v.count {
            return Err(DecodeError::Length {
                what: "the values of a dictionary",
                offset,
                got: v.count,
                expected: k.count,
            });
        }
        let ty = if sorted { SORTED_DICT } else { DICT };
        Ok((Shape { ty, count: k.count }, build.dict(keys, values, sorted)?))
    }

    fn side<B: Build>(&mut self, build: &mut B, depth: usize) -> Result<(Shape, B::Out), DecodeError> {
        let offset = self.at;
        let (shape, out) = self.object(build, depth + 1)?;
        if !shape.is_list() {
            return Err(DecodeError::BadMessage {
                offset,
                byte: shape.ty,
                expected: "a side of a dictionary: a vector, a list or a table",
            });
        }
        Ok((shape, out))
    }

    /// What follows the type byte of a function. The code of a unary primitive is given back.
    fn function<B: Build>(&mut self, build: &mut B, ty: u8, depth: usize) -> Result<Option<u8>, DecodeError> {
        match ty {
            100 => {
                self.name("a lambda's context")?;
                self.expect(Type::Char.number(), "a lambda's text: a char vector (0x0a)")?;
                let header = self.list_header(build)?;
                self.elements(build, Type::Char, header.count)?;
            }
            101 => return self.byte("a unary primitive").map(Some),
            102 | 103 => {
                self.byte("a primitive")?;
            }
            104 | 105 => {
                let at = self.take(4, "a count")?;
                build.numbers(at, 4, 1);
                let count = self.number(at, 4) as u32;
                let least = u64::from(count) * LEAST_OBJECT as u64;
                let left = self.left();
                if least > left as u64 {
                    return Err(DecodeError::Truncated {
                        what: "a projection",
                        offset: self.at,
                        needed: least,
                        left,
                    });
                }
                for _ in 0..count {
                    self.object(build, depth + 1)?;
                }
            }
            // Derived functions hold the one they derive from; 112 (code from a shared library) is read as
            // KX's Java client reads it, the same way.
            _ => {
                self.object(build, depth + 1)?;
            }
        }
        Ok(None)
    }

    /// A NUL-terminated name: its range without the NUL.
    pub(crate) fn name(&mut self, what: &'static str) -> Result<Range<usize>, DecodeError> {
        let start = self.at;
        let left = self.left();
        let len = nul::find(&self.bytes[start..]).ok_or(DecodeError::Truncated {
            what,
            offset: start,
            needed: left as u64 + 1,
            left,
        })?;
        self.at = start + len + 1;
        Ok(start..start + len)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let at = self.take(1, what)?;
        Ok(self.bytes[at])
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), DecodeError> {
        let offset = self.at;
        match self.byte(expected)? {
            b if b == byte => Ok(()),
            b => Err(DecodeError::BadMessage { offset, byte: b, expected }),
        }
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Steps over `n` bytes that must be there; gives where they begin.
    fn take(&mut self, n: u64, what: &'static str) -> Result<usize, DecodeError> {
        let (offset, left) = (self.at, self.left());
        if n > left as u64 {
            return Err(DecodeError::Truncated { what, offset, needed: n, left });
        }
        self.at += n as usize;
        Ok(offset)
    }

    /// The unsigned number of `width` (at most 8) bytes at `at`, which [`Self::take`] has checked.
    fn number(&self, at: usize, width: usize) -> u64 {
        let bytes = &self.bytes[at..at + width];
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        match self.endian {
            Endian::Little => bytes.iter().rev().fold(0, fold),
            Endian::Big => bytes.iter().fold(0, fold),
        }
    }
}

fn bad_type(offset: usize, byte: u8) -> DecodeError {
    let expected = match byte {
        20..=76 | 180..=236 => "a type that travels; enumerations are sent as symbols",
        77..=97 | 159..=179 => "a type that travels; mapped lists are sent as general lists",
        _ => "a q type",
    };
    DecodeError::BadMessage { offset, byte, expected }
}

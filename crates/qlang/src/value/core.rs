//! [`Value`], the parts of a value and nothing else: definitions. What can be done with values is in the files beside.

use std::{any::Any, sync::Arc};

use kvalue::{Attr, Type};

use super::{
    Sym,
    buf::{Buf, Charge},
};

/// A q value: 16 bytes, cheap to clone. Bulk data is shared; whoever changes shared data copies it first
/// (`Arc::make_mut`), so a value that only one owner holds is changed in place.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // atoms are documented at the Type of the same name
pub enum Value {
    /// `::`, type 101
    Nil,
    /// an argument left out, as in `f[;2]`; an item of argument lists and parse trees, never the value of a name
    Hole,
    Bool(bool),
    Guid(Arc<[u8; 16]>),
    Byte(u8),
    Short(i16),
    Int(i32),
    Long(i64),
    Real(f32),
    Float(f64),
    Char(u8),
    Sym(Sym),
    Timestamp(i64),
    Month(i32),
    Date(i32),
    Datetime(f64),
    Timespan(i64),
    Minute(i32),
    Second(i32),
    Time(i32),
    /// one item of an enumeration, type -20
    Enum(Arc<EnumAtom>),
    /// types 1 to 20
    Vector(Arc<Vector>),
    /// general list, type 0
    List(Arc<List>),
    /// type 99; a keyed table is a dictionary of two tables
    Dict(Arc<Dict>),
    /// table in memory, type 98
    Table(Arc<Table>),
    /// table elsewhere: splayed or partitioned on disk, type 98
    Mapped(Arc<dyn Mapped>),
    /// type 100
    Lambda(Arc<Lambda>),
    /// built-in function: 101 (unary), 102 (operator), 100 (keyword that kdb+ writes in q)
    Prim(&'static Primitive),
    /// `'` `/` `\` `':` `/:` `\:` by themselves, type 103
    Iterator(Iterator),
    /// type 104
    Projection(Arc<Projection>),
    /// type 105: functions applied from the last to the first
    Composition(Arc<[Value]>),
    /// a value with an iterator, types 106 to 111
    Derived(Arc<Derived>),
    /// function of the host, type 112
    Host(Arc<dyn HostFunction>),
}

/// One item of an enumeration.
#[derive(Debug, Clone)]
pub struct EnumAtom {
    /// what the index points into
    pub domain: Arc<Domain>,
    /// the index; negative or beyond the end: null
    pub index: i64,
}

/// What an enumeration points into, as it was when the enumeration was made. Domains only ever grow.
#[derive(Debug, Clone)]
pub struct Domain {
    /// name of the global
    pub name: Sym,
    /// a list; the key column of a keyed table (foreign key); [`Value::Nil`] for a link to rows
    pub list: Value,
}

/// A typed vector.
#[derive(Debug, Clone)]
pub struct Vector {
    /// type of the elements; [`Type::Symbol`] for an enumeration
    pub ty: Type,
    /// the attribute, as claimed: code that changes elements drops or proves the attribute
    pub attr: Attr,
    /// the elements
    pub data: Data,
}

/// Elements by their layout. Which [`Type`]s share a layout: [`kvalue::Physical`].
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the layouts are named by their element type
pub enum Data {
    Bool(Buf<bool>),
    Guid(Buf<[u8; 16]>),
    /// byte and char
    U8(Buf<u8>),
    I16(Buf<i16>),
    /// int, month, date, minute, second, time
    I32(Buf<i32>),
    /// long, timestamp, timespan
    I64(Buf<i64>),
    F32(Buf<f32>),
    /// float, datetime
    F64(Buf<f64>),
    Sym(Buf<Sym>),
    /// an enumeration
    Enum(Arc<Domain>, Buf<i64>),
}

/// A general list.
#[derive(Debug)]
pub struct List {
    /// the attribute (`u`, `g` or `p`)
    pub attr: Attr,
    pub(super) items: Vec<Value>,
    pub(super) charge: Charge,
}

/// Keys and values of equal count.
#[derive(Debug, Clone)]
pub struct Dict {
    /// a list of any kind, or a table
    pub keys: Value,
    /// a list of any kind, or a table
    pub values: Value,
    /// `` `s# `` on the dictionary: lookups give the entry at or before the key
    pub sorted: bool,
}

/// Named columns of equal length.
#[derive(Debug, Clone)]
pub struct Table {
    /// column names
    pub names: Arc<[Sym]>,
    /// columns, in the order of the names: vectors, general lists, tables
    pub columns: Vec<Value>,
    /// `` `s# `` on the table
    pub sorted: bool,
}

/// A table that is not in memory.
pub trait Mapped: std::fmt::Debug + Send + Sync {
    /// Name of the table, as `tables` lists it.
    fn name(&self) -> Sym;
    /// Column names, the virtual partition column first.
    fn names(&self) -> Vec<Sym>;
    /// Names of the columns that are stored: without the virtual one.
    fn stored(&self) -> Vec<Sym> {
        self.names()
    }
    /// Number of rows.
    fn len(&self) -> crate::R<usize>;
    /// True where there is no row.
    fn is_empty(&self) -> crate::R<bool> {
        Ok(self.len()? == 0)
    }
    /// One column of all rows. Partitioned tables answer `'par`: theirs are read partition by partition.
    fn column(&self, name: Sym) -> crate::R;
    /// All columns as a table in memory.
    fn load(&self) -> crate::R;
    /// The first rows, at least `n` where there are as many: what a console shows.
    fn head(&self, _n: usize) -> crate::R {
        self.load()
    }
    /// For the engine of queries: the concrete source.
    fn as_any(&self) -> &dyn Any;
}

/// A function written in q. What its text means is found once, when it is made or first called.
pub struct Lambda {
    /// source text, braces included
    pub text: Arc<str>,
    /// parameters; implicit ones where the text names none
    pub params: Arc<[Sym]>,
    /// the namespace its free names belong to, without the leading dot; null for the root
    pub context: Sym,
    /// file and line where the text begins
    pub origin: Option<(Arc<str>, usize)>,
    /// what the evaluator made of the text
    pub code: Arc<dyn Any + Send + Sync>,
}

/// A built-in function: a row of the table of primitives, which lives as long as the process.
#[derive(Debug)]
pub struct Primitive {
    /// what the console shows: `+`, `#:`, `lj`
    pub text: &'static str,
    /// the word that names it; the same as `text` for operators
    pub word: &'static str,
    /// q's type number: 100, 101, 102
    pub ty: i8,
    /// the least number of arguments that evaluates
    pub min: u8,
    /// the largest number of arguments
    pub max: u8,
    /// row in the table of primitives
    pub id: u16,
}

/// The six iterators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named as KX names them
pub enum Iterator {
    /// `'`
    Each,
    /// `/`
    Over,
    /// `\`
    Scan,
    /// `':`
    Prior,
    /// `/:`
    EachRight,
    /// `\:`
    EachLeft,
}

/// A function with some arguments given; [`Value::Hole`] for those that are not.
#[derive(Debug, Clone)]
pub struct Projection {
    /// the function
    pub function: Value,
    /// given arguments and holes
    pub args: Vec<Value>,
}

/// A value with an iterator.
#[derive(Debug, Clone)]
pub struct Derived {
    /// the value the iterator stands behind
    pub operand: Value,
    /// the iterator
    pub iterator: Iterator,
}

/// A function that the embedding program gives.
pub trait HostFunction: Send + Sync {
    /// What the console shows.
    fn name(&self) -> &str;
    /// How many arguments it takes, least and most.
    fn ranks(&self) -> (usize, usize);
    /// The answer for these arguments.
    fn call(&self, args: Vec<Value>) -> crate::R;
    /// The function's object, where it came from a wire and can be sent on.
    fn wire(&self) -> Option<bytes::Bytes> {
        None
    }
}

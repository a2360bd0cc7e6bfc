//! What a primitive may ask of the evaluation it runs in: [`Ctx`]; and what a table of primitives is made of.

use crate::{
    R,
    host::Host,
    value::{Primitive, Sym, Value},
};

/// The evaluation around a primitive.
pub trait Ctx {
    /// `f . args`: applies a function, indexes a list, dictionary or table.
    fn apply(&mut self, f: &Value, args: Vec<Value>) -> R;

    /// The value of a global by its full name (`a`, `.a.b`); `None` where there is none.
    fn global(&self, name: Sym) -> Option<Value>;

    /// The value of a name as code in the current namespace sees it: the namespace's own, else a word of `.q`.
    fn lookup(&self, name: Sym) -> Option<Value>;

    /// Sets a global by its full name. `'noupdate` in a read-only evaluation.
    fn set_global(&mut self, name: Sym, value: Value) -> R<()>;

    /// Takes a global's value out, so that an amend can work in place; [`Ctx::set_global`] puts it back.
    fn take_global(&mut self, name: Sym) -> Option<Value>;

    /// The current namespace without its leading dot; null for the root.
    fn context(&self) -> Sym;

    /// Parses text and evaluates each statement in the current namespace; the value of the last one.
    fn run(&mut self, text: &str) -> R;

    /// Evaluates a parse tree.
    fn eval(&mut self, tree: &Value) -> R;

    /// To be asked between blocks of work: an error once the time is over or the caller is gone.
    fn check(&mut self) -> R<()>;

    /// To be asked before a result of this many bytes is made: `'wsfull` where the budget has no room.
    fn reserve(&mut self, bytes: usize) -> R<()>;

    /// Files, sockets, clock, console.
    fn host(&mut self) -> &mut dyn Host;

    /// What `\P`, `\c`, `\S` and kin set.
    fn settings(&mut self) -> &mut Settings;

    /// A second evaluation over the same globals for another thread, read-only; `None` where there may be none.
    fn fork(&mut self) -> Option<Box<dyn Ctx + Send>>;

    /// How many threads a primitive may use (`-s`).
    fn threads(&self) -> usize;

    /// The evaluator itself, for primitives that belong to the evaluator.
    fn any(&mut self) -> Option<&mut dyn std::any::Any> {
        None
    }
}

/// What the user has set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `\P`: digits shown of a float; 0 for 17
    pub precision: usize,
    /// `\c`: lines and columns of the console
    pub console: (usize, usize),
    /// `\C`: lines and columns of HTTP answers
    pub http: (usize, usize),
    /// `\z`: dates read as mm/dd (false) or dd/mm (true)
    pub day_first: bool,
    /// `\S`: state of the random generator
    pub random: u64,
    /// `\S`: the seed, as set
    pub seed: i32,
    /// `\W`: first day of the week
    pub week: i32,
    /// `\o`: hours or minutes from UTC of local time; `None` for the host's
    pub offset: Option<i32>,
    /// `.z.zd`
    pub compression: Option<(i32, i32, i32)>,
    /// whose request is evaluated
    pub caller: Caller,
}

/// Whose request is evaluated: `.z.w .z.u .z.a`. For the console and scripts handle 0 and the process's own user.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller {
    /// the handle
    pub handle: i32,
    /// the user; `None` for the process's own
    pub user: Option<Sym>,
    /// IPv4 address; `None` for the process's own
    pub address: Option<i32>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            precision: 7,
            console: (25, 80),
            http: (36, 2000),
            day_first: false,
            random: 0,
            seed: -314159,
            week: 2,
            offset: None,
            compression: None,
            caller: Caller::default(),
        }
    }
}

/// How a primitive is called. Arguments come by value: a vector that nobody else holds may be changed in place.
#[derive(Clone, Copy)]
pub enum Call {
    /// one argument
    Monad(fn(&mut dyn Ctx, Value) -> R),
    /// two arguments
    Dyad(fn(&mut dyn Ctx, Value, Value) -> R),
    /// as many as the row says
    Many(fn(&mut dyn Ctx, Vec<Value>) -> R),
}

/// A row of a table of primitives.
#[derive(Clone, Copy)]
pub struct Def {
    /// what the console shows
    pub text: &'static str,
    /// the word in q text
    pub word: &'static str,
    /// q's type number
    pub ty: i8,
    /// least and largest number of arguments
    pub ranks: (u8, u8),
    /// stands between its operands
    pub infix: bool,
    /// the code
    pub call: Call,
}

impl Def {
    /// A keyword of one argument that kdb+ has as a unary primitive (type 101), shown as `text` (`#:` for `count`).
    pub const fn unary(word: &'static str, text: &'static str, call: fn(&mut dyn Ctx, Value) -> R) -> Def {
        Def { text, word, ty: 101, ranks: (1, 1), infix: false, call: Call::Monad(call) }
    }

    /// A keyword of one argument that kdb+ writes in q (type 100).
    pub const fn monad(word: &'static str, call: fn(&mut dyn Ctx, Value) -> R) -> Def {
        Def { text: word, word, ty: 100, ranks: (1, 1), infix: false, call: Call::Monad(call) }
    }

    /// An operator of two arguments (type 102).
    pub const fn operator(word: &'static str, call: fn(&mut dyn Ctx, Value, Value) -> R) -> Def {
        Def { text: word, word, ty: 102, ranks: (2, 2), infix: true, call: Call::Dyad(call) }
    }

    /// An infix keyword of two arguments (type 100).
    pub const fn dyad(word: &'static str, call: fn(&mut dyn Ctx, Value, Value) -> R) -> Def {
        Def { text: word, word, ty: 100, ranks: (2, 2), infix: true, call: Call::Dyad(call) }
    }

    /// A function of `ranks` arguments, called by brackets.
    pub const fn many(word: &'static str, ranks: (u8, u8), call: fn(&mut dyn Ctx, Vec<Value>) -> R) -> Def {
        Def { text: word, word, ty: 100, ranks, infix: false, call: Call::Many(call) }
    }

    /// The same row with another type number.
    #[must_use]
    pub const fn typed(mut self, ty: i8) -> Def {
        self.ty = ty;
        self
    }

    /// The same row, infix.
    #[must_use]
    pub const fn infix(mut self) -> Def {
        self.infix = true;
        self
    }
}

/// All primitives: rows by number, numbers by word.
pub struct Registry {
    primitives: Vec<&'static Primitive>,
    defs: Vec<Def>,
    words: ahash::HashMap<&'static [u8], usize>,
}

impl Registry {
    /// A registry of these rows. Built once for the process: the rows live as long as it does.
    pub fn new(tables: &[&[Def]]) -> Registry {
        let defs: Vec<Def> = tables.iter().flat_map(|t| t.iter().copied()).collect();
        let mut words = ahash::HashMap::default();
        let mut primitives: Vec<&'static Primitive> = Vec::with_capacity(defs.len());
        for (i, d) in defs.iter().enumerate() {
            let fresh = words.insert(d.word.as_bytes(), i).is_none();
            assert!(fresh, "the primitive {} is defined twice", d.word);
            words.entry(d.text.as_bytes()).or_insert(i);
            primitives.push(Box::leak(Box::new(Primitive {
                text: d.text,
                word: d.word,
                ty: d.ty,
                min: d.ranks.0,
                max: d.ranks.1,
                id: i as u16,
            })));
        }
        Registry { primitives, defs, words }
    }

    /// The primitive of a word or an operator.
    pub fn find(&self, word: &[u8]) -> Option<&'static Primitive> {
        self.words.get(word).map(|&i| self.primitives[i])
    }

    /// How a primitive is called.
    pub fn def(&self, primitive: &Primitive) -> &Def {
        &self.defs[usize::from(primitive.id)]
    }

    /// All primitives.
    pub fn all(&self) -> &[&'static Primitive] {
        &self.primitives
    }
}

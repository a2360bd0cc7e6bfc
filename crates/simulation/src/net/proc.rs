//! The processes of a world, by what they are and where they are reached.

use kvalue::Sym;

/// A process, alive or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Proc {
    Gw(usize),
    Rc(usize),
    Agg(usize),
    Dap(usize),
}

impl Proc {
    pub(crate) fn name(self) -> String {
        match self {
            Proc::Gw(i) => format!("gw-{i}"),
            Proc::Rc(i) => format!("rc-{i}"),
            Proc::Agg(i) => format!("agg-{i}"),
            Proc::Dap(i) => format!("dap-{i}"),
        }
    }

    /// Where others reach it: the same for every life.
    pub(crate) fn address(self) -> Sym {
        format!("{}:1", self.name()).into()
    }

    /// The process that is reached there.
    pub(crate) fn at(address: &Sym) -> Option<Proc> {
        Proc::of(address.text().strip_suffix(":1")?)
    }

    /// The process of this name.
    pub(crate) fn named(name: &Sym) -> Option<Proc> {
        Proc::of(&name.text())
    }

    fn of(text: &str) -> Option<Proc> {
        let (kind, i) = text.split_once('-')?;
        let i = i.parse().ok()?;
        match kind {
            "gw" => Some(Proc::Gw(i)),
            "rc" => Some(Proc::Rc(i)),
            "agg" => Some(Proc::Agg(i)),
            "dap" => Some(Proc::Dap(i)),
            _ => None,
        }
    }
}

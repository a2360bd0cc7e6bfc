//! The last events, for the reader of a failure.

use std::{
    collections::VecDeque,
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
};

use routing::Nanos;
use sg::{Corr, Msg, PortionId};

use crate::net::Proc;

/// Events that a failing seed shows.
const LAST: usize = 80;

/// The last events, or all of them as they happen.
#[derive(Debug)]
pub(crate) struct Trace {
    loud: bool,
    last: VecDeque<Entry>,
    /// over everything that happened: two runs of a seed must agree
    hash: DefaultHasher,
    /// messages and events so far
    pub(crate) count: u64,
}

#[derive(Debug)]
enum Entry {
    Sent(Nanos, u64, Proc, &'static str, Option<(Corr, i32, Option<PortionId>)>),
    Text(Nanos, String),
}

impl Trace {
    pub(crate) fn new(loud: bool) -> Self {
        Trace { loud, last: VecDeque::new(), hash: DefaultHasher::new(), count: 0 }
    }

    fn add(&mut self, entry: Entry) {
        self.count += 1;
        if self.loud {
            eprintln!("{}", show(&entry));
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }

    /// A message was sent.
    pub(crate) fn sent(&mut self, now: Nanos, session: u64, from: Proc, msg: &Msg) {
        (now, session, from, msg.name()).hash(&mut self.hash);
        self.add(Entry::Sent(now, session, from, msg.name(), about(msg)));
    }

    /// Something else happened.
    pub(crate) fn note(&mut self, now: Nanos, text: impl FnOnce() -> String) {
        let text = text();
        (now, &text).hash(&mut self.hash);
        self.add(Entry::Text(now, text));
    }

    /// What all events come to.
    pub(crate) fn digest(&self) -> u64 {
        self.hash.finish()
    }

    /// The last events, one a line.
    pub(crate) fn last(&self) -> String {
        let mut out = String::new();
        for entry in &self.last {
            let _ = writeln!(out, "{}", show(entry));
        }
        out
    }
}

fn show(entry: &Entry) -> String {
    match entry {
        Entry::Text(at, text) => format!("{:>12.3} ms  {text}", *at as f64 / 1e6),
        Entry::Sent(at, session, from, name, about) => {
            let about = about.map_or_else(String::new, |(corr, attempt, portion)| {
                let portion = portion.map_or_else(String::new, |p| format!(" portion {}", p.0));
                format!(" {} attempt {attempt}{portion}", short(corr))
            });
            format!("{:>12.3} ms  {} sends {name}{about} by session {session}", *at as f64 / 1e6, from.name())
        }
    }
}

/// The first half of a guid is enough here.
pub(crate) fn short(corr: Corr) -> String {
    corr.to_string().chars().take(8).collect()
}

fn about(msg: &Msg) -> Option<(Corr, i32, Option<PortionId>)> {
    Some(match msg {
        Msg::Request(m) => (m.corr, m.attempt, None),
        Msg::Cancel(m) => (m.corr, m.attempt, None),
        Msg::Started(m) => (m.corr, m.attempt, None),
        Msg::Plan(m) => (m.corr, m.attempt, None),
        Msg::Replace(m) => (m.corr, m.attempt, Some(m.old)),
        Msg::Abandon(m) => (m.corr, m.attempt, None),
        Msg::Run(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::CancelRun(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::Recall(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::Done(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::Partial(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::Got(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::Answered(m) => (m.corr, m.attempt, None),
        Msg::Stale(m) => (m.corr, m.attempt, m.portions.first().copied()),
        Msg::Undelivered(m) => (*m.corrs.first()?, *m.attempts.first()?, None),
        Msg::Answer(m) => (m.corr, m.attempt, None),
        Msg::AnswerHead(m) => (m.corr, m.attempt, None),
        Msg::AnswerData(m) => (m.corr, m.attempt, None),
        Msg::Stop(m) => (m.corr, m.attempt, None),
        Msg::MeshTry(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::MeshStarted(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::MeshRefused(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::MeshDone(m) => (m.corr, m.attempt, Some(m.portion)),
        Msg::MeshCancel(m) => (m.corr, m.attempt, Some(m.portion)),
        _ => return None,
    })
}

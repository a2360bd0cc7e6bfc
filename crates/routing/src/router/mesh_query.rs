//! Queries over the whole mesh: one coordinator asks all peers for requests in flight, or cancels a request.
//!
//! Rule kept: a client sees one mesh, whichever coordinator its gateway asked. A peer without an answer in time is left
//! out: the link to the peer is about to be declared lost.

use std::collections::BTreeSet;

use kvalue::{Sym, Table, Value, Vector};
use qipc::{Limits, Raw};
use sg::{
    Corr, Failure,
    msg::{MeshAsk, MeshReply, Payload, Request as Ask},
};

use super::{Router, builtin_apis};
use crate::event::{MILLI, Nanos, PeerId};

/// A question to peers.
#[derive(Debug)]
pub(crate) struct Question {
    pub(super) gw: PeerId,
    pub(super) corr: Corr,
    pub(super) attempt: i32,
    pub(super) api: Sym,
    pub(super) opts: Raw,
    waits: BTreeSet<PeerId>,
    answers: Vec<Value>,
    pub(super) until: Nanos,
}

/// The longest that peers are waited for.
const PATIENCE: Nanos = 500 * MILLI;

impl Router {
    /// Asks all peers; the answer is this coordinator's own and theirs.
    pub(super) fn ask_peers(&mut self, gw: PeerId, m: &Ask, own: Value) {
        let waits: BTreeSet<PeerId> = self.mesh.nodes.keys().copied().collect();
        self.next_question += 1;
        let id = self.next_question;
        let (api, user, args) = (m.api.clone(), m.user.clone(), m.args.clone());
        self.broadcast(MeshAsk { id, api, user, args });
        let left = m.left.max(0) as Nanos;
        let question = Question {
            gw,
            corr: m.corr,
            attempt: m.attempt,
            api: m.api.clone(),
            opts: m.opts.clone(),
            waits,
            answers: vec![own],
            until: self.now + PATIENCE.min(left / 2),
        };
        self.questions.insert(id, question);
    }

    /// A peer asks for its client.
    pub(super) fn asked(&mut self, from: PeerId, m: &MeshAsk) {
        let answer = match builtin_apis::arguments(&m.args) {
            Ok(args) => self.own_part(&m.api, &m.user, &args).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        };
        self.send(from, MeshReply { id: m.id, payload: Payload::of(&answer) });
    }

    pub(super) fn replied(&mut self, from: PeerId, m: MeshReply) {
        let Some(question) = self.questions.get_mut(&m.id).filter(|q| q.waits.contains(&from)) else {
            return self.stray(".qm.mesh.reply");
        };
        question.waits.remove(&from);
        question.answers.extend(qipc::decode(m.payload.into_bytes(), &Limits::internal()));
        if question.waits.is_empty() {
            self.answer_question(m.id);
        }
    }

    /// A peer that is gone does not answer.
    pub(super) fn unasked(&mut self, peer: PeerId) {
        let mut over = Vec::new();
        for (id, question) in &mut self.questions {
            if question.waits.remove(&peer) && question.waits.is_empty() {
                over.push(*id);
            }
        }
        over.into_iter().for_each(|id| self.answer_question(id));
    }

    pub(super) fn questions_over(&mut self) {
        let over = self.questions.iter().filter(|(_, q)| q.until <= self.now);
        let over: Vec<i64> = over.map(|(id, _)| *id).collect();
        over.into_iter().for_each(|id| self.answer_question(id));
    }

    fn answer_question(&mut self, id: i64) {
        let Some(question) = self.questions.remove(&id) else { return };
        let Question { gw, corr, attempt, api, opts, answers, .. } = question;
        let value = match builtin_apis::Asked::of(&api) {
            builtin_apis::Asked::Queries => {
                Ok(joined(&answers.iter().filter_map(Value::as_table).collect::<Vec<&Table>>()))
            }
            builtin_apis::Asked::Trace => {
                answers.into_iter().find(|v| v.as_dict().is_some()).ok_or_else(builtin_apis::unknown_request)
            }
            builtin_apis::Asked::Cancel => Ok(answers.iter().any(|v| v.as_bool() == Some(true)).into()),
        };
        let done = value.and_then(|value| self.answer_with(gw, (corr, attempt), (&api, &opts), &value));
        if let Err(failure) = done {
            let (left, user, args) = (0, Sym::null(), Raw::of(&Value::empty_dict()));
            self.answer_refused(gw, &Ask { corr, attempt, left, api, user, opts, args }, failure);
        }
    }

    /// What this coordinator alone has to say.
    pub(super) fn own_part(&mut self, api: &Sym, user: &Sym, args: &kvalue::Dict) -> Result<Value, Failure> {
        match builtin_apis::Asked::of(api) {
            builtin_apis::Asked::Queries => Ok(self.queries(user)),
            builtin_apis::Asked::Trace => self.trace_of(user, args),
            builtin_apis::Asked::Cancel => self.cancel_by_name(user, args),
        }
    }
}

/// Rows of tables that have the columns of the first; what has not is left out.
fn joined(tables: &[&Table]) -> Value {
    let Some(first) = tables.first() else { return Value::Null };
    let column = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).into_owned();
        let all: Vec<Vector> = tables.iter().filter_map(|t| t.column(&name)?.as_vector().cloned()).collect();
        let atoms: Vec<_> = all.iter().flat_map(|v| v.iter().collect::<Vec<_>>()).collect();
        let column = Vector::from_atoms(all.first()?.ty(), &atoms).ok()?;
        Some((name, Value::from(column)))
    };
    let columns: Option<Vec<(String, Value)>> = first.names().iter().map(column).collect();
    columns.and_then(|c| Table::of(c).ok()).map_or(Value::Null, Value::from)
}

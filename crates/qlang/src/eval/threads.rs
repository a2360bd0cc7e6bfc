//! `peach`: the items of a list over several threads, each with a read-only copy of the globals.

use super::interp::Interp;
use crate::{R, ctx::Ctx, value::Value};

impl Interp {
    /// `f peach x`.
    pub(crate) fn peach(&mut self, f: &Value, x: Value) -> R {
        let n = x.count();
        let threads = self.threads.min(n);
        if threads < 2 || x.is_atom() || matches!(x, Value::Dict(_)) {
            return self.each1(f, x);
        }
        let mut forks: Vec<Box<dyn Ctx + Send>> = Vec::new();
        for _ in 0..threads {
            match self.fork() {
                Some(c) => forks.push(c),
                None => return self.each1(f, x),
            }
        }
        let items = x.items();
        let parts = std::thread::scope(|scope| {
            let running: Vec<_> = forks
                .into_iter()
                .enumerate()
                .map(|(k, mut ctx)| {
                    let items = &items;
                    std::thread::Builder::new().stack_size(8 << 20).spawn_scoped(scope, move || {
                        if let Some(i) = ctx.any().and_then(|a| a.downcast_mut::<Interp>()) {
                            i.begin_thread();
                        }
                        (k..items.len())
                            .step_by(threads)
                            .map(|i| ctx.apply(f, vec![items[i].clone()]))
                            .collect::<R<Vec<Value>>>()
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|t| match t {
                    Ok(t) => t.join().unwrap_or_else(|_| Err(crate::QError::new("peach"))),
                    Err(_) => Err(crate::QError::limit()),
                })
                .collect::<Vec<R<Vec<Value>>>>()
        });
        let mut lists = Vec::with_capacity(threads);
        for p in parts {
            lists.push(p?.into_iter());
        }
        let mut out = Vec::with_capacity(n);
        for i in 0..n {
            if let Some(v) = lists[i % threads].next() {
                out.push(v);
            }
        }
        Ok(Value::from_items(out))
    }
}

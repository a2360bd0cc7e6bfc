//! Locals read for the last time where a join or an amend takes them: moved instead of shared, so that the value is
//! changed in place.

use super::node::{Code, Fast, Node};
use crate::value::Value;

/// Marks the moves of a lambda's last statement.
pub(crate) fn mark(code: &mut Code) {
    let mut seen = vec![false; code.names.len()];
    if code.silent {
        return;
    }
    if let Some(last) = code.body.last_mut() {
        walk(last, false, &mut seen);
    }
}

/// Visits what is evaluated, from the last to the first. `moves`: whoever takes the value can change it in place.
fn walk(n: &mut Node, moves: bool, seen: &mut Vec<bool>) {
    match n {
        Node::Local(i) => {
            let Some(seen) = seen.get_mut(*i as usize) else { return };
            if moves && !*seen {
                *n = Node::Take(*i);
            }
            *seen = true;
        }
        Node::Const(_) | Node::Global(..) | Node::This | Node::Hole | Node::Lambda(_) => {}
        Node::Dyad(d) => {
            walk(&mut d.x, d.fast == Fast::Join, seen);
            walk(&mut d.y, false, seen);
        }
        Node::Monad(_, _, x, _) => walk(x, false, seen),
        Node::Return(x) => walk(x, false, seen),
        Node::Call1(parts, _) => {
            walk(&mut parts.0, false, seen);
            walk(&mut parts.1, false, seen);
        }
        Node::Call2(parts, _) => {
            walk(&mut parts.0, false, seen);
            walk(&mut parts.1, false, seen);
            walk(&mut parts.2, false, seen);
        }
        Node::Call(f, args, _) => {
            let amends =
                matches!(&**f, Node::Const(Value::Prim(p)) if matches!(p.word, "@" | ".")) && args.len() > 2;
            walk(f, false, seen);
            for (i, a) in args.iter_mut().enumerate() {
                walk(a, amends && i == 0, seen);
            }
        }
        Node::List(items) => items.iter_mut().for_each(|n| walk(n, false, seen)),
        Node::Cond(list, _) => {
            // what one way reads the other may still move
            let mut after = seen.clone();
            let n = list.len();
            for (i, n) in list.iter_mut().enumerate().skip(1).filter(|(i, _)| i % 2 == 1 || *i == n - 1) {
                let _ = i;
                let mut here = seen.clone();
                walk(n, false, &mut here);
                after.iter_mut().zip(here).for_each(|(a, h)| *a |= h);
            }
            *seen = after;
            // conditions between the ways come before some of them: they only read
            for i in (0..n.saturating_sub(1)).step_by(2).rev() {
                reads(&list[i], seen);
            }
        }
        n => reads(n, seen),
    }
}

/// Notes all locals that may be read.
fn reads(n: &Node, seen: &mut [bool]) {
    match n {
        Node::Local(i) => {
            if let Some(s) = seen.get_mut(*i as usize) {
                *s = true;
            }
        }
        Node::Const(_) | Node::Global(..) | Node::This | Node::Hole | Node::Lambda(_) => {}
        Node::Dyad(d) => {
            reads(&d.x, seen);
            reads(&d.y, seen);
        }
        Node::Monad(_, _, x, _) => reads(x, seen),
        // assignments, loops, templates: all locals
        _ => seen.fill(true),
    }
}

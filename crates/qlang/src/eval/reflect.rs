//! What `value` tells of functions.

use crate::{
    convert::codes,
    eval::node::Code,
    value::{Lambda, Primitive, Value},
};

/// Number of a primitive, as kdb+ has it; beyond those for what kdb+ writes in q.
pub(crate) fn number(p: &'static Primitive) -> Value {
    let code = match p.ty {
        102 => codes::binary(p.word),
        _ => codes::unary(p.text, p.word).or_else(|| codes::binary(p.word)),
    };
    Value::Long(code.map_or_else(|| i64::from(p.id) + 1000, i64::from))
}

/// `(code;parameters;locals;(namespace,globals);constants…;places;name;file;line;text)`.
pub(crate) fn lambda(l: &Lambda) -> Value {
    let mut out = vec![Value::vector(kvalue::Type::Byte, crate::value::Data::U8(vec![0xa0, 0].into()))];
    out.push(Value::syms(l.params.to_vec()));
    let Some(code) = l.code.downcast_ref::<Code>() else {
        out.push(Value::string(l.text.as_bytes()));
        return Value::list(out);
    };
    out.push(Value::syms(code.names[code.params as usize..].to_vec()));
    let mut globals = vec![l.context];
    globals.extend(code.globals.iter().map(|n| super::globals::split(*n).1));
    out.push(Value::syms(globals));
    out.extend(code.constants.iter().cloned());
    out.push(Value::longs(vec![0]));
    let name = if code.name.starts_with('.') { code.name.clone() } else { format!("..{}", code.name) };
    out.push(Value::string(name));
    out.push(Value::string(l.origin.as_ref().map_or("", |o| &o.0)));
    out.push(Value::Long(l.origin.as_ref().map_or(-1, |o| o.1 as i64)));
    out.push(Value::string(l.text.as_bytes()));
    Value::list(out)
}

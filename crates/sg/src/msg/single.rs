//! What goes with the only portion of a request in place of a plan: with its order, then with its partial.
//!
//! Most requests have one portion. To tell the Agg of each before its partial comes would be a message, and a link from
//! the coordinator that is written to, for nothing that the partial cannot say. On the wire each is a list of its
//! fields, `()` where there is none.

use bytes::BufMut;
use kvalue::Sym;
use qipc::Raw;

use super::{
    field::Field,
    frame::{Builder, Fields, Object},
};
use crate::{InstanceId, LabelSet};

/// Declares a list of fields that is a field itself.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

        impl $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn put_list(&self, out: &mut Builder) {
                put_count(out, Self::FIELDS.len());
                $(self.$field.put(out);)*
            }

            /// Reads the one that begins where `rest` does, `None` where the list is empty; and where it ends.
            fn get_list(rest: Object<'_>) -> Result<(Option<Self>, usize), String> {
                let fields = Fields::list(rest)?;
                let all = |mut fields: Fields| -> Result<_, super::MsgError> {
                    let read = $name { $($field: fields.take(stringify!($name), stringify!($field))?,)* };
                    Ok((Some(read), fields.end(stringify!($name))?))
                };
                if fields.is_over() {
                    return Ok((None, fields.end(stringify!($name)).map_err(|e| e.to_string())?));
                }
                all(fields).map_err(|e| e.to_string())
            }
        }
    )*};
}

fn put_count(out: &mut Builder, count: usize) {
    out.out().put_slice(&[0, 0]);
    out.out().put_u32_le(count as u32);
}

lists! {
    /// Who collects the only portion of a request, and for whom.
    Collector {
        /// the running RC that planned it
        rc: InstanceId,
        /// aggregation function
        agg_fn: Sym,
        /// GW that gets the answer, `host:port`
        gw: Sym,
    }

    /// What the Agg is to know of a request whose only partial it gets.
    LonePlan {
        /// the running RC that planned it
        rc: InstanceId,
        /// nanoseconds left until the deadline
        left: i64,
        /// API
        api: Sym,
        /// aggregation function
        agg_fn: Sym,
        /// GW that gets the answer, `host:port`
        gw: Sym,
        /// label set of the portion
        labels: LabelSet,
        /// the request's header options
        opts: Raw,
        /// the request's arguments
        args: Raw,
    }
}

impl Field for Option<Collector> {
    fn put(&self, out: &mut Builder) {
        match self {
            Some(collector) => collector.put_list(out),
            None => put_count(out, 0),
        }
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        Ok(Collector::get_list(object)?.0)
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        let (read, end) = Collector::get_list(rest).ok()?;
        Some((read, end - rest.start()))
    }
}

impl Field for Option<Box<LonePlan>> {
    fn put(&self, out: &mut Builder) {
        match self {
            Some(plan) => plan.put_list(out),
            None => put_count(out, 0),
        }
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        Ok(LonePlan::get_list(object)?.0.map(Box::new))
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        let (read, end) = LonePlan::get_list(rest).ok()?;
        Some((read.map(Box::new), end - rest.start()))
    }
}

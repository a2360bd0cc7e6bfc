//! Phrases of plain aggregates of columns, for all groups at once.

use super::{grouping::Grouped, scope::Scope};
use crate::{R, ctx::Ctx, value::Value};

/// The value of a phrase for each group, where it is a plain aggregate; `None` where it must be evaluated group by
/// group.
pub fn planned(_ctx: &mut dyn Ctx, _scope: &mut Scope, _g: &mut Grouped, _tree: &Value) -> R<Option<Value>> {
    Ok(None)
}

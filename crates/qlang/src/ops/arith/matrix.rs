//! Matrices of floats: product, inverse, least squares.

use super::monads::floats_of;
use crate::{QError, R, ctx::Ctx, value::Value};

/// Rows by columns, row after row.
struct Matrix {
    rows: usize,
    columns: usize,
    items: Vec<f64>,
}

impl Matrix {
    fn zero(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, items: vec![0.0; rows * columns] }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.items[i * self.columns + j]
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.items[i * self.columns..(i + 1) * self.columns]
    }

    fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.items[i * self.columns..(i + 1) * self.columns]
    }

    fn swap(&mut self, a: usize, b: usize) {
        for j in 0..self.columns {
            self.items.swap(a * self.columns + j, b * self.columns + j);
        }
    }

    /// A list of float vectors of equal length.
    fn of(v: &Value) -> R<Matrix> {
        let Value::List(l) = v else { return Err(QError::type_()) };
        let mut items = Vec::new();
        let mut columns = None;
        for row in l.iter() {
            let Value::Vector(_) = row else { return Err(QError::type_()) };
            let row = floats(row)?;
            if *columns.get_or_insert(row.len()) != row.len() {
                return Err(QError::length());
            }
            items.extend(row);
        }
        Ok(Matrix { rows: l.len(), columns: columns.unwrap_or(0), items })
    }

    fn value(self) -> Value {
        let rows = (0..self.rows).map(|i| Value::floats(self.row(i).to_vec()));
        Value::list(rows.collect())
    }

    fn transposed(&self) -> Matrix {
        let mut out = Matrix::zero(self.columns, self.rows);
        for i in 0..self.rows {
            for j in 0..self.columns {
                out.items[j * self.rows + i] = self.at(i, j);
            }
        }
        out
    }

    fn product(&self, ctx: &mut dyn Ctx, other: &Matrix) -> R<Matrix> {
        if self.columns != other.rows {
            return Err(QError::length());
        }
        ctx.reserve(self.rows.saturating_mul(other.columns).saturating_mul(8))?;
        let mut out = Matrix::zero(self.rows, other.columns);
        for i in 0..self.rows {
            ctx.check()?;
            let row = out.row_mut(i);
            for k in 0..self.columns {
                let x = self.items[i * self.columns + k];
                row.iter_mut().zip(other.row(k)).for_each(|(o, y)| *o += x * y);
            }
        }
        Ok(out)
    }

    /// The lower triangle whose product with its mirror image this symmetric matrix is; null where there is none.
    fn lower_root(mut self, ctx: &mut dyn Ctx) -> R<Matrix> {
        let n = self.rows;
        for j in 0..n {
            ctx.check()?;
            for i in j..n {
                let mut x = self.at(i, j);
                for k in 0..j {
                    x -= self.at(i, k) * self.at(j, k);
                }
                self.items[i * n + j] = if i == j { x.sqrt() } else { x / self.at(j, j) };
            }
        }
        Ok(self)
    }

    /// Solves for one right side, where `self` is what [`Self::lower_root`] gave.
    fn solve_with_root(&self, right: &mut [f64]) {
        let n = self.rows;
        for i in 0..n {
            let mut x = right[i];
            for (k, z) in right[..i].iter().enumerate() {
                x -= self.at(i, k) * z;
            }
            right[i] = x / self.at(i, i);
        }
        for i in (0..n).rev() {
            let mut x = right[i];
            for (k, z) in right.iter().enumerate().take(n).skip(i + 1) {
                x -= self.at(k, i) * z;
            }
            right[i] = x / self.at(i, i);
        }
    }

    /// Solves `self * X = right` by elimination with pivots; `'domain` where there is no unique answer.
    fn solve(mut self, ctx: &mut dyn Ctx, mut right: Matrix) -> R<Matrix> {
        let n = self.rows;
        if n != self.columns || right.rows != n {
            return Err(QError::length());
        }
        for k in 0..n {
            ctx.check()?;
            let pivot =
                (k..n).max_by(|&a, &b| self.at(a, k).abs().total_cmp(&self.at(b, k).abs())).unwrap_or(k);
            if self.at(pivot, k) == 0.0 {
                return Ok(Matrix {
                    rows: n,
                    columns: right.columns,
                    items: vec![f64::NAN; n * right.columns],
                });
            }
            self.swap(k, pivot);
            right.swap(k, pivot);
            for i in k + 1..n {
                let factor = self.at(i, k) / self.at(k, k);
                if factor != 0.0 {
                    subtract(&mut self, i, k, factor);
                    subtract(&mut right, i, k, factor);
                }
            }
        }
        for k in (0..n).rev() {
            let pivot = self.at(k, k);
            right.row_mut(k).iter_mut().for_each(|x| *x /= pivot);
            for i in 0..k {
                let factor = self.at(i, k);
                if factor != 0.0 {
                    subtract(&mut right, i, k, factor);
                }
            }
        }
        Ok(right)
    }
}

/// Takes a multiple of row `k` from row `i`.
fn subtract(m: &mut Matrix, i: usize, k: usize, factor: f64) {
    let (columns, items) = (m.columns, &mut m.items);
    let (head, tail) = items.split_at_mut(i.max(k) * columns);
    let (to, from) = if i > k {
        (&mut tail[..columns], &head[k * columns..(k + 1) * columns])
    } else {
        (&mut head[i * columns..(i + 1) * columns], &tail[..columns])
    };
    to.iter_mut().zip(from).for_each(|(a, b)| *a -= factor * b);
}

fn floats(v: &Value) -> R<Vec<f64>> {
    match v.number() {
        9 => floats_of(v).ok_or_else(QError::type_),
        _ => Err(QError::type_()),
    }
}

fn dot(x: &[f64], y: &[f64]) -> R<f64> {
    if x.len() != y.len() {
        return Err(QError::length());
    }
    Ok(x.iter().zip(y).map(|(x, y)| x * y).sum())
}

/// `x mmu y`, and `x$y` of floats: the product of matrices or vectors. `'type` unless all are floats, `'length`
/// where they do not fit.
pub fn mmu(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    match (&x, &y) {
        (Value::Vector(_), Value::Vector(_)) => Ok(Value::Float(dot(&floats(&x)?, &floats(&y)?)?)),
        (Value::Vector(_), _) => {
            let (x, y) = (floats(&x)?, Matrix::of(&y)?);
            let x = Matrix { rows: 1, columns: x.len(), items: x };
            Ok(Value::floats(x.product(ctx, &y)?.items))
        }
        (_, Value::Vector(_)) => {
            let (x, y) = (Matrix::of(&x)?, floats(&y)?);
            let all: R<Vec<f64>> = (0..x.rows).map(|i| dot(x.row(i), &y)).collect();
            Ok(Value::floats(all?))
        }
        _ => Ok(Matrix::of(&x)?.product(ctx, &Matrix::of(&y)?)?.value()),
    }
}

/// `inv x`: the inverse of a square matrix.
pub fn inv(ctx: &mut dyn Ctx, x: Value) -> R {
    let x = Matrix::of(&x)?;
    let n = x.rows;
    let mut one = Matrix::zero(n, n);
    (0..n).for_each(|i| one.items[i * n + i] = 1.0);
    Ok(x.solve(ctx, one)?.value())
}

/// `x lsq y`: the matrix `w` for which `w mmu y` comes closest to `x`.
pub fn lsq(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let single = matches!(x, Value::Vector(_));
    let x = match single {
        true => Value::list(vec![x]),
        false => x,
    };
    let (x, y) = (Matrix::of(&x)?, Matrix::of(&y)?);
    if x.columns != y.columns {
        return Err(QError::length());
    }
    let across = y.transposed();
    let normal = y.product(ctx, &across)?.lower_root(ctx)?;
    let mut out = x.product(ctx, &across)?;
    for i in 0..out.rows {
        normal.solve_with_root(out.row_mut(i));
    }
    Ok(if single { Value::floats(out.items) } else { out.value() })
}

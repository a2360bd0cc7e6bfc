//! Accumulators whose results do not depend on how the data is cut.
//!
//! Integers add exactly in 128 bits. Floats carry the rounding error beside the sum (Neumaier's form of Kahan's
//! summation), so any order and any cut agrees to the last digits. Products keep mantissa and exponent apart, so
//! that no cut overflows on the way to a result that does not. Tests: `aggregate/tests.rs`.

/// A float sum and the rounding error it has lost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct FloatSum {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

impl FloatSum {
    /// Adds `x`, which is not null.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f64) {
        // Knuth's branch-free two-sum: exact error of one addition, and the compiler vectorises it.
        let sum = self.hi + x;
        let back = sum - self.hi;
        self.lo += (self.hi - (sum - back)) + (x - back);
        self.hi = sum;
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: FloatSum) {
        self.add(other.hi);
        self.lo += other.lo;
    }

    /// The sum. Infinities make the error term a NaN: then the plain sum is what IEEE arithmetic gives.
    pub(crate) fn value(self) -> f64 {
        if self.lo.is_finite() { self.hi + self.lo } else { self.hi }
    }

    /// The form that is stored: the error term is dropped where it means nothing.
    pub(crate) fn normal(self) -> FloatSum {
        if self.lo.is_finite() { self } else { FloatSum { hi: self.hi, lo: 0.0 } }
    }
}

/// Independent lanes of a float sum: enough to hide the latency of an addition.
pub(crate) const LANES: usize = 4;

/// A product as mantissa times a power of two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Product {
    pub(crate) mantissa: f64,
    pub(crate) exponent: i64,
}

impl Default for Product {
    fn default() -> Self {
        Product { mantissa: 1.0, exponent: 0 }
    }
}

/// Mantissas are brought back between these when a step leaves them: the product of two stays finite.
const LARGE: f64 = f64::from_bits((1023 + 500) << 52);
const SMALL: f64 = f64::from_bits((1023 - 500) << 52);
const BITS_OF_EXPONENT: u64 = 0x7ff;

impl Product {
    /// Multiplies by `x`, which is not null.
    #[inline]
    pub(crate) fn multiply(&mut self, x: f64) {
        let size = x.abs();
        if (SMALL..LARGE).contains(&size) || size == 0.0 || x.is_infinite() {
            self.mantissa *= x;
        } else {
            let factor = Product { mantissa: x, exponent: 0 }.scaled();
            self.mantissa *= factor.mantissa;
            self.exponent += factor.exponent;
        }
        *self = self.scaled();
    }

    pub(crate) fn merge(&mut self, other: Product) {
        let other = other.scaled();
        self.multiply(other.mantissa);
        self.exponent = self.exponent.saturating_add(other.exponent);
    }

    /// Brings the mantissa near 1 where it is neither near 1 nor special.
    #[inline]
    fn scaled(self) -> Product {
        let size = self.mantissa.abs();
        if (SMALL..LARGE).contains(&size) || size == 0.0 || !size.is_finite() {
            return self;
        }
        // A subnormal is lifted into the normal range first; both steps are exact.
        let (mantissa, lifted) = if size < f64::MIN_POSITIVE {
            (self.mantissa * f64::from_bits((1023 + 64) << 52), -64)
        } else {
            (self.mantissa, 0)
        };
        let bits = mantissa.to_bits();
        let exponent = ((bits >> 52) & BITS_OF_EXPONENT) as i64 - 1023;
        let near_one = f64::from_bits((bits & !(BITS_OF_EXPONENT << 52)) | (1023 << 52));
        Product { mantissa: near_one, exponent: self.exponent.saturating_add(exponent + lifted) }
    }

    /// The product as a float: infinite or zero where it does not fit.
    pub(crate) fn value(self) -> f64 {
        let mut x = self.mantissa;
        let mut left = self.exponent.clamp(-5000, 5000);
        while left != 0 && x != 0.0 && x.is_finite() {
            let step = left.clamp(-500, 500);
            x *= f64::from_bits(((1023 + step) as u64) << 52);
            left -= step;
        }
        x
    }
}

/// Moments of one column: count, mean from an origin, sum of squared deviations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) n: i64,
    pub(crate) mean: f64,
    pub(crate) m2: f64,
}

impl Moments {
    /// Joins the moments of other rows whose origin lies `shift` above this one's (Chan, Golub and LeVeque).
    pub(crate) fn merge(&mut self, other: Moments, shift: f64) {
        let (n, m) = (self.n as f64, other.n as f64);
        let delta = shift + (other.mean - self.mean);
        let total = n + m;
        self.m2 += other.m2 + delta * delta * (n * (m / total));
        self.mean += delta * (m / total);
        self.n += other.n;
    }
}

/// Moments of two columns over the rows where neither is null.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PairMoments {
    pub(crate) n: i64,
    pub(crate) mean: [f64; 2],
    pub(crate) m2: [f64; 2],
    pub(crate) m11: f64,
}

impl PairMoments {
    /// As [`Moments::merge`], for both columns and their product.
    pub(crate) fn merge(&mut self, other: PairMoments, shift: [f64; 2]) {
        let (n, m) = (self.n as f64, other.n as f64);
        let total = n + m;
        let weight = n * (m / total);
        let delta = [0, 1].map(|i| shift[i] + (other.mean[i] - self.mean[i]));
        for (i, delta) in delta.into_iter().enumerate() {
            self.m2[i] += other.m2[i] + delta * delta * weight;
            self.mean[i] += delta * (m / total);
        }
        self.m11 += other.m11 + delta[0] * delta[1] * weight;
        self.n += other.n;
    }
}

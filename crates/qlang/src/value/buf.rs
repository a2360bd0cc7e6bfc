//! [`Buf`]: elements of a vector, owned or mapped, and how much memory all of them take.

use std::{cell::Cell, ops::Deref};

use bytes::Bytes;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::Sym;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that the vectors and lists made on this thread and not yet dropped take. Memory handed to another thread
/// and dropped there is counted there with a minus: the figure is for budgets, not for accounting.
pub fn live_bytes() -> i64 {
    LIVE.get()
}

/// A charge on the thread's count of live bytes, taken back when dropped.
#[derive(Debug, Default)]
pub struct Charge(usize);

impl Charge {
    /// Charges this many bytes.
    pub fn new(bytes: usize) -> Charge {
        LIVE.set(LIVE.get() + bytes as i64);
        Charge(bytes)
    }

    /// Changes the charge to this many bytes.
    pub fn set(&mut self, bytes: usize) {
        LIVE.set(LIVE.get() + bytes as i64 - self.0 as i64);
        self.0 = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.0 != 0 {
            LIVE.set(LIVE.get() - self.0 as i64);
        }
    }
}

/// What a vector may hold.
pub trait Element: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Mapped bytes as elements; `None` where they are not aligned or may not be looked at so.
    fn view(bytes: &[u8]) -> Option<&[Self]>;
}

macro_rules! element {
    ($($t:ty),*) => {$(
        impl Element for $t {
            fn view(bytes: &[u8]) -> Option<&[Self]> {
                fn check<T: FromBytes + Immutable + KnownLayout>() {}
                check::<$t>();
                <[$t]>::ref_from_bytes(bytes).ok()
            }
        }
    )*};
}
element!(u8, i16, i32, i64, f32, f64, [u8; 16]);

impl Element for bool {
    fn view(_: &[u8]) -> Option<&[Self]> {
        None
    }
}

impl Element for Sym {
    fn view(_: &[u8]) -> Option<&[Self]> {
        None
    }
}

/// Elements: owned, or a view of shared bytes (a mapped file, a network frame). Dereferences to a slice.
pub struct Buf<T: Element>(Repr<T>);

enum Repr<T> {
    Own(Vec<T>, Charge),
    Map(Bytes),
}

impl<T: Element> Buf<T> {
    /// Elements in shared bytes, without a copy where they are aligned; `None` where the bytes are no whole number
    /// of elements or the type cannot be mapped.
    pub fn map(bytes: Bytes) -> Option<Buf<T>> {
        T::view(&bytes)?;
        Some(Buf(Repr::Map(bytes)))
    }

    /// The elements for changes; mapped ones are copied first. Call [`Self::settle`] after growing them.
    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if let Repr::Map(bytes) = &self.0 {
            let items = T::view(bytes).unwrap_or_default().to_vec();
            *self = Buf::from(items);
        }
        match &mut self.0 {
            Repr::Own(items, _) => items,
            Repr::Map(_) => unreachable!("mapped elements were copied above"),
        }
    }

    /// Counts the memory anew, after elements were added.
    pub fn settle(&mut self) {
        if let Repr::Own(items, charge) = &mut self.0 {
            charge.set(items.capacity() * size_of::<T>());
        }
    }

    /// The elements as a vector; no copy where they are owned.
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Repr::Own(items, _) => items,
            Repr::Map(bytes) => T::view(&bytes).unwrap_or_default().to_vec(),
        }
    }

    /// The bytes behind mapped elements.
    pub fn mapped(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Map(bytes) => Some(bytes),
            Repr::Own(..) => None,
        }
    }
}

impl<T: Element> From<Vec<T>> for Buf<T> {
    fn from(items: Vec<T>) -> Self {
        let charge = Charge::new(items.capacity() * size_of::<T>());
        Buf(Repr::Own(items, charge))
    }
}

impl<T: Element> FromIterator<T> for Buf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T: Element> Clone for Buf<T> {
    fn clone(&self) -> Self {
        match &self.0 {
            Repr::Own(items, _) => Buf::from(items.clone()),
            Repr::Map(bytes) => Buf(Repr::Map(bytes.clone())),
        }
    }
}

impl<T: Element> Deref for Buf<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Repr::Own(items, _) => items,
            Repr::Map(bytes) => T::view(bytes).unwrap_or_default(),
        }
    }
}

impl<T: Element> std::fmt::Debug for Buf<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

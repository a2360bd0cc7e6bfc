//! Values as text: console (`.Q.s`), `-3!`, `string`.

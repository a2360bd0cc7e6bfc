//! Values to and from [`kvalue`], the form in which they travel and lie on disk.

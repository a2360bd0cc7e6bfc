//! columnar primitives over kvalue with q's null and type rules

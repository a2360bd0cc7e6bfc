//! Indexing and amending against what q answers.

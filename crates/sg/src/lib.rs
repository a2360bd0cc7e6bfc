//! the vocabulary all processes share: request, header, return codes, purview, internal messages, configuration

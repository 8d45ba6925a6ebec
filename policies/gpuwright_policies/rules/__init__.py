"""The rules, one a file: data, one predicate, and the facts that pass and fail it."""

"""Serving one released model: from bytes of a request to bytes of an answer, without the libraries that trained it."""

"""Strict YAML: YAML 1.2 scalars, no surprises, every node with its line and column."""

from sretool.documents.document import Document, NodePath, Position, Problems, suggest
from sretool.documents.reading import MAX_CHARACTERS, MAX_NODES, read_document, read_file, scan_document

__all__ = [
    "MAX_CHARACTERS",
    "MAX_NODES",
    "Document",
    "NodePath",
    "Position",
    "Problems",
    "read_document",
    "read_file",
    "scan_document",
    "suggest",
]

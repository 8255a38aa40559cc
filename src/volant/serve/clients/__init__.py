"""Typed clients, written from the document of a service."""

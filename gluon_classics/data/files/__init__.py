"""Bytes on disk: downloads, archives, decoding. Nothing here knows about data sets."""

"""Bytes on disk: downloads, archives, decoding. This folder does not depend on any data set."""

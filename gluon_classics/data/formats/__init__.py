"""The sources of pictures, one file for each."""

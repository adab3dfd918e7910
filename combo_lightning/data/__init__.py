"""The data set on disk, its sources, splits and transforms; the only room that reads files."""

"""The Parquet tables of a run: joined on disk, written in bounded memory."""

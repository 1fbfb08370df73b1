"""How the jobs of a bucket are doing, from the records that they write."""

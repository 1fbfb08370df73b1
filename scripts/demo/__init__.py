"""`make demo`: the suite at work for real, on an embedded S3, told in chapters of about a minute.

A chapter is a module with one function, `run_chapter(stage)`, and a line in the table of
`scripts.demo.__main__`. It promises that what it shows is measured and checked in the same run.
"""
